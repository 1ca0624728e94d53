"""Figures of the lab: instruments against a known truth, in network namespaces."""

import json
import subprocess
import sys

from figures import Figure
from programs import ROOT, SONDE, Failed, scratch


def lab(*scenarios, flags=()):
    """Runs them; {scenario: {"numbers": …, "bars": {name: bar}}}. Missed bars are for us to say."""
    with scratch("lab") as folder:
        out = folder / "lab.json"
        done = subprocess.run(
            [sys.executable, ROOT / "Tests/Lab/lab.py", "--sonde", SONDE, "--json", out,
             "--scenario", ",".join(scenarios), *(["--", *flags] if flags else [])],
            capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise Failed(f"lab: {(done.stdout + done.stderr).strip()[-200:]}")
        found = json.loads(out.read_text())
    for name, one in found.items():
        if not one["bars"]:
            raise Failed(f"lab: {name}: {', '.join(one['missed']) or 'skipped'}")
        one["bars"] = {bar["name"]: bar for bar in one["bars"]}
    return found


def value(found, scenario, bar):
    return found[scenario]["bars"][bar]["value"]


def netpol():
    """How far detections are from the true openings, and what probing costs."""
    found = lab("few", "no-gate", "fast", "many", "reject", "refused", "descriptors")
    wrong = 0
    labels = {
        "few": ("100 targets, --interval 10ms", 12, None),
        "no-gate": ("1,000 targets", 120, None),
        "fast": ("5,000 targets, --interval 10ms --max-rate 50000", 120, 60),
        "many": ("10,000 targets, the same", None, None),
        "reject": ("500 targets, SYNs rejected", 120, None),
        "refused": ("500 targets, nobody listens", 120, None),
        "descriptors": ("1,000 targets, 1,024 descriptors", None, None),
    }
    for scenario, (label, p99, p50) in labels.items():
        numbers = found[scenario]["numbers"]
        yield Figure(f"detection error p99, {label}", numbers["p99_ms"], "ms",
                     bar=p99 and ("≤", p99))
        if p50:
            yield Figure("… p50", numbers["p50_ms"], "ms", bar=("≤", p50))
            share = numbers["processor_s"] / numbers["wall_s"]
            yield Figure("… share of a core", share * 100, "%", bar=("≤", 100))
            yield Figure("… resident", numbers["resident_mb"], "MB", bar=("≤", 32))
        for kind, bar in found[scenario]["bars"].items():
            if kind not in ("p99 error", "descriptors"):
                wrong += bar["value"]
    yield Figure("undetected, or truth outside the bounds, of all", wrong, bar=("≤", 0))
    classic = lab("no-gate", flags=("--pacing", "classic"))["no-gate"]["numbers"]
    bounded = found["no-gate"]["numbers"]
    yield Figure("detection error p50, 1,000 targets", bounded["p50_ms"], "ms",
                 "--pacing classic", classic["p50_ms"])
    yield from growth()


def growth():
    """What a probe costs, with a hundred targets and with ten thousand, none of which opens."""
    found = lab("growth")["growth"]["numbers"]
    yield Figure("processor a probe, 10,000 targets", found["many_us"], "µs", "100 targets",
                 found["few_us"], ("≤", 1.2))
    yield Figure("memory a pending target", found["target_b"], "B", bar=("≤", 400))


def proxy():
    """Lists delivered to clients that take 50 ms to answer, and their results collected."""
    found = lab("proxy", "proxy-thousand", "proxy-large")
    for scenario, label, limit in (("proxy", "200 clients", 0.15),
                                   ("proxy-thousand", "1,000 clients", 0.25),
                                   ("proxy-large", "200 clients × 1,000 connections", None)):
        for what in ("delivered", "collected"):
            yield Figure(f"proxy, {label} × 50 ms: {what}", value(found, scenario, what), "s",
                         bar=limit and ("≤", limit))
    yield Figure("… peak memory", value(found, "proxy-large", "peak memory"), "MB", bar=("≤", 64))


def egw():
    """How late masquerading is found, and how quickly connections are opened."""
    found = lab("egw", "egw-drop", "egw-delay", "egw-stress")
    for scenario, label in (("egw", "every 50 ms"), ("egw-drop", "every 10 ms, SYNs dropped")):
        bar = found[scenario]["bars"]["answer after the change"]
        yield Figure(f"masquerade error, probe {label}", bar["value"], "ms",
                     bar=("≤", bar["limit"]))
    bar = found["egw-delay"]["bars"]["probe sent after it"]
    yield Figure("… every 5 ms, 20 ms each way: probe sent after", bar["value"], "ms",
                 bar=("≤", bar["limit"]))
    rate = 1e6 / value(found, "egw-stress", "time a connection, best")
    yield Figure("connections opened a second, 64 at once", rate, "/s", bar=("≥", 40_000))
    for side in ("client", "target"):
        yield Figure(f"connection held, {side}, resident",
                     value(found, "egw-stress", f"{side}'s memory"), "B", bar=("≤", 614))
