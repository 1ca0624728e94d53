"""Which metrics and labels a PromQL expression names, and which an exposition has.

Not a parser of the language (promtool is one): only as much as finding names takes.
"""

import re

KEYWORDS = {"and", "or", "unless", "offset", "bool", "inf", "nan", "start", "end"}
GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? \S+$")


class Expression:
    def __init__(self, text):
        self.groups = {name.strip() for match in GROUPING.finditer(text)
                       for name in match[2].split(",") if name.strip()}
        rest = GROUPING.sub(" ", text)
        # A metric and its exact matchers: (metric, label, value).
        self.matchers = {
            (match[1], label, value)
            for match in re.finditer(r"(\w+)\{([^}]*)\}", rest)
            for label, value in re.findall(r'(\w+)="([^"]*)"', match[2])}
        for pattern in (r"\{[^}]*\}", r"\[[^\]]*\]", r'"[^"]*"'):
            rest = re.sub(pattern, " ", rest)
        words = re.finditer(r"[a-zA-Z_:][\w:]*(\s*\()?", rest)
        names = {match[0] for match in words if not match[1]}
        self.metrics = {name for name in names if name.lower() not in KEYWORDS}


class Exported:
    def __init__(self):
        self.names = set()
        self.samples = {}

    def read(self, text):
        """Takes in what a role answers to GET /metrics (text format 0.0.4)."""
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                ends = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
                self.names |= {name + end for end in ends}
            elif match := SAMPLE.match(line):
                labels = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
                self.samples.setdefault(match[1], []).append(labels)

    def labels(self, metric):
        return {name for sample in self.samples.get(metric, []) for name in sample}

    def values(self, metric, label):
        """The label's values; None for a metric that has no sample yet."""
        samples = self.samples.get(metric)
        return None if samples is None else {sample.get(label) for sample in samples}
