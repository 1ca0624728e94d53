"""Requests through a reverse proxy, each of them recorded, beside wrk which records none."""

import contextlib
import json
import re
import sys

from figures import Figure, median
from programs import (
    HERE, LOADS, SERVERS, SONDE, Failed, Server, free_port, need, nginx, run, scratch, wrk)

SECONDS = 2
# reload_memory.py alone takes ten million, and three minutes.
ROWS = 2_000_000


def figures():
    need("wrk", "nginx")
    port = free_port()
    upstream = f"upstream backend {{ server 127.0.0.1:{port}; keepalive 128; }}"
    answer = 'proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";'
    with contextlib.ExitStack() as stack:
        start = stack.enter_context
        start(Server([SONDE, "reload", "backend", "one", port], f"127.0.0.1:{port}", SERVERS))
        front = start(nginx(answer, upstream))
        folder = start(scratch("reload"))
        theirs = lambda: wrk(front.address, SECONDS)[0]  # noqa: E731
        theirs()
        rounds = [(bench(front.address, folder), theirs()) for _ in range(5)]
    yield Figure("requests a second through nginx, each recorded", median(a for a, _ in rounds),
                 "/s", "wrk -t1 -c64", median(b for _, b in rounds), ("≥", 0.9),
                 ratio=median(a / b for a, b in rounds))
    output, _ = run([sys.executable, HERE / "reload_memory.py", ROWS])
    yield Figure(f"… {ROWS:,} rows, resident at most",
                 float(re.search(r"([\d.]+) MB at most", output).group(1)), "MB", bar=("≤", 16))


def bench(address, folder):
    """Requests a second; every one of them must have its row."""
    rows, report = folder / "data.csv", folder / "data.json"
    output, _ = run([SONDE, "reload", "bench", f"http://{address}/", "--clients", 64, "--duration",
                     f"{SECONDS}s", "--quiet", "--csv", rows, "--json", report], LOADS)
    found = re.search(r"success: (\d+) failure: (\d+) ", output)
    with open(rows, "rb") as file:
        written = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b"")) - 1
    json.loads(report.read_text())
    if not found or int(found.group(2)) or int(found.group(1)) != written:
        raise Failed(f"reload bench: {written} rows; {output.strip()[-200:]}")
    return written / SECONDS
