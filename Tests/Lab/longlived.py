"""Servers behind one service address, as kube-proxy does it, and a client that holds connections:
how its requests spread before, while and after two of three servers restart.
"""

import json
import math
import os
import resource
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass

import judge
from network import Network, Nftables
from program import Failure, Program, free_port
from sondetest.kernel import processor_seconds, resident
from sondetest.processes import Process, fetch

SERVICE, SERVICE_PORT, POD_PORT = "10.96.0.10", 80, 5000
PODS = {"pod-a": "10.230.0.11", "pod-b": "10.230.0.12", "pod-c": "10.230.0.13"}
# A Deployment gives a pod that it starts anew another name.
HEIRS = {"pod-b": "pod-d", "pod-c": "pod-e"}
LIVING = ["pod-a", *HEIRS.values()]


class Service(Network):
    """A client, and three pods' addresses behind an address that picks one per connection."""

    def __init__(self):
        self.nftables = None
        super().__init__()

    def build(self, mode, delay_ms, loss):
        self.lay_cable(delay_ms)
        self.client.run("ip", "addr", "add", "10.230.0.1/24", "dev", "client0")
        self.client.run("ip", "link", "set", "client0", "up")
        self.client.run("ip", "route", "add", f"{SERVICE}/32", "via", "10.230.0.2")
        for address in ("10.230.0.2", *PODS.values()):
            self.target.run("ip", "addr", "add", f"{address}/24", "dev", "target0")
        self.target.run("ip", "link", "set", "target0", "up")
        self.client.run("nft", "-f", "-", stdin="""
            table ip service {
                chain pick { type nat hook output priority -100; policy accept; }
            }""")
        self.nftables = Nftables(self.client)
        self.endpoints(PODS)

    def endpoints(self, pods):
        """From now on new connections go to one of these, each as likely as any other."""
        addresses = ", ".join(f"{place} : {PODS[pod]}" for place, pod in enumerate(pods))
        pick = f"numgen random mod {len(pods)} map {{ {addresses} }}"
        rule = f"ip daddr {SERVICE} tcp dport {SERVICE_PORT} dnat to {pick}:{POD_PORT}"
        self.nftables.run(f"flush chain ip service pick; add rule ip service pick {rule}")

    def close(self):
        if self.nftables:
            self.nftables.close()
        super().close()


class Client(Process):
    """`with Client(…)`: runs beside the scenario; `finish` gives its figures."""

    patience = 0

    def __init__(self, options, url, flags, namespace=None, before=()):
        self.folder = tempfile.TemporaryDirectory()
        self.json = os.path.join(self.folder.name, "client.json")
        super().__init__([*before, *options.sonde, "longlived", "client", url,
                          "--json", self.json, *flags], namespace, apart=True)

    def end(self):
        super().end()
        self.folder.cleanup()

    def finish(self, timeout=60):
        code = self.wait(timeout)
        try:
            with open(self.json) as file:
                found = json.load(file)
        except (OSError, ValueError):
            raise Failure(f"longlived client: no figures: {self.last_words()}") from None
        return Outcome(found, code, self.output, self.log)


@dataclass
class Outcome:
    figures: dict
    code: int
    output: str
    errors: str

    def counts(self, first, end):
        """Answers by pod within these seconds of the run."""
        names = [pod["name"] for pod in self.figures["pods"]]
        series = [one["counts"] for one in self.figures["series"][first:end]]
        return dict(zip(names, (sum(counts) for counts in zip(*series))))


def all_failures(figures):
    return {**figures["failures"], **figures["localfailures"]}


def jain(counts, pods=PODS):
    """Over all pods, those that answered nothing included."""
    values = [counts.get(pod, 0) for pod in pods]
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 0


def server(options, name, address, port, flags=(), namespace=None):
    command = [*options.sonde, "longlived", "server", "--listen", f"{address}:{port}",
               "--pod-id", name, *(str(flag) for flag in flags)]
    return Program(command, port, namespace, address=address)


@dataclass(frozen=True)
class Restart:
    """Two of three pods go and come back under new names, as from a Deployment, under servers that
    end connections in three ways; and once more for a client that was not promised three pods.

    The cases run side by side, each in namespaces of its own. Seconds of the run: the pods go
    at `gone`, come back at `back`, and from `judged` to `end` what they get is counted.
    """

    connections: int
    gone: int
    back: int
    judged: int
    end: int
    max_age: str
    prints_tables: bool = False

    def __call__(self, options):
        cases = {"close": ("--connection", "close"), "keep-alive": (),
                 "max-age": ("--max-age", self.max_age),
                 "nothing promised": ("--connection", "close")}
        with ExitStack() as stack:
            services = {name: Service() for name in cases}
            for service in services.values():
                stack.callback(service.close)
            pods = {}
            for case, service in services.items():
                for pod in PODS:
                    pods[case, pod] = self.start(options, service, pod, cases[case])
                    stack.enter_context(pods[case, pod])
            clients = {case: stack.enter_context(self.client(
                options, service, () if case == "nothing promised" else ("--pods", 3)))
                       for case, service in services.items()}
            start = time.monotonic()
            wait_until(start + self.gone)
            for case, service in services.items():
                service.endpoints(["pod-a"])
                for pod in HEIRS:
                    pods[case, pod].end()
            wait_until(start + self.back)
            for case, service in services.items():
                for pod, heir in HEIRS.items():
                    stack.enter_context(self.start(options, service, pod, cases[case], heir))
                service.endpoints(PODS)
            outcomes = {case: client.finish() for case, client in clients.items()}
        return self.judge(outcomes)

    def start(self, options, service, pod, flags, name=None):
        delay = ("--delay", "50ms..150ms", "--grace", "200ms")
        return server(options, name or pod, PODS[pod], POD_PORT, (*delay, *flags), service.target)

    def client(self, options, service, promise):
        flags = (*promise, "--connections", self.connections, "--think", "50ms..150ms", "--quiet",
                 "--duration", f"{self.end}s", "--max-failures", 10**6, "--seed", options.seed)
        return Client(options, f"http://{SERVICE}:{SERVICE_PORT}/", flags, service.client)

    def judge(self, outcomes):
        figures, found = {}, {}
        for case, outcome in outcomes.items():
            before = jain(outcome.counts(0, self.gone))
            counts = outcome.counts(self.judged, self.end)
            found[case] = jain(counts, LIVING)
            spread = ", ".join(f"{pod} {counts.get(pod, 0)}" for pod in LIVING)
            figures[case] = f"{spread}; Jain's index {before:.4f} before, {found[case]:.4f} after"
            below = [
                f"{one['pod']} {one['fromseconds']:.0f}…"
                + ("end" if one["untilseconds"] is None else f"{one['untilseconds']:.0f}") + " s"
                for one in outcome.figures["belowfairshare"]]
            figures[f"{case}: below share"] = ", ".join(below) or "none"
            figures[f"{case}: its own index"] = (
                f"{outcome.figures['jain']:.4f}, {outcome.figures['recentjain']:.4f} at the end")
        said = {case: outcome.figures["recentjain"] for case, outcome in outcomes.items()}
        unpromised = outcomes["nothing promised"].figures
        sums = [one.figures["sent"] - one.figures["answered"] - one.figures["lost"]
                - one.figures["unanswered"] for one in outcomes.values()]
        open_ends = sum(one["untilseconds"] is None
                        for one in outcomes["keep-alive"].figures["belowfairshare"])
        closed_ends = sum(one["untilseconds"] is not None
                          for case in ("close", "max-age")
                          for one in outcomes[case].figures["belowfairshare"])
        return {
            "figures": figures,
            "tables": {case: outcome.output for case, outcome in outcomes.items()
                       if self.prints_tables},
            "bars": [
                judge.Bar("close: unfairness", 1 - found["close"], 0.01),
                judge.Bar("max-age: unfairness", 1 - found["max-age"], 0.05),
                judge.Bar("keep-alive: Jain's index", found["keep-alive"], 0.34),
                judge.Bar("keep-alive: fair again", 2 - open_ends, 0),
                judge.Bar("others: not fair again", 4 - closed_ends, 0),
                # What the client itself says of its last five seconds: of three pods, whatever
                # their names were before.
                judge.Bar("close: unfairness told", 1 - said["close"], 0.01),
                judge.Bar("max-age: unfairness told", 1 - said["max-age"], 0.05),
                judge.Bar("keep-alive: index told", said["keep-alive"], 0.34),
                # At every moment all who lived had the same.
                judge.Bar("nothing promised: told", 1 - unpromised["jain"], 0.01),
                judge.Bar("nothing promised: below", len(unpromised["belowfairshare"]), 0),
                judge.Bar("wrong names gone", sum(
                    {pod["name"] for pod in one.figures["pods"] if pod["gone"]} != gone
                    for one, gone in ((outcomes["close"], set(HEIRS)),
                                      (outcomes["max-age"], set(HEIRS)),
                                      (outcomes["keep-alive"], set()))), 0),
                judge.Bar("requests unaccounted", sum(map(abs, sums)), 0),
            ],
        }


def wait_until(moment):
    time.sleep(max(0, moment - time.monotonic()))


@dataclass(frozen=True)
class Hold:
    """As many connections as one process here may have, each with a request in flight: how quickly,
    in how much memory, at what cost while all of them wait. On a machine that others use, the best
    attempt says what the program can do."""

    count: int
    attempts: int
    opened_ms: float

    def __call__(self, options):
        # Fewer where the limit of descriptors is lower.
        count = min(self.count, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
        runs = [self.run(options, count) for _ in range(self.attempts)]
        found = [run["found"] for run in runs]
        ours, theirs = (max(run["bytes"][side] for run in runs) for side in (0, 1))
        busy = [min(run["busy"][side] for run in runs) for side in (0, 1)]
        opened = [one["allopenms"] or math.inf for one in found]
        return {
            "figures": {
                "open after": ", ".join(f"{n:.0f} ms" for n in sorted(opened)),
                "resident a connection": f"server {ours:.0f} B, client {theirs:.0f} B",
                "processor while waiting": "server {:.1f} %, client {:.1f} %".format(*busy),
            },
            "bars": [
                judge.Bar("opened, best", min(opened), self.opened_ms, "ms"),
                judge.Bar("missed in flight",
                          sum(count - one["peakinflight"] for one in found), 0),
                judge.Bar("missed answers", sum(count - one["answered"] for one in found), 0),
                judge.Bar("doubled answers", sum(run["answered"] - count for run in runs), 0),
                judge.Bar("failures", sum(sum(all_failures(one).values()) for one in found), 0),
                judge.Bar("server's memory", ours, 1024, "B"),
                judge.Bar("client's memory", theirs, 1024, "B"),
                judge.Bar("server while waiting", busy[0], 2, "%"),
                judge.Bar("client while waiting", busy[1], 2, "%"),
            ],
        }

    def run(self, options, count):
        port, api = free_port(), free_port()
        delay = ("--delay", "7s..8s", "--metrics-listen", f"127.0.0.1:{api}")
        url = f"http://127.0.0.1:{port}/"
        with server(options, "pod-a", "127.0.0.1", port, delay) as pod, \
                Client(options, url, ("--duration", "20s", "--quiet")) as idle:
            while self.status(api)["waiting"] < 1:
                time.sleep(0.05)
            before = [resident(one.pid) for one in (pod, idle)]
            flags = ("--connections", count, "--requests", count, "--think", 0)
            with Client(options, url, (*flags, "--quiet")) as client:
                limit = time.monotonic() + 5
                while self.status(api)["waiting"] < count and time.monotonic() < limit:
                    time.sleep(0.1)
                after = [resident(one.pid) for one in (pod, client)]
                used = [processor_seconds(one.pid) for one in (pod, client)]
                time.sleep(2)
                busy = [100 * (processor_seconds(one.pid) - then) / 2
                        for one, then in zip((pod, client), used)]
                found = client.finish().figures
            # The idle client's own request, if it was answered by now, is not of these.
            answered = self.status(api)["answered"] - 1
        bytes_each = [(now - then) / count for now, then in zip(after, before)]
        return {"found": found, "bytes": bytes_each, "busy": busy, "answered": answered}

    @staticmethod
    def status(port):
        return json.loads(fetch(port, "/status")[1])


def crowd(options, processes=6, each=17_000):
    """100,000 requests in flight, over several processes on each side."""
    with ExitStack() as stack:
        ports = [free_port() for _ in range(processes)]
        for index, port in enumerate(ports):
            stack.enter_context(server(
                options, f"pod-{index}", "127.0.0.1", port, ("--delay", "15s..20s")))
        clients = []
        for index, port in enumerate(ports):
            sources = [word for n in (1, 2)
                       for word in ("--source-addr", f"127.0.{index + 1}.{n}")]
            flags = ("--connections", each, "--requests", each, "--think", 0, "--quiet")
            clients.append(stack.enter_context(
                Client(options, f"http://127.0.0.1:{port}/", (*flags, *sources))))
        found = [client.finish().figures for client in clients]
    wanted = processes * each
    slowest = max(one["allopenms"] or math.inf for one in found)
    return {
        "figures": {
            "in flight at once": f"{sum(one['peakinflight'] for one in found):,}",
            "all open after": f"{slowest:.0f} ms",
        },
        "bars": [
            judge.Bar("missed in flight", wanted - sum(one["peakinflight"] for one in found), 0),
            judge.Bar("missed answers", wanted - sum(one["answered"] for one in found), 0),
            # The first answers come after 15 s: until then all are in flight together.
            judge.Bar("opened", slowest, 15_000, "ms"),
        ],
    }
