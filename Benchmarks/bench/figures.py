"""What a benchmark found, and how it is shown: a table, a JSON file, a table in the README."""

import json
from dataclasses import dataclass

from sondetest.figures import median


@dataclass
class Figure:
    """One line of the table.

    `bar` is (comparison, limit), and holds for the ratio where there is a peer, else for the value.
    `floor`: the physical limit where it is known, as text.
    """

    name: str
    value: float
    unit: str = ""
    peer: str = ""
    peer_value: float = None
    bar: tuple = None
    floor: str = ""
    ratio: float = None

    def __post_init__(self):
        if self.peer and self.ratio is None and self.peer_value:
            self.ratio = self.value / self.peer_value

    @property
    def judged(self):
        return self.value if self.ratio is None else self.ratio

    @property
    def holds(self):
        if not self.bar:
            return True
        comparison, limit = self.bar
        return self.judged <= limit if comparison == "≤" else self.judged >= limit

    def cells(self):
        bar = ""
        if self.bar:
            times = " ×" if self.ratio is not None else ""
            unit = "" if self.ratio is not None else self.unit
            bar = f"{self.bar[0]} {number(self.bar[1])}{times or spaced(unit)}"
            bar += " ok" if self.holds else " MISSED"
        peer = ""
        if self.peer:
            value = number(self.peer_value) + spaced(self.unit) if self.peer_value else ""
            peer = f"{self.peer} {value}".strip()
        return [self.name, number(self.value) + spaced(self.unit), peer,
                "" if self.ratio is None else f"{self.ratio:.2f}", self.floor, bar]


HEADINGS = ["figure", "ours", "peer", "ratio", "limit", "bar"]


def spaced(unit):
    return f" {unit}" if unit else ""


def number(value):
    """Three significant digits, thousands apart."""
    if value is None:
        return "–"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def paired(name, ours, peer, peer_name, rounds=5, **kind):
    """Runs the two in turn, A B A B …; medians of both, and the median of the pairs' ratios.

    Pair by pair, because whatever else the machine does changes from one minute to the next.
    """
    pairs = [(ours(), peer()) for _ in range(rounds)]
    return Figure(
        name, median(a for a, _ in pairs), peer=peer_name, peer_value=median(b for _, b in pairs),
        ratio=median(a / b for a, b in pairs), **kind)


def table(figures):
    rows = [HEADINGS] + [figure.cells() for figure in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) if column in (0, 2, 4, 5) else cell.rjust(width)
                 for column, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown(figures):
    rows = [HEADINGS, ["---", "---:", "---", "---:", "---", "---"]]
    rows += [figure.cells() for figure in figures]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def write_json(path, machine, groups, skipped):
    document = {
        "machine": machine,
        "skipped": skipped,
        "groups": {
            name: [{**vars(figure), "holds": figure.holds} for figure in figures]
            for name, figures in groups.items()
        },
    }
    with open(path, "w") as file:
        json.dump(document, file, indent=1, ensure_ascii=False)
        file.write("\n")
