"""The proxy between an orchestrator and many clients: how long, how much memory, who suffers?"""

import contextlib
import json
import time

import judge
from clients import readable
from fake_clients import BlackHole, Fake, FakeClients, results_of
from program import Failure, Program, free_port


class Exchange:
    """One run: lists out, results in, as the orchestrator does it."""

    def __init__(self, proxy, lists):
        self.proxy, self.lists = proxy, lists

    def deliver(self, limit):
        body = json.dumps(self.lists, separators=(",", ":"))
        self.delivery_began = time.monotonic()
        self.proxy.ask_for("/initiate", "POST", body)
        return self.wait_for("/checkConnectionsStatus", self.delivery_began, limit)

    def collect(self, limit):
        self.collection_began = time.monotonic()
        self.proxy.ask_for("/stop", "POST")
        return self.wait_for("/checkStopStatus", self.collection_began, limit)

    def wait_for(self, path, began, limit):
        """Seconds from `began` until the status is true."""
        while time.monotonic() - began < limit:
            if self.proxy.ask_json(path).get("result") is True:
                return time.monotonic() - began
            time.sleep(0.003)
        raise Failure(f"{path} is not true after {limit} s")


def small(options):
    return fan_out(options, connections=10, seconds=0.15, memory_mb=None)


def thousand(options):
    return fan_out(options, connections=10, seconds=0.25, memory_mb=None, clients=1000)


def large(options):
    return fan_out(options, connections=1000, seconds=0.3, memory_mb=60)


def fan_out(options, connections, seconds, memory_mb, clients=200):
    fakes = [fake(index, connections) for index in range(clients)]
    lists = {one.address: connection_list(index, connections) for index, one in enumerate(fakes)}
    port = free_port()
    with FakeClients(fakes, port) as pods, proxy(options, port) as program:
        exchange = Exchange(program, lists)
        delivered = exchange.deliver(limit=30)
        collected = exchange.collect(limit=30)
        began = time.monotonic()
        results = program.ask_for("/results")
        fetched = time.monotonic() - began
        figures = program.figures()
        faults = wrong_lists(pods.report(), lists) + wrong_results(fakes, json.loads(results))
    bars = [
        judge.Bar("delivered", delivered, seconds, "s"),
        judge.Bar("collected", collected, seconds, "s"),
        judge.Bar("lists or results wrong", len(faults), 0),
    ]
    if memory_mb:
        bars.append(judge.Bar("peak memory", figures["peak_mb"], memory_mb, "MB"))
    return {
        "figures": {"results fetched in": f"{fetched:.3f} s", **readable(figures)},
        "bars": bars,
        "examples": {"lists or results wrong": "; ".join(faults[:3])},
    }


def broken(options):
    """The good clients must not notice the others, who are given up after 3 s."""
    give_up = 3
    manners = ["500", "garbage", "mute", "broken-results"]
    good = [fake(index, 10) for index in range(195)]
    bad = [fake(200 + index, 10, manner) for index, manner in enumerate(manners)]
    hole, refused = address(210), address(211)
    lists = {one.address: connection_list(index, 10) for index, one in enumerate(good)}
    # The broken ones come first: a proxy that waits for them is found out.
    nobody = {hole: connection_list(900, 10), refused: connection_list(901, 10)}
    for index, one in enumerate(bad):
        nobody[one.address] = connection_list(902 + index, 10)
    port = free_port()
    flags = ["--give-up", f"{give_up}s", "--timeout", "1s"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(BlackHole(hole, port))
        clients = stack.enter_context(FakeClients(good + bad, port))
        program = stack.enter_context(proxy(options, port, flags))
        exchange = Exchange(program, {**nobody, **lists})
        delivered = exchange.deliver(limit=30)
        status = program.ask_for("/status").decode(errors="replace")
        collected = exchange.collect(limit=30)
        results = program.ask_json("/results")
        notes = clients.report()
        figures = program.figures()
    faults = wrong_lists({one.address: notes[one.address] for one in good}, lists)
    faults += wrong_results(good, results)
    last_list = max(notes[one.address].listed_at for one in good) - exchange.delivery_began
    last_result = max(notes[one.address].collected_at for one in good) - exchange.collection_began
    # broken-results takes its list well; it fails when its results are fetched.
    failing = {hole, refused} | {one.address for one in bad if one.manner != "broken-results"}
    unnamed = [one for one in sorted(failing) if one not in status]
    return {
        "figures": readable(figures),
        "bars": [
            judge.Bar("good ones have lists", last_list, 0.15, "s"),
            judge.Bar("good ones are collected", last_result, 0.15, "s"),
            judge.Bar("delivery gives up", delivered, give_up + 1.5, "s"),
            judge.Bar("collection gives up", collected, give_up + 1.5, "s"),
            judge.Bar("gave up too early", give_up - delivered, 0, "s"),
            judge.Bar("good ones wrong", len(faults), 0),
            judge.Bar("results of broken ones", len(set(nobody) & set(results)), 0),
            judge.Bar("missing in /status", len(unnamed), 0),
        ],
        "examples": {"good ones wrong": "; ".join(faults[:3]), "missing in /status": unnamed},
    }


def proxy(options, client_port, flags=()):
    port = free_port()
    listen = ["--listen", f"127.0.0.1:{port}", "--client-port", client_port]
    return Program([*options.sonde, "netpol", "proxy", *listen, *flags], port)


def address(index):
    return f"127.77.{index // 250}.{index % 250 + 1}"


def fake(index, connections, manner="good"):
    return Fake(address(index), results_of(index, connections), manner)


def connection_list(client, count):
    return [
        {"addresses": [f"10.{client}.{n >> 8}.{n & 255}"], "ports": [8080],
         "netpol": f"ingress-{client}-{n}"}
        for n in range(count)
    ]


def wrong_lists(fakes, lists):
    """What each fake got must be what was meant for it, exactly once."""
    faults = []
    for one in fakes.values():
        try:
            got = [json.loads(body) for body in one.lists]
        except ValueError:
            got = "no JSON"
        if got != [lists[one.address]]:
            faults.append(f"{one.address} got {len(one.lists)} lists, not its own once")
    return faults


def wrong_results(fakes, results):
    return [
        f"results of {one.address} differ" for one in fakes
        if results.get(one.address) != json.loads(one.results)
    ]
