"""Compares what an instrument reports with what was really done. Knows no sockets: see test_judge.

All times are whole nanoseconds of the wall clock: a float would lose some hundred of them.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone

from sondetest.figures import rank

STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")


def nanoseconds(stamp):
    """RFC 3339, UTC, up to nine digits of fraction without trailing zeros."""
    match = STAMP.fullmatch(stamp)
    if not match:
        raise ValueError(f"not an RFC 3339 time in UTC: {stamp!r}")
    whole, fraction = match.groups()
    if fraction and fraction.endswith("0"):
        raise ValueError(f"trailing zeros: {stamp!r}")
    moment = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return int(moment.timestamp()) * 10**9 + int((fraction or "").ljust(9, "0"))


@dataclass(frozen=True)
class Change:
    """One target's true opening (or closing): somewhere in [before, after]."""

    port: int
    index: int
    policy: str
    before: int
    after: int


@dataclass
class Comparison:
    errors: list = field(default_factory=list)
    uncertainties: list = field(default_factory=list)
    faults: Counter = field(default_factory=Counter)
    examples: dict = field(default_factory=dict)

    def fault(self, kind, example):
        self.faults[kind] += 1
        self.examples.setdefault(kind, example)

    def percentile(self, share):
        """Milliseconds; a target that was never detected counts as an endless error."""
        missing = [math.inf] * self.faults["undetected"]
        return rank(self.errors + missing, share) if self.errors or missing else math.inf


def compare(changes, results):
    """`changes`: address to Change; `results`: the instrument's own list, decoded."""
    comparison = Comparison()
    seen = set()
    for result in results:
        address = result.get("address")
        change = changes.get(address)
        if change is None:
            comparison.fault("unknown target", result)
        elif address in seen:
            comparison.fault("reported twice", result)
        else:
            seen.add(address)
            compare_one(comparison, change, result)
    for address in changes:
        if address not in seen:
            comparison.fault("undetected", address)
    return comparison


def compare_one(comparison, change, result):
    label = (result.get("port"), result.get("connectionidx"), result.get("npname"))
    if label != (change.port, change.index, change.policy):
        comparison.fault("wrong label", result)
    try:
        stamp = nanoseconds(result["timestamp"])
        floor, connected = (
            None if result.get(key) is None else nanoseconds(result[key])
            for key in ("notbefore", "connectedat"))
    except (KeyError, TypeError, ValueError) as error:
        comparison.fault("unreadable time", f"{error!r} in {result}")
        return
    # The change is known to lie in [before, after]; taking its start can only enlarge the error.
    comparison.errors.append((stamp - change.before) / 1e6)
    if stamp < change.before:
        comparison.fault("bound broken", f"{result}: changed {change.before - stamp} ns later")
    if connected is not None and not change.before <= connected <= stamp:
        comparison.fault("wrong connection time", result)
    if floor is None:
        comparison.fault("no lower bound", result)
        return
    if floor > change.after:
        comparison.fault("bound broken", f"{result}: changed {floor - change.after} ns earlier")
    width = (stamp - floor) / 1e6
    comparison.uncertainties.append(width)
    claimed = result.get("uncertaintyms")
    if not isinstance(claimed, (int, float)) or abs(claimed - width) > 1:
        comparison.fault("wrong uncertainty", f"{result}: it is {width} ms")


@dataclass
class Bar:
    """One thing that must hold."""

    name: str
    value: float
    limit: float
    unit: str = ""

    @property
    def holds(self):
        return self.value <= self.limit

    def __str__(self):
        value, limit = (f"{n:,.4g}" if n % 1 else f"{n:,.0f}" for n in (self.value, self.limit))
        mark = "ok" if self.holds else "MISSED"
        unit = f" {self.unit}" if self.unit else ""
        return f"  {self.name:<24} {value + unit:>14}   at most {limit + unit:<12} {mark}"


def bars(comparison, p99_ms, broken=0):
    """What every comparison must hold: `broken` bounds are allowed where the path loses packets."""
    faults = comparison.faults
    named = {"undetected": 0, "bound broken": broken}
    for kind in faults:
        named.setdefault(kind, 0)
    return [Bar("p99 error", comparison.percentile(0.99), p99_ms, "ms")] + [
        Bar(kind, faults[kind], limit) for kind, limit in named.items()
    ]
