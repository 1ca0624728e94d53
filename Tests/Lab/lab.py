#!/usr/bin/env python3
"""Measures the instruments themselves: what they report against what was really done.

Exit codes: 0 all bars hold, 1 a bar was missed, 64 usage, 77 nothing could be run here.
"""

import argparse
import json
import math
import os
import resource
import shutil
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Support"))
import clients
import floods
import gateway_faults
import gateways
import judge
import longlived
import longlived_peers
import machine
import network
import proxies
from clients import Run
from gateways import Masquerade
from program import Failure

FAST = ("--no-gate", "--interval", "10ms", "--max-rate", "50000")

# name: (in the quick set, needs namespaces, what it is, how it is run)
SCENARIOS = {
    "idle": (True, False, "a client that waits", clients.idle),
    "memory": (True, True, "10,000 targets that never open", clients.memory),
    "defaults": (True, True, "1,000 targets, all defaults", Run(1000, 50, 110)),
    "no-gate": (True, True, "1,000 targets, --no-gate", Run(1000, 50, 120, ("--no-gate",))),
    "fast": (True, True, "5,000 targets, " + " ".join(FAST), Run(5000, 250, 150, FAST)),
    "growth": (False, True, "the cost of a probe with 100 targets and with 10,000",
               clients.growth),
    "few": (False, True, "100 targets, --no-gate --interval 10ms",
            Run(100, 20, 12, ("--no-gate", "--interval", "10ms"))),
    # The rate limit stretches the interval to 200 ms.
    "many": (False, True, "10,000 targets, " + " ".join(FAST), Run(10_000, 500, 400, FAST)),
    "refused": (False, True, "500 targets that nobody listens on at first",
                Run(500, 50, 120, ("--no-gate",), mode="refused")),
    "stopped": (False, True, "20 targets that accept when they open, and answer 2 s later",
                clients.stopped),
    "paused": (False, True, "a client that is stopped for 300 ms, again and again",
               clients.paused),
    # A dropped SYN holds a descriptor for 250 ms (--min-flight): the interval becomes 300 ms.
    "descriptors": (False, True, "1,000 targets, --no-gate, and 1,024 descriptors",
                    Run(1000, 50, 400, ("--no-gate",), descriptors=1024)),
    "reject": (False, True, "500 targets, SYNs rejected",
               Run(500, 50, 120, ("--no-gate",), mode="reject")),
    "ipv6": (False, True, "500 targets over IPv6",
             Run(500, 50, 120, ("--no-gate",), ipv6=True)),
    "delay": (False, True, "500 targets, 50 ms away and back",
              # Two round trips (connect, request) come on top of the interval.
              Run(500, 50, 220, ("--no-gate",), delay_ms=(25, 25))),
    "jitter": (False, True, "100 targets, packets take 1 to 50 ms and overtake each other",
               Run(100, 20, 240, ("--no-gate", "--interval", "20ms"), delay_ms=(1, 50))),
    "loss": (False, True, "500 targets, 2 % of the client's packets lost",
             # One probe in twenty fails by a lost packet: the next one comes an interval later.
             Run(500, 50, 320, ("--no-gate",), loss=0.02)),
    # As many as in `defaults`, and for the same reason: the first few are found at the idle pace.
    "deny": (False, True, "1,000 targets shut one by one",
             Run(1000, 50, 300, ("--expect", "deny"), deny=True)),
    "deny-reject": (False, True, "1,000 targets shut one by one, SYNs rejected",
                    Run(1000, 50, 300, ("--expect", "deny"), mode="reject", deny=True)),
    "floods": (True, False, "pipelined requests, unread answers, bodies without end",
               floods.floods),
    "proxy": (True, False, "200 clients × 10 connections", proxies.small),
    "proxy-thousand": (False, False, "1,000 clients × 10 connections", proxies.thousand),
    "proxy-large": (True, False, "200 clients × 1,000 connections", proxies.large),
    "proxy-broken": (True, False, "195 good clients and 5 broken ones", proxies.broken),
    "egw": (True, True, "masquerading found by a probe every 50 ms", Masquerade(50, "closed", 2)),
    "egw-drop": (True, True, "the same each 10 ms, SYNs dropped", Masquerade(10, "dropped", 2)),
    **{
        f"egw-{manner}-{interval}": (
            False, True, f"15 runs, a probe every {interval} ms, sources {manner}",
            Masquerade(interval, manner, 15))
        for manner in ("closed", "dropped") for interval in (50, 10, 1)
    },
    "egw-delay": (True, True, "a probe every 5 ms, packets take 20 ms each way",
                  Masquerade(5, "closed", 3, (20, 20))),
    "egw-delay-drop": (False, True, "the same, SYNs dropped",
                       Masquerade(5, "dropped", 5, (20, 20))),
    "egw-late": (True, True, "a target that starts after masquerading did",
                 gateway_faults.late),
    "egw-stopped": (True, True, "a client stopped for 300 ms, probes of 100 ms, 40 ms away",
                    gateway_faults.stopped),
    "egw-starved": (True, True, "a client that runs out of descriptors", gateways.starved),
    "egw-stress": (True, True, "15,000 connections over loopback", gateways.stress),
    "egw-scrape": (True, True, "Prometheus reads /metrics", gateways.scraped),
    "egw-limit": (True, True, "connections up to the descriptor limit", gateways.exhausted),
    "longlived": (True, True, "two of three pods restart, three ways to end connections",
                  longlived.Restart(300, 2, 6, 9, 14, "1s")),
    # The bar on a machine that others use, too, is one that only a fall off the cliff misses.
    "longlived-hold": (True, False, "19,000 requests in flight between two processes",
                       longlived.Hold(19_000, 1, 5000)),
    "longlived-open": (False, False, "the same, five times, opened within a second",
                       longlived.Hold(19_000, 5, 1000)),
    "longlived-peers": (True, False, "Flask, Python, nginx, a shell pipeline",
                        longlived_peers.peers),
    "longlived-failures": (True, True, "a killed pod, resets, a name that is gone",
                           longlived_peers.failures),
    "longlived-crowd": (False, False, "102,000 requests in flight between twelve processes",
                        longlived.crowd),
    "longlived-age": (False, True, "the same for longer, connections of at most 5 s",
                      longlived.Restart(1000, 10, 20, 30, 40, "5s", prints_tables=True)),
}


def main():
    # So that every `with` and `finally` is left in order.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # where nft and ip are, if not root's PATH is ours
    options = arguments()
    names = chosen(options)
    judge_the_judge()
    raise_descriptor_limit()
    start = time.monotonic()
    watch = machine.Watch()
    try:
        outcome = {name: run(name, options, watch) for name in names}
    finally:
        watch.close()
    missed = [f"{name} ({what})" for name, found in outcome.items() for what in found["missed"]]
    if options.json:
        with open(options.json, "w") as file:
            json.dump(outcome, file, indent=1, default=plain)
    bars = sum(len(found["bars"]) for found in outcome.values())
    print(f"lab: {len(outcome)} scenarios, {bars} bars, {len(missed)} missed, "
          f"{time.monotonic() - start:.0f} s" + "".join(f"\n  missed: {what}" for what in missed))
    sys.exit(1 if missed else 0)


def plain(bar):
    """For JSON, which has no word for endless."""
    value = bar.value if math.isfinite(bar.value) else None
    return {**vars(bar), "value": value, "holds": bar.holds}


def arguments():
    listing = "\n".join(
        f"  {name:<16} {what}{', in quick' if quick else ''}"
        for name, (quick, _, what, _) in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="scenarios:\n" + listing,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = lambda message: (print(f"lab: {message}", file=sys.stderr), sys.exit(64))
    parser.add_argument("--sonde", required=True, help="the binary under test")
    parser.add_argument("--scenario", default="quick", help="quick, all, or names with commas")
    parser.add_argument("--target", default="sonde", choices=["sonde", "python"],
                        help="whose target answers (default: sonde)")
    parser.add_argument("--seed", type=int, default=1, help="order of the openings (default: 1)")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("client_flags", nargs="*", metavar="-- FLAG",
                        help="passed to every client, after the scenario's own")
    options = parser.parse_args()
    path = shutil.which(options.sonde)
    if not path:
        parser.error(f"--sonde {options.sonde}: not an executable file")
    options.sonde = [os.path.abspath(path)]
    return options


def chosen(options):
    if options.scenario == "all":
        names = list(SCENARIOS)
    elif options.scenario == "quick":
        names = [name for name, scenario in SCENARIOS.items() if scenario[0]]
    else:
        names = options.scenario.split(",")
        for name in names:
            if name not in SCENARIOS:
                print(f"lab: no scenario {name}; there are: {', '.join(SCENARIOS)}, quick, all",
                      file=sys.stderr)
                sys.exit(64)
    try:
        network.try_it()
    except network.NotPermitted as error:
        enter_user_namespace()
        skipped = [name for name in names if SCENARIOS[name][1]]
        if skipped:
            print(f"lab skipped: {', '.join(skipped)}: {error}")
        names = [name for name in names if name not in skipped]
        if not names:
            sys.exit(77)
    return names


def enter_user_namespace():
    """Starts anew as root of a user namespace, where the kernel lets ordinary users have one."""
    if os.geteuid() == 0 or not shutil.which("unshare"):
        return
    inside = ["unshare", "--user", "--map-root-user", "--net"]
    if os.spawnvp(os.P_WAIT, "unshare", [*inside, "ip", "link", "set", "lo", "up"]) == 0:
        again = 'ip link set lo up && exec "$@"'
        os.execvp("unshare", [*inside, "sh", "-c", again, "sh", sys.executable, *sys.argv])


def judge_the_judge():
    tests = unittest.defaultTestLoader.loadTestsFromNames(["test_judge", "test_support"])
    if not unittest.TextTestRunner(sys.stderr, verbosity=0).run(tests).wasSuccessful():
        sys.exit(1)


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(name, options, watch):
    """Runs a scenario; again, twice at the most, where it missed a time, and the machine was late
    by enough to be the reason. What is wrong at any speed (bounds, results) is not forgiven."""
    for _ in range(2):
        watch.begin()
        found = run_once(name, options)
        late = watch.worst_and_whole()
        missed = [bar for bar in found["bars"] if not bar.holds]
        if not found["missed"] or not all(machine.explains(bar, *late) for bar in missed):
            return found
        print(f"  the machine was late by {late[0]:.1f} ms at once, {late[1]:.0f} ms in sum: "
              "measured again", flush=True)
    return run_once(name, options)


def run_once(name, options):
    """Prints the scenario's table; a failure of the program is a missed bar, not an end."""
    print(f"{name}: {SCENARIOS[name][2]}", flush=True)
    try:
        found = SCENARIOS[name][3](options)
    except network.NotPermitted as error:
        print(f"  skipped: {error}", flush=True)
        return {"figures": {}, "bars": [], "missed": []}
    except (Failure, OSError, RuntimeError) as error:
        print(f"  FAILED: {error}", flush=True)
        # A bar of its own, so that nothing explains it away.
        bars = [judge.Bar(str(error), 1, 0)]
        return {"figures": {}, "bars": bars, "missed": [str(error)]}
    for what, figure in found["figures"].items():
        print(f"  {what:<24} {figure}")
    for what, table in found.pop("tables", {}).items():
        print(f"  {what}:\n" + "".join(f"      {line}\n" for line in table.splitlines()), end="")
    for bar in found["bars"]:
        print(bar)
        if not bar.holds and bar.name in found.get("examples", {}):
            print(f"      for example: {found['examples'][bar.name]}")
    found["missed"] = [bar.name for bar in found["bars"] if not bar.holds]
    sys.stdout.flush()
    return found


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
