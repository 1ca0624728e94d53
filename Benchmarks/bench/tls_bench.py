"""TLS beside nginx and wrk: handshakes, requests over kept connections, memory, throughput.

    SONDE_BENCH_SMALL=1 make bench-tls      to see whether it runs: its figures mean nothing
"""

import contextlib
import os
import re
import sys

from figures import Figure, median
from programs import (
    BUILT, HERE, LOADS, SERVERS, Failed, Process, Server, build, certificates, need, nginx, run,
    wrk)

SMALL = bool(os.environ.get("SONDE_BENCH_SMALL"))
SECONDS, ROUNDS = (1, 1) if SMALL else (2, 5)
CONNECTIONS = 1_200 if SMALL else 5_000
GIGABYTE = 1_000_000_000 // (50 if SMALL else 1)
# One of them waits for its own processor half of the time.
TIMERS = 4


def figures():
    need("wrk", "nginx", "curl", "openssl")
    build("hello-sonde", "client-sonde")
    with contextlib.ExitStack() as stack:
        start = stack.enter_context
        folder, identity = start(certificates())
        ours = start(Server([BUILT / "hello-sonde", "127.0.0.1:0", *identity], core=SERVERS))
        front = start(nginx(identity=identity))
        authority = folder / "ca.pem"
        yield from servers("TLS server, new handshakes", ours, front, new_handshakes)
        yield from servers("TLS server, resumed, a request on each", ours, front,
                           lambda server: visits(server, authority, "each"))
        yield from servers("TLS server, requests on 64 kept connections", ours, front, kept)
        yield from client(front, authority)
        (folder / str(GIGABYTE)).touch()
        os.truncate(folder / str(GIGABYTE), GIGABYTE)
        files = start(nginx(f"root {folder};", identity=identity))
        yield from throughput(ours, files, authority)
    yield from memory()


def servers(name, ours, front, load):
    """`load` of a server gives how much a second it was, and how much it was."""
    def one(server):
        before = server.processor_seconds()
        rate, count = load(server)
        return rate, count / (server.processor_seconds() - before)

    for server in (ours, front):
        one(server)  # the first run pays for pages and branches nobody has seen yet
    rounds = [(one(ours), one(front)) for _ in range(ROUNDS)]
    for words, column, bar in (("a processor second", 1, ("≥", 0.9)), ("a second", 0, None)):
        yield Figure(f"{name} {words}" if column else f"… {words}",
                     median(a[column] for a, _ in rounds), "/s", "nginx, 1 worker",
                     median(b[column] for _, b in rounds), bar,
                     ratio=median(a[column] / b[column] for a, b in rounds))


def new_handshakes(server):
    with contextlib.ExitStack() as stack:
        timers = [stack.enter_context(Process(
            ["openssl", "s_time", "-connect", server.address, "-new", "-time", SECONDS],
            core=LOADS, apart=True)) for _ in range(TIMERS)]
        codes = [timer.wait(30 + SECONDS) for timer in timers]
        found = [re.search(r"(\d+) connections in (\d+) real seconds", timer.output)
                 for timer in timers]
        if any(codes) or not all(found):
            raise Failed(f"openssl s_time: {timers[0].last_words()}")
    # It counts whole seconds, of which it begins one more than it was told.
    return (sum(int(one[1]) / int(one[2]) for one in found),
            sum(int(one[1]) for one in found))


def visits(server, authority, *each):
    output, _ = run([BUILT / "client-sonde", server.address, 64, SECONDS, authority, *each], LOADS)
    if not output.strip().isdigit():
        raise Failed(f"client-sonde: {output.strip()[-200:]}")
    return int(output) / SECONDS, int(output)


def kept(server):
    return wrk(server.address, SECONDS, scheme="https")[:2]


def client(front, authority):
    rounds = [(visits(front, authority)[0], kept(front)[0]) for _ in range(ROUNDS)]
    yield Figure("TLS client, 64 connections, requests a second", median(a for a, _ in rounds),
                 "/s", "wrk", median(b for _, b in rounds), ("≥", 1),
                 ratio=median(a / b for a, b in rounds))


def throughput(ours, files, authority):
    def one(server):
        before = server.processor_seconds()
        output, _ = run(
            ["curl", "-sS", "-o", "/dev/null", "-w", "%{size_download} %{time_total}", "--cacert",
             authority, f"https://{server.address}/{GIGABYTE}"], LOADS)
        size, seconds = map(float, output.split())
        if size != GIGABYTE:
            raise Failed(f"curl: {size:.0f} bytes of {GIGABYTE}")
        return (size / seconds / 1e6, size / (server.processor_seconds() - before) / 1e6)

    rounds = [(one(ours), one(files)) for _ in range(ROUNDS)]
    for name, column, bar in (("TLS server, 1 GB to curl, MB a processor second", 1, ("≥", 0.8)),
                              ("… MB a second", 0, None)):
        yield Figure(name, median(a[column] for a, _ in rounds), "", "nginx, a file",
                     median(b[column] for _, b in rounds), bar,
                     ratio=median(a[column] / b[column] for a, b in rounds))


def memory():
    lines = run([sys.executable, HERE / "idle_memory.py", CONNECTIONS, "tls"])[0].splitlines()
    ours, theirs = (float(line.split()[0]) for line in lines)
    yield Figure("idle accepted TLS connection, resident", ours, "B", bar=("≤", 20_480))
    yield Figure("the same", ours, "B", "nginx", theirs)
