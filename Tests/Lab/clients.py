"""The probe client behind a firewall: how far are its timestamps from the true openings?"""

import json
import math
import os
import random
import signal
import sys
import time
from contextlib import nullcontext
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
    # How many descriptors the client may have; 0: as many as we.
    descriptors: int = 0

    def __call__(self, options):
        network = Network(self.ipv6, self.mode, self.delay_ms, self.loss)
        # Where nobody listens yet, opening is what starts to listen.
        targets = nullcontext() if self.mode == "refused" else target(options, network)
        try:
            with targets, client(options, network, self.flags, self.descriptors) as program:
                return self.measure(options, network, program)
        finally:
            network.close()

    def measure(self, options, network, program):
        addresses = [network.address(index) for index in range(self.targets)]
        if self.deny:
            network.gate.open(addresses)
        program.ask_for("/check", "POST", connection_list(addresses))
        time.sleep(2.5)  # every target has been probed once, also at the idle pace

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

        results = settled_results(program, self.targets)
        comparison = judge.compare(changes, results)
        broken = allowed_broken(self.targets, self.loss)
        figures = program.figures()
        figures["descriptors"] = max(descriptors, figures["descriptors"])
        bars = judge.bars(comparison, self.p99_ms, broken)
        if self.descriptors:
            bars.append(judge.Bar("descriptors", figures["descriptors"], self.descriptors))
        return {
            "numbers": {
                "p50_ms": comparison.percentile(0.5), "p99_ms": comparison.percentile(0.99),
                "probes": probes(program), **figures},
            "figures": {
                "error p50/p90/p99/max": " / ".join(
                    f"{comparison.percentile(share):.1f}" for share in (0.5, 0.9, 0.99, 1)) + " ms",
                "largest uncertainty": f"{max(comparison.uncertainties, default=0):.1f} ms",
                "turned away": f"{network.gate.blocked():,}",
                # Not an error; but where this is large, the machine had no time for anybody.
                "changes late by up to": f"{late * 1000:.1f} ms",
                **readable(figures),
            },
            "bars": bars,
            "examples": comparison.examples,
        }


def settled_results(program, targets):
    """All results, waiting at most 10 s after the last change for the missing ones.

    A lower bound is final when the older probes of its target have had their say; until then
    it holds, but is wider than it will be.
    """
    limit = time.monotonic() + 10
    while True:
        status = program.ask_json("/status")
        results = program.ask_json("/results")
        is_settled = status.get("phase", "done") == "done"
        if len(results) >= targets and is_settled or time.monotonic() > limit:
            return results
        time.sleep(0.5)


def probes(program):
    """How many it has sent so far; None if it does not say."""
    return program.ask_json("/status").get("probes")


def stopped(options, targets=20):
    """From its opening on each target accepts, by its kernel; but it answers only 2 s later.

    Whoever was let through is no witness for a closed target, though its probe came to nothing.
    """
    network = Network()
    addresses = [network.address(index) for index in range(targets)]
    try:
        with target(options, network) as server, \
                client(options, network, ("--no-gate",)) as program:
            program.ask_for("/check", "POST", connection_list(addresses))
            time.sleep(2.5)
            server.process.send_signal(signal.SIGSTOP)
            changes = open_one_by_one(network, addresses, 0.01)
            time.sleep(2)
            early = program.ask_json("/results")
            continued = time.time_ns()
            server.process.send_signal(signal.SIGCONT)
            results = settled_results(program, targets)
            comparison = judge.compare(changes, results)
    finally:
        network.close()
    answers = [judge.nanoseconds(result["timestamp"]) - continued for result in results]
    # None where the client does not say.
    connects = [judge.nanoseconds(result["connectedat"]) - changes[result["address"]].before
                for result in results if result.get("connectedat")]
    return {
        "figures": {"first connection p50/max": " / ".join(
            f"{judge.rank(connects or [math.inf], share) / 1e6:.1f}"
            for share in (0.5, 1)) + " ms"},
        "bars": judge.bars(comparison, 3000) + [
            judge.Bar("results too early", len(early), 0),
            judge.Bar("answer after SIGCONT", max(answers, default=math.inf) / 1e6, 500, "ms"),
            judge.Bar("connections not told", targets - len(connects), 0),
            judge.Bar("first connection", max(connects, default=math.inf) / 1e6, 120, "ms"),
        ],
        "examples": comparison.examples,
    }


def paused(options, targets=12):
    """The client is stopped for 300 ms, again and again: what came meanwhile is no timeout.

    Each time right after an opening, so that a SYN is under way that will be let through.
    """
    network = Network(mode="reject", delay_ms=(5, 5))
    addresses = [network.address(index) for index in range(targets)]
    flags = ("--no-gate", "--interval", "5ms", "--timeout", "100ms")
    changes = {}
    try:
        with target(options, network), client(options, network, flags) as program:
            program.ask_for("/check", "POST", connection_list(addresses))
            for index, address in enumerate(addresses):
                time.sleep(0.3)
                changes.update(open_one_by_one(network, [address], 0, index))
                program.process.send_signal(signal.SIGSTOP)
                time.sleep(0.3)
                program.process.send_signal(signal.SIGCONT)
            comparison = judge.compare(changes, settled_results(program, targets))
            failures = program.ask_json("/status")["failures"]
    finally:
        network.close()
    return {
        "figures": {
            "error p50/max": f"{comparison.percentile(0.5):.1f} / "
            f"{comparison.percentile(1):.1f} ms", "refused": f"{failures['refused']:,}"},
        "bars": judge.bars(comparison, 500) + [
            judge.Bar("timeouts", failures["timeout"], 0),
            # Otherwise nothing was under way when it was stopped.
            judge.Bar("refusals missing", max(0, 1000 - failures["refused"]), 0),
        ],
        "examples": comparison.examples,
    }


def open_one_by_one(network, addresses, pause, first=0):
    changes = {}
    for index, address in enumerate(addresses, first):
        before, after = network.gate.open([address])
        changes[address] = judge.Change(PORT, index, policy_name(index), before, after)
        time.sleep(pause)
    return changes


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


def growth(options):
    """A hundred targets, then ten thousand, at one pace: 10,000 probes a second, none answered."""
    costs, memory = {}, {}
    for targets in (100, 10_000):
        network = Network()
        try:
            # Ten probes of each are out, or one of ten: as many flights at any time.
            flags = ("--no-gate", "--interval", f"{targets // 10}ms", "--max-rate", "10000")
            with client(options, network, flags) as program:
                program.ask_for(
                    "/check", "POST", connection_list(network.address(i) for i in range(targets)))
                time.sleep(3)
                before, sent = program.figures(), network.gate.blocked()
                time.sleep(6)
                after, sent = program.figures(), network.gate.blocked() - sent
                costs[targets] = (after["processor_s"] - before["processor_s"]) / sent * 1e6
                memory[targets] = after["anonymous_mb"] * 2**20
        finally:
            network.close()
    each = (memory[10_000] - memory[100]) / 9_900
    few, many = costs[100], costs[10_000]
    return {
        "numbers": {"few_us": few, "many_us": many, "target_b": each},
        "figures": {"processor a probe": f"{few:.1f} µs of 100 targets, {many:.1f} µs of 10,000"},
        "bars": [
            judge.Bar("processor, many to few", many / few, 1.2),
            judge.Bar("memory a target", each, 400, "B"),
        ],
    }


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


def client(options, network, flags=(), descriptors=0):
    place, port = (network.client, CLIENT_PORT) if network else (None, free_port())
    command = [*options.sonde, "netpol", "client", "--listen", f"127.0.0.1:{port}"]
    command += [*flags, *options.client_flags]
    if descriptors:
        command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]
    return Program(command, port, place)


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
