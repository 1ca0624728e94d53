"""The egress gateway's client where something else than the gateway is at fault: a target that is
not there yet, and the client itself, stopped.
"""

import os
import random
import signal
import time

import judge
from gateways import Gateway, client, target


def late(options, runs=3):
    """Masquerading works while nobody is there; what was refused until then proves nothing."""
    faults = dict.fromkeys(
        ("bound broken", "nothing presumed", "proof out of nothing", "not ready"), 0)
    examples, presumed = {}, []
    moments = random.Random(options.seed)
    for _ in range(runs):
        network = Gateway("closed")
        try:
            with client(options, network, ["--interval", "10ms"]) as program:
                time.sleep(moments.uniform(0.3, 0.6))
                _, after = network.masquerade()
                time.sleep(moments.uniform(0.3, 0.6))
                with target(options, network):
                    status = settled(program)
                    metrics = program.ask_for("/metrics").decode()
        finally:
            network.close()
        floors = [status[key] and judge.nanoseconds(status[key])
                  for key in ("notbefore", "presumednotbefore")]
        presumed.append(status["presumeduncertaintyms"] or 0)
        for fault, is_there in (
            ("not ready", not status["ready"]),
            ("bound broken", floors[0] is not None and floors[0] > after),
            # It is later than the truth here, and nobody can know; so it must be called what it is.
            ("nothing presumed", not floors[1] or 'evidence="presumed"' not in metrics),
            ("proof out of nothing", floors[0] or 'evidence="proven"' in metrics),
        ):
            faults[fault] += bool(is_there)
            if is_there:
                examples.setdefault(fault, f"{status}: masqueraded by {after}")
    return {
        "figures": {"presumed uncertainty": ", ".join(f"{width:.0f} ms" for width in presumed)},
        "bars": [judge.Bar(fault, count, 0) for fault, count in faults.items()],
        "examples": examples,
    }


def settled(program):
    """The status when the bounds are final, or after five seconds."""
    limit = time.monotonic() + 5
    status = program.ask_json("/status")
    while status["phase"] != "done" and time.monotonic() < limit:
        time.sleep(0.05)
        status = program.ask_json("/status")
    return status


def stopped(options):
    """A client that is stopped for 300 ms again and again, with probes of 100 ms under way."""
    network = Gateway("closed", (20, 20))
    flags = ["--interval", "5ms", "--probe-timeout", "100ms"]
    try:
        with target(options, network), client(options, network, flags) as program:
            program.ask_json("/status")
            for _ in range(8):
                time.sleep(0.07)
                os.kill(program.pid, signal.SIGSTOP)
                time.sleep(0.3)
                os.kill(program.pid, signal.SIGCONT)
            time.sleep(0.3)
            status = program.ask_json("/status")
    finally:
        network.close()
    return {
        "figures": {"misses": ", ".join(f"{k} {n}" for k, n in status["misses"].items() if n)},
        "bars": [
            judge.Bar("answers booked as a timeout", status["misses"]["timeout"], 0),
            judge.Bar("no probe was answered", int(status["misses"]["closed"] == 0), 0),
        ],
    }
