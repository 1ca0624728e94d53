#!/usr/bin/env python3
"""Fails when a piece of work takes a quarter more instructions than it did when last recorded.

    thresholds.py            compare with Benchmarks/thresholds.json; exit code 1 for a loss
    thresholds.py --record   write it anew

Instructions, because a count says the same on a busy machine; counted by callgrind.
"""

import json
import shutil
import sys

from counting import count_work
from programs import BENCHMARKS, build

FILE = BENCHMARKS / "thresholds.json"
ALLOWED = 1.25
REPETITIONS = {
    "request-head-short": (1000, 3000),
    "request-head-long": (1000, 3000),
    "response-head": (1000, 3000),
    "json-read": (4, 12),
    "json-write": (4, 12),
    "deadline-restart": (20_000, 40_000),
    "deadline-start-cancel": (20_000, 40_000),
}


def main():
    if not shutil.which("valgrind"):
        print("thresholds skipped: valgrind is missing")
        return
    build("micro-sonde")
    counts = {name: round(count_work(name, *both)) for name, both in REPETITIONS.items()}
    if sys.argv[1:] == ["--record"]:
        FILE.write_text(json.dumps(counts, indent=1) + "\n")
        return
    recorded = json.loads(FILE.read_text())
    lost = []
    for name, count in counts.items():
        ratio = count / recorded[name]
        print(f"  {name:<24} {count:>12,} instructions, {ratio:.2f} of what was recorded")
        if ratio > ALLOWED:
            lost.append(name)
    if lost:
        sys.exit(f"thresholds: more than {ALLOWED} times the instructions: {', '.join(lost)}")


main()
