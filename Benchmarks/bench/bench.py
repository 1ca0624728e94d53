#!/usr/bin/env python3
"""Measures every figure that the README claims, beside its peer, on this machine.

    bench.py               all groups; writes results/<date>.json and the README's table
    bench.py http codec    these groups only; prints, writes nothing
Exit codes: 0 all bars hold, 1 a bar was missed, 64 usage.
"""

import argparse
import datetime
import os
import platform
import subprocess
import sys
import time

from programs import BENCHMARKS, ROOT, SONDE, Failed, Missing  # first: it knows where sondetest is
import codec_bench
import http_bench
import lab_bench
import longlived_bench
import memory_bench
import reload_bench
import tls_bench
from figures import markdown, table, write_json

GROUPS = {
    "http": http_bench.figures,
    "tls": tls_bench.figures,
    "codec": codec_bench.figures,
    "memory": memory_bench.figures,
    "netpol": lab_bench.netpol,
    "proxy": lab_bench.proxy,
    "egw": lab_bench.egw,
    "reload": reload_bench.figures,
    "longlived": longlived_bench.figures,
}
BEGIN, END = "<!-- bench: written by make bench -->\n", "<!-- bench: end -->"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = lambda message: (print(f"bench: {message}", file=sys.stderr), sys.exit(64))
    parser.add_argument("groups", nargs="*", metavar="GROUP",
                        help=", ".join(GROUPS))
    chosen = parser.parse_args().groups
    for name in chosen:
        if name not in GROUPS:
            parser.error(f"no group {name}; there are: {', '.join(GROUPS)}")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if not SONDE.exists():
        parser.error(f"{SONDE} is missing: make build")
    found, skipped = {}, {}
    began = time.monotonic()
    for name in chosen or GROUPS:
        measure(name, found, skipped)
    everything = [figure for figures in found.values() for figure in figures]
    print(table(everything))
    for name, reason in skipped.items():
        print(f"skipped: {name}: {reason}")
    missed = [figure for figure in everything if not figure.holds]
    print(f"bench: {len(everything)} figures, {len(missed)} missed, "
          f"{time.monotonic() - began:.0f} s; {machine()}")
    if not chosen:
        keep(found, skipped)
    sys.exit(1 if missed or any(reason.startswith("failed") for reason in skipped.values()) else 0)


def measure(name, found, skipped):
    """Adds a group's figures; says on standard error what it is at, because it takes minutes."""
    print(f"bench: {name} …", file=sys.stderr, flush=True)
    began = time.monotonic()
    found[name] = []
    try:
        for figure in GROUPS[name]():
            found[name].append(figure)
    except Missing as error:
        skipped[name] = str(error)
    except (Failed, subprocess.SubprocessError, OSError) as error:
        skipped[name] = f"failed: {error}"
    print(f"bench: {name}: {len(found[name])} figures, {time.monotonic() - began:.0f} s",
          file=sys.stderr, flush=True)


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if "model name" in line), "")
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} × {model or platform.machine()}, load {load:.1f}"


def keep(found, skipped):
    results = BENCHMARKS / "results"
    results.mkdir(exist_ok=True)
    write_json(results / f"{datetime.date.today()}.json", machine(), found, skipped)
    readme = ROOT / "README.md"
    text = readme.read_text()
    if BEGIN in text and END in text:
        before, rest = text.split(BEGIN)
        figures = [figure for group in found.values() for figure in group]
        readme.write_text(before + BEGIN + "\n" + markdown(figures) + "\n\n" + END
                          + rest.split(END)[1])


main()
