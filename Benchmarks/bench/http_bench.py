"""The HTTP server and client beside their peers."""

import contextlib
import re
import shutil

from figures import Figure, median, paired
from programs import (
    BUILT, LOADS, SERVERS, Failed, Server, build, build_peer, need, nginx, run, wrk)

NODE = """
const server = require("http").createServer((request, response) => {
  response.setHeader("Content-Type", "text/plain; charset=utf-8");
  response.end("hello, world\\n");
});
server.listen(0, "127.0.0.1", 4096, () => console.log("127.0.0.1:" + server.address().port));
"""


def load(server):
    """One run of wrk: (requests a second, processor µs a request of the server)."""
    before = server.processor_seconds()
    rate, count, _ = wrk(server.address)
    return rate, (server.processor_seconds() - before) / count * 1e6


def figures():
    need("wrk", "valgrind", "cc")
    build("hello-sonde", "hello-nio", "client-sonde")
    with contextlib.ExitStack() as stack:
        start = stack.enter_context
        ours = start(Server([BUILT / "hello-sonde", "127.0.0.1:0"], core=SERVERS))
        raw = start(Server([build_peer("hello")], core=SERVERS))
        nio = start(Server([BUILT / "hello-nio"], core=SERVERS))
        front = start(nginx())
        for server in (ours, raw, nio, front):
            load(server)  # the first run pays for pages and branches nobody has seen yet
        rounds = [[load(server) for server in (ours, raw, nio, front)] for _ in range(5)]
        yield from server_figures(rounds)
        with contextlib.suppress(FileNotFoundError), Server(["node", "-e", NODE], core=SERVERS) as node:
            load(node)
            yield paired("the same", lambda: load(ours)[0],
                         lambda: load(node)[0], "node", rounds=3, unit="/s")
    yield Figure("hello server, user instructions a request", instructions("hello-sonde"),
                 bar=("≤", 3000), floor=f"raw C {instructions('hello'):,.0f}")
    yield from client_figures()


def server_figures(rounds):
    def medians(column):
        return [median(one[server][column] for one in rounds) for server in range(4)]

    def ratio(server, column):
        return median(one[0][column] / one[server][column] for one in rounds)

    rates, costs = medians(0), medians(1)
    yield Figure("hello server, processor a request", costs[0], "µs", "raw C on libuv", costs[1],
                 ("≤", 1.15), ratio=ratio(1, 1))
    # A core of wrk hardly loads a core of ours to the full; what the server could do is said by the
    # time that a request takes of its processor.
    limit = median(one[2][1] / one[1][1] for one in rounds)
    yield Figure("hello server, requests a processor second", 1e6 / costs[0], "/s", "swift-nio",
                 1e6 / costs[2], ("≥", 2), f"raw C {limit:.2f} × swift-nio", 1 / ratio(2, 1))
    floor = f"wrk's own: raw C {rates[1]:,.0f} /s"
    yield Figure("hello server, requests a second under wrk -t1 -c64", rates[0], "/s",
                 "nginx, 1 worker", rates[3], ("≥", 1), floor, ratio(3, 0))
    yield Figure("the same", rates[0], "/s", "swift-nio", rates[2], None, floor, ratio(2, 0))


def client_figures():
    """Closed loop, 64 connections, against nginx."""
    with nginx() as front:
        def ours():
            output, used = run([BUILT / "client-sonde", front.address, 64, 2], LOADS)
            if not output.strip().isdigit():
                raise Failed(f"client-sonde: {output.strip()[-200:]}")
            count = int(output)
            return count / 2, used / count * 1e6

        def theirs():
            rate, count, used = wrk(front.address)
            return rate, used / count * 1e6

        rounds = [(ours(), theirs()) for _ in range(5)]
    for name, unit, column, bar in (
            ("client, 64 connections, requests a second", "/s", 0, ("≥", 1)),
            ("client, 64 connections, processor a request", "µs", 1, ("≤", 1))):
        yield Figure(name, median(a[column] for a, _ in rounds), unit, "wrk",
                     median(b[column] for _, b in rounds), bar,
                     ratio=median(a[column] / b[column] for a, b in rounds))
    for name, load in (("h2load", h2load), ("hey", hey)):
        if not shutil.which(name):
            continue
        with nginx() as front:
            rounds = [(float(run([BUILT / "client-sonde", front.address, 64, 2], LOADS)[0]) / 2,
                       load(front.address)) for _ in range(3)]
        yield Figure("the same", median(a for a, _ in rounds), "/s", name,
                     median(b for _, b in rounds), ratio=median(a / b for a, b in rounds))


def h2load(address):
    output, _ = run(["h2load", "--h1", "-t1", "-c64", "-D2", f"http://{address}/"], LOADS)
    return float(re.search(r"([\d.]+) req/s", output).group(1))


def hey(address):
    output, _ = run(["hey", "-cpus", "1", "-c", "64", "-z", "2s", f"http://{address}/"], LOADS)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1))


def instructions(server):
    """User instructions of one request: the difference of two counts of requests."""
    from counting import count_server
    return count_server(server)
