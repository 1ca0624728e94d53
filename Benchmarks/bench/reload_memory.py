"""Runs `sonde reload bench` for many rows and prints how much memory it holds as they grow.

    reload_memory.py [ROWS]      default 10,000,000; needs a built sonde

Against a backend of its own on loopback. Exits 1 when the process grew by more than 8 MB after the
first tenth, or when the rows of the file are not as many as the requests.
"""

import json
import os
import sys
import tempfile

from programs import SONDE, Process, Server, free_port
from sondetest import kernel
from sondetest.processes import until

LIMIT = 8 << 20


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    address = f"127.0.0.1:{free_port()}"
    host, port = address.rsplit(":", 1)
    with Server([SONDE, "reload", "backend", "a", port, "--listen-address", host], address):
        with tempfile.TemporaryDirectory() as folder:
            return measure(rows, folder, address)


def measure(rows, folder, address):
    path = f"{folder}/data.csv"
    early = latest = None
    bench = Process(
        [SONDE, "reload", "bench", f"http://{address}/", "--requests", rows, "--clients", 64,
         "--quiet", "--csv", path, "--json", f"{folder}/summary.json"])
    with bench:
        while not until(lambda: bench.process.poll() is not None, 0.5):
            try:
                memory = kernel.resident(bench.pid)
            except (FileNotFoundError, ProcessLookupError, IndexError):
                break
            # Under another name until it is complete.
            size = max((entry.stat().st_size for entry in os.scandir(folder)
                        if entry.name.startswith("data.csv")), default=0)
            # A row has about 36 bytes.
            if early is None and size > 3.6 * rows:
                early = memory
            if memory:
                latest = max(latest or 0, memory)
            print(f"{size >> 20} MB of rows, {memory / 1e6:.1f} MB resident", file=sys.stderr)
        assert bench.wait(10) == 0, bench.last_words()
    with open(f"{folder}/summary.json", encoding="utf-8") as file:
        summary = json.load(file)
    with open(path, "rb") as file:
        lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    print(
        f"{summary['requests']} requests, {lines - 1} rows, {summary['requestspersecond']:.0f}/s; "
        f"resident {(early or 0) / 1e6:.1f} MB after a tenth, {(latest or 0) / 1e6:.1f} MB at most"
    )
    grown = (latest or 0) - (early or latest or 0)
    return 0 if lines - 1 == summary["requests"] == rows and grown <= LIMIT else 1


sys.exit(main())
