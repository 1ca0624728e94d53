"""Thousands of connections held at once, beside a Python pair that holds them in threads."""

import subprocess
import sys

from figures import Figure
from lab_bench import lab, value
from programs import HERE, Failed, scratch


def figures():
    found = lab("longlived-open")
    scenario = "longlived-open"
    opened = value(found, scenario, "opened, best") / 1000
    yield Figure("19,000 requests in flight, opened in", opened, "s", bar=("≤", 1))
    yield Figure("… opened a second", 19_000 / opened, "/s", "Python threads", python_pair())
    for side in ("server", "client"):
        yield Figure(f"… {side}, resident a connection",
                     value(found, scenario, f"{side}'s memory"), "B", bar=("≤", 1024))
        yield Figure(f"… {side}, of a core while all wait",
                     value(found, scenario, f"{side} while waiting"), "%", bar=("≤", 2))
    wrong = sum(value(found, scenario, kind) for kind in
                ("missed in flight", "missed answers", "doubled answers", "failures"))
    yield Figure("… missed, doubled or failed", wrong, bar=("≤", 0))


def python_pair():
    """Requests in flight that a threaded client and server in Python open in a second."""
    with scratch("python"):
        done = subprocess.run([sys.executable, HERE / "python_pair.py", "2000"],
                              capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise Failed(f"python_pair: {done.stderr.strip()[-200:]}")
    return float(done.stdout)
