"""The probe client behind a firewall: how far are its timestamps from the true openings?"""

import json
import os
import random
import sys
import time
from dataclasses import dataclass

import judge
from network import PORT, Network
from program import Program, free_port

CLIENT_PORT = 9001
HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass(frozen=True)
class Run:
    """Targets opened (or shut) one after the other, in random order."""

    targets: int
    per_second: int
    p99_ms: float
    flags: tuple = ()
    mode: str = "drop"
    ipv6: bool = False
    deny: bool = False
    delay_ms: tuple = ()
    # The share of the client's packets that the path loses: a lower bound may be wrong as often.
    loss: float = 0

    def __call__(self, options):
        network = Network(self.ipv6, self.mode, self.delay_ms, self.loss)
        try:
            with target(options, network), client(options, network, self.flags) as program:
                return self.measure(options, network, program)
        finally:
            network.close()

    def measure(self, options, network, program):
        addresses = [network.address(index) for index in range(self.targets)]
        if self.deny:
            network.gate.open(addresses)
        program.ask_for("/check", "POST", connection_list(addresses))
        time.sleep(2.5)  # every target has been probed once, also at the idle pace of 1 s

        order = list(range(self.targets))
        random.Random(options.seed).shuffle(order)
        change = network.gate.shut if self.deny else network.gate.open
        changes, descriptors, late = {}, 0, 0
        start = time.monotonic()
        for count, index in enumerate(order):
            due = start + count / self.per_second
            time.sleep(max(0, due - time.monotonic()))
            late = max(late, time.monotonic() - due)
            before, after = change([addresses[index]])
            changes[addresses[index]] = judge.Change(
                PORT, index, policy_name(index), before, after)
            descriptors = max(descriptors, program.descriptors())

        results = self.collect(program)
        comparison = judge.compare(changes, results)
        broken = allowed_broken(self.targets, self.loss)
        figures = program.figures()
        figures["descriptors"] = max(descriptors, figures["descriptors"])
        return {
            "figures": {
                "error p50/p90/p99/max": " / ".join(
                    f"{comparison.percentile(share):.1f}" for share in (0.5, 0.9, 0.99, 1)) + " ms",
                "largest uncertainty": f"{max(comparison.uncertainties, default=0):.1f} ms",
                "SYNs turned away": f"{network.gate.blocked():,}",
                # Not an error; but where this is large, the machine had no time for anybody.
                "changes late by up to": f"{late * 1000:.1f} ms",
                **readable(figures),
            },
            "bars": judge.bars(comparison, self.p99_ms, broken),
            "late_ms": late * 1000,
            "examples": comparison.examples,
        }

    def collect(self, program):
        """All results, waiting at most 10 s after the last change for the missing ones.

        A lower bound is final when the older probes of its target have had their say; until then
        it holds, but is wider than it will be.
        """
        limit = time.monotonic() + 10
        while True:
            status = program.ask_json("/status")
            results = program.ask_json("/results")
            is_settled = status.get("phase", "done") == "done"
            if len(results) >= self.targets and is_settled or time.monotonic() > limit:
                return results
            time.sleep(0.5)


def allowed_broken(targets, loss):
    """The expected number where each is wrong with chance `loss`, and three deviations more."""
    return int(targets * loss + 3 * (targets * loss * (1 - loss)) ** 0.5)


def memory(options, targets=10_000):
    """Targets that never open, at the defaults."""
    network = Network()
    try:
        with client(options, network) as program:
            program.ask_for(
                "/check", "POST", connection_list(network.address(i) for i in range(targets)))
            time.sleep(10)
            found = program.ask_json("/results")
            figures = program.figures()
            return {
                "figures": {"SYNs turned away": f"{network.gate.blocked():,}", **readable(figures)},
                "bars": [
                    judge.Bar("resident memory", figures["resident_mb"], 24, "MB"),
                    judge.Bar("results out of nothing", len(found), 0),
                    # Otherwise nothing was pending, and the memory says nothing.
                    judge.Bar("targets not probed", targets - network.gate.blocked(), 0),
                ],
            }
    finally:
        network.close()


def idle(options):
    """A client that was never asked for anything."""
    with client(options, None) as program:
        time.sleep(1)
        figures = program.figures()
    return {
        "figures": readable(figures),
        "bars": [
            judge.Bar("resident memory", figures["resident_mb"], 13, "MB"),
            judge.Bar("anonymous memory", figures["anonymous_mb"], 1, "MB"),
        ],
    }


def client(options, network, flags=()):
    place, port = (network.client, CLIENT_PORT) if network else (None, free_port())
    command = [*options.sonde, "netpol", "client", "--listen", f"127.0.0.1:{port}"]
    return Program(command + list(flags) + options.client_flags, port, place)


def target(options, network):
    wildcard, loopback = ("::", "::1") if network.ipv6 else ("0.0.0.0", "127.0.0.1")
    if options.target == "python":
        command = [sys.executable, os.path.join(HERE, "target.py"), wildcard, PORT]
    else:
        listen = f"[{wildcard}]:{PORT}" if network.ipv6 else f"{wildcard}:{PORT}"
        command = [*options.sonde, "netpol", "target", "--listen", listen]
    # The gate does not turn away whoever waits for it to listen.
    network.gate.open([loopback])
    return Program(command, PORT, network.target, loopback)


def policy_name(index):
    return f"ingress-0-{index}"


def connection_list(addresses):
    return json.dumps([
        {"addresses": [address], "ports": [PORT], "netpol": policy_name(index)}
        for index, address in enumerate(addresses)
    ])


def readable(figures):
    share = figures["processor_s"] / figures["wall_s"]
    return {
        "memory": f"{figures['resident_mb']:.1f} MB resident, {figures['peak_mb']:.1f} MB peak, "
        f"{figures['anonymous_mb']:.2f} MB anonymous",
        "processor": f"{figures['processor_s']:.2f} s of {figures['wall_s']:.1f} s ({share:.0%})",
        "descriptors": f"{figures['descriptors']:,}",
    }
