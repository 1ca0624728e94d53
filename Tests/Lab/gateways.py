"""The egress gateway's client and target, in namespaces with a masquerading rule that comes at a
known moment: how far is the reported delay from the true one, and do its bounds hold the truth?
"""

import json
import math
import os
import random
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import judge
from network import Network, NotPermitted, Nftables
from program import Failure, Program, fetch

TARGET, POD, GATEWAY = "10.220.0.2", "10.220.0.1", "10.220.0.3"
TARGET_PORT, API_PORT = 1337, 2112


class Gateway(Network):
    """A client with two addresses, a target that wants the second, and no rule to use it yet."""

    def __init__(self, manner, delay_ms=None):
        self.nftables = None
        super().__init__(mode=manner, delay_ms=delay_ms)

    def build(self, mode, delay_ms, loss):
        self.lay_cable(delay_ms)
        for address in (POD, GATEWAY):
            self.client.run("ip", "addr", "add", f"{address}/24", "dev", "client0")
        self.client.run("ip", "link", "set", "client0", "up")
        self.target.run("ip", "addr", "add", f"{TARGET}/24", "dev", "target0")
        self.target.run("ip", "link", "set", "target0", "up")
        # An element takes effect sooner after it was asked for than a new rule does, and the kernel
        # remembers connections from the start, as that of a gateway does.
        self.client.run("nft", "-f", "-", stdin=f"""
            table ip gateway {{
                set targets {{ type ipv4_addr; }}
                chain post {{
                    type nat hook postrouting priority 100; policy accept;
                    ip daddr @targets tcp dport {TARGET_PORT} snat to {GATEWAY}
                }}
            }}""")
        if mode == "dropped":
            self.target.run("nft", "-f", "-", stdin=f"""
                table ip wall {{
                    chain input {{
                        type filter hook input priority 0; policy accept;
                        ip saddr {POD} tcp dport {TARGET_PORT} drop
                    }}
                }}""")
        self.nftables = Nftables(self.client)

    def masquerade(self):
        """Returns the wall clock (ns) before and after: the change lies between the two."""
        return self.nftables.run(f"add element ip gateway targets {{ {TARGET} }}")

    def close(self):
        if self.nftables:
            self.nftables.close()
        super().close()


@dataclass
class Findings:
    """What all runs of a scenario together show; times in milliseconds."""

    errors: list = field(default_factory=list)
    changes: list = field(default_factory=list)
    late: list = field(default_factory=list)
    late_probes: list = field(default_factory=list)
    uncertainties: list = field(default_factory=list)
    faults: dict = field(default_factory=dict)
    examples: dict = field(default_factory=dict)

    def fault(self, kind, example):
        self.faults[kind] = self.faults.get(kind, 0) + 1
        self.examples.setdefault(kind, example)


@dataclass(frozen=True)
class Masquerade:
    """The same test again and again, each time in namespaces of its own."""

    interval_ms: float
    manner: str
    runs: int
    delay_ms: tuple = ()

    FAULTS = ("bound broken", "proof out of silence", "wrong uncertainty", "wrong delay",
              "misses do not add up", "ready too early", "not ready")

    def __call__(self, options):
        findings = Findings()
        moments = random.Random(options.seed)
        for _ in range(self.runs):
            network = Gateway(self.manner, self.delay_ms)
            try:
                with target(options, network), client(options, network, self.flags()) as program:
                    self.measure(network, program, moments.uniform(1.2, 1.9), findings)
            finally:
                network.close()
        # The connection that was answered took this long; the probe was sent as much earlier.
        round_trip = sum(self.delay_ms)
        errors, sent = sorted(findings.errors), sorted(findings.late_probes)
        return {
            "figures": {
                "error p50/max": f"{judge.rank(errors, 0.5):.2f} / {errors[-1]:.2f} ms",
                "probe sent after p50/max": f"{judge.rank(sent, 0.5):.2f} / {sent[-1]:.2f} ms",
                "uncertainty p50/max": f"{judge.rank(findings.uncertainties, 0.5):.2f} / "
                f"{max(findings.uncertainties):.2f} ms",
                "the change took up to": f"{max(findings.changes):.2f} ms",
            },
            "bars": [
                judge.Bar("answer after the change", max(findings.late),
                          self.interval_ms + round_trip + 1, "ms"),
                judge.Bar("probe sent after it", sent[-1], self.interval_ms + 1, "ms"),
            ] + [judge.Bar(kind, findings.faults.get(kind, 0), 0) for kind in self.FAULTS],
            "examples": findings.examples,
        }

    def flags(self):
        return ["--interval", f"{self.interval_ms}ms"]

    def measure(self, network, program, wait, findings):
        time.sleep(wait)
        early = program.ask_json("/status")
        if program.ask("GET", "/readyz") != (500, b""):
            findings.fault("ready too early", early)
        before, after = network.masquerade()
        findings.changes.append((after - before) / 1e6)
        limit = time.monotonic() + 5
        while program.ask("GET", "/readyz") != (200, b"") and time.monotonic() < limit:
            time.sleep(0.005)
        status = program.ask_json("/status")
        if not status["ready"]:
            findings.fault("not ready", status)
        self.judge(status, before, after, findings)
        while status["phase"] != "done" and time.monotonic() < limit:
            time.sleep(0.1)
            status = program.ask_json("/status")
        self.judge(status, before, after, findings)
        findings.uncertainties.append(self.bound(status)[1] or math.inf)
        if sum(status["misses"].values()) != status["probes"] - 1 or status["inflight"]:
            findings.fault("misses do not add up", status)

    def judge(self, status, before, after, findings):
        """Once the target has answered, and again when the bounds are final."""
        if "masqueradedat" not in status:
            for times in (findings.errors, findings.late, findings.late_probes):
                times.append(math.inf)
            return
        moment = judge.nanoseconds(status["masqueradedat"])
        start = judge.nanoseconds(status["startedat"])
        bound, width = self.bound(status)
        error = (moment - before) / 1e6
        # The change came somewhere within: late is what is late whenever it came.
        late = (moment - after) / 1e6
        findings.errors.append(error)
        findings.late.append(late)
        findings.late_probes.append(late - status["connectms"])
        if moment < before or width is not None and moment - width * 1e6 > after:
            findings.fault("bound broken", f"{status}: masqueraded at {before}…{after}")
        if self.manner == "dropped" and status["notbefore"] is not None:
            findings.fault("proof out of silence", status)
        if abs((moment - start) / 1e6 - status["delayms"]) > 1:
            findings.fault("wrong delay", status)
        if bound is not None:
            floor = judge.nanoseconds(bound)
            if abs((moment - floor) / 1e6 - width) > 1:
                findings.fault("wrong uncertainty", status)

    def bound(self, status):
        """The target is there all the time: what is presumed from silence is true, too."""
        kind = "presumed" if self.manner == "dropped" else ""
        return status[kind + "notbefore"], status[kind + "uncertaintyms"]


def starved(options):
    """Without descriptors probes fail here, which is told apart, and the test goes on."""
    network = Gateway("closed")
    command = ["sh", "-c", 'ulimit -n 40; exec "$@"', "sh", *options.sonde, "egw", "client"]
    flags = ["--external-target-addr", f"{TARGET}:{TARGET_PORT}", "--interval", "10ms"]
    program = Program(command + flags, API_PORT, network.client)
    try:
        with target(options, network), program, ExitStack() as stack:
            before = program.ask_json("/status")
            for _ in range(60):  # connections that ask nothing: descriptors of the client's
                stack.callback(program.connect().close)
            time.sleep(0.5)
            stack.close()
            time.sleep(0.1)
            middle = program.ask_json("/status")
            truth, _ = network.masquerade()
            time.sleep(0.5)
            after = program.ask_json("/status")
            leaked = b"\negw_scale_test_leaked_requests_total "
            leaks = int(program.ask_for("/metrics").split(leaked)[1].split()[0])
    finally:
        network.close()
    local = middle["misses"]["local"]
    moment = judge.nanoseconds(after["masqueradedat"]) if "masqueradedat" in after else math.inf
    return {
        "figures": {"misses": ", ".join(f"{k} {n}" for k, n in after["misses"].items() if n)},
        "bars": [
            judge.Bar("local before", before["misses"]["local"], 0),
            judge.Bar("no local while starved", int(local == 0), 0),
            judge.Bar("local afterwards", after["misses"]["local"] - local, 0),
            judge.Bar("held against the target",
                      leaks - after["misses"]["closed"], 0),
            judge.Bar("other kinds", after["misses"]["timeout"] + after["misses"]["refused"], 0),
            judge.Bar("error", (moment - truth) / 1e6, 11, "ms"),
            judge.Bar("misses do not add up",
                      abs(sum(after["misses"].values()) - after["probes"] + 1), 0),
        ],
    }


def stress(options, attempts=5, count=15_000):
    """Connections over loopback: how quickly, in how much memory, and are closes counted."""
    rates, memories, closes, slow = [], [], [], []
    for _ in range(attempts):
        network = Network()
        try:
            with stressed(options, network, count) as (target, program, idle):
                status = stress_status(program, count, slow)
                rates.append(status["opened"] / status["elapsedms"] * 1000)
                memories.append([
                    (one.figures()["resident_mb"] - before) * 2**20 / count
                    for one, before in zip((program, target), idle)
                ])
                target.process.kill()
                target.process.wait()
                time.sleep(1)
                closes.append(program.ask_json("/status")["stress"]["closed"])
        finally:
            network.close()
    ours, theirs = (max(sides) for sides in zip(*memories))
    return {
        "figures": {
            "connections a second": ", ".join(f"{rate:,.0f}" for rate in sorted(rates)),
            "client, target": f"{ours:.0f} B, {theirs:.0f} B resident a connection",
            "/metrics meanwhile": f"{max(slow) * 1000:.1f} ms at most, {len(slow)} times",
        },
        "bars": [
            # On a machine that others use, the best attempt says what the program can do.
            judge.Bar("time a connection, best", 1e6 / max(rates), 25, "µs"),
            judge.Bar("client's memory", ours, 614, "B"),
            judge.Bar("target's memory", theirs, 614, "B"),
            judge.Bar("closes not counted", max(abs(count - n) for n in closes), 0),
            judge.Bar("/metrics meanwhile", max(slow) * 1000, 250, "ms"),
        ],
    }


def exhausted(options):
    """At the limit of descriptors the test ends for that reason, and the API goes on."""
    network = Network()
    try:
        with stressed(options, network, 0, limit=1000) as (_, program, _idle):
            stress_status(program, 800, [])
            limit = time.monotonic() + 5
            status = program.ask_json("/status")
            while not status["ready"] and time.monotonic() < limit:
                time.sleep(0.05)
                status = program.ask_json("/status")
            answers = [program.ask("GET", path)[0] for path in ["/metrics", "/readyz"] * 50]
            found = program.figures()["descriptors"]
    finally:
        network.close()
    ended = status["stress"].get("end")
    return {
        "figures": {"ended": f"{ended} with {status['stress']['open']} connections"},
        "bars": [
            judge.Bar("requests unanswered", sum(answer != 200 for answer in answers), 0),
            judge.Bar("wrong reason", int(ended != "out-of-descriptors"), 0),
            judge.Bar("target blamed", status["stress"]["targetfailures"], 0),
            judge.Bar("descriptors", found, 1000),
        ],
    }


def scraped(options):
    """What Prometheus itself says of /metrics: its linter at every stage, and a scrape."""
    for tool in ("promtool", "prometheus"):
        if not shutil.which(tool):
            raise NotPermitted(f"{tool} is not installed (Debian: prometheus)")
    network = Network()
    complaints, checks = [], 0
    config = {"scrape_configs": [{
        "job_name": "egw", "scrape_interval": "500ms", "scrape_timeout": "500ms",
        "static_configs": [{"targets": [f"127.0.0.1:{API_PORT}", f"127.0.0.1:{API_PORT + 1}"]}],
    }]}
    try:
        with stressed(options, network, 200) as (target, program, _idle), \
                tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "prometheus.yml"), "w") as file:
                json.dump(config, file)  # which is YAML, too
            command = ["prometheus", f"--config.file={folder}/prometheus.yml",
                       f"--storage.tsdb.path={folder}/data", "--web.listen-address=127.0.0.1:9090"]
            with Program(command, 9090, network.client) as prometheus:
                for _ in range(8):
                    for answer in (program.ask_for("/metrics"), metrics_of_target(network)):
                        done = subprocess.run(
                            ["promtool", "check", "metrics"], input=answer, capture_output=True)
                        checks += 1
                        complaints += [done.stderr.decode()] if done.returncode else []
                    time.sleep(0.3)
                time.sleep(5)  # it takes its time to find its targets
                found = {
                    name: [float(one["value"][1]) for one in prometheus.ask_json(
                        f"/api/v1/query?query={name}")["data"]["result"]]
                    for name in ("up", "egw_scale_test_masquerade_delay_seconds_total",
                                 "egw_scale_test_stress_connections_total",
                                 "egw_scale_test_stress_connection_latency_seconds_count",
                                 "sonde_egw_target_answered_total")
                }
    finally:
        network.close()
    delays = found["egw_scale_test_masquerade_delay_seconds_total"]
    wrong = [name for name, values, wanted in (
        ("up", found["up"], [1, 1]), ("delay", [len(delays), delays[:1] > [0]], [1, True]),
        ("connections", sorted(found["egw_scale_test_stress_connections_total"]), [0, 200]),
        ("latency", found["egw_scale_test_stress_connection_latency_seconds_count"], [200]),
        ("answered", [n > 200 for n in found["sonde_egw_target_answered_total"]], [True]),
    ) if values != wanted]
    return {
        "figures": {"checked": f"{checks} answers by promtool, 5 families in Prometheus"},
        "bars": [
            judge.Bar("promtool's complaints", len(complaints), 0),
            judge.Bar("wrong in Prometheus", len(wrong), 0),
        ],
        "examples": {"promtool's complaints": "".join(complaints)[:500],
                     "wrong in Prometheus": f"{wrong}: {found}"},
    }


def metrics_of_target(network):
    return fetch(API_PORT + 1, "/metrics", place=network.client)[1]


@contextmanager
def stressed(options, network, count, limit=None):
    """A target and a client on one loopback, and their memory (MB) while idle."""
    place = network.client
    listen = ["--allowed-cidr", "127.0.0.0/8", "--keep-open", "--listen-port", TARGET_PORT,
              "--metrics-listen", f"127.0.0.1:{API_PORT + 1}"]
    command = [*options.sonde, "egw", "client", "--stress", "--stress-delay", "500ms",
               "--external-target-addr", f"127.0.0.1:{TARGET_PORT}"]
    command += [word for n in (2, 3) for word in ("--source-addr", f"127.0.0.{n}")]
    if count:
        command += ["--stress-max", count]
    if limit:
        command = ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *command]
    with Program([*options.sonde, "egw", "external-target", *listen], TARGET_PORT, place) as kept:
        with Program(command, API_PORT, place) as program:
            program.ask_json("/status")
            idle = [one.figures()["resident_mb"] for one in (program, kept)]
            yield kept, program, idle


def stress_status(program, count, slow):
    """Asks for metrics all the while; returns the status when all connections are open."""
    limit = time.monotonic() + 20
    while time.monotonic() < limit:
        start = time.monotonic()
        metrics = program.ask_for("/metrics")
        slow.append(time.monotonic() - start)
        line = b'egw_scale_test_stress_connections_total{operation="open"} '
        if int(metrics.split(line)[1].split()[0]) >= count:
            time.sleep(0.2)
            return program.ask_json("/status")["stress"]
        time.sleep(0.02)
    raise Failure(f"{program.name}: not {count} connections after 20 s")


def client(options, network, flags=()):
    command = [*options.sonde, "egw", "client", "--external-target-addr",
               f"{TARGET}:{TARGET_PORT}", *flags]
    return Program(command, API_PORT, network.client)


def target(options, network):
    command = [*options.sonde, "egw", "external-target", "--allowed-cidr", f"{GATEWAY}/32"]
    return Program([*command, "--listen-port", TARGET_PORT], TARGET_PORT, network.target)
