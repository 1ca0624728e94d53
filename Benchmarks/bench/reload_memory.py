"""Runs `sonde reload bench` for many rows and prints how much memory it holds as they grow.

    reload_memory.py [ROWS]      default 10,000,000; needs a built sonde

Against a backend of its own on loopback. Exits 1 when the process grew by more than 8 MB after the
first tenth, or when the rows of the file are not as many as the requests.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

SONDE = os.environ.get(
    "SONDE", str(pathlib.Path(__file__).resolve().parents[2] / ".build/release/sonde")
)
LIMIT = 8 << 20


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    backend = subprocess.Popen(
        [SONDE, "reload", "backend", "a", "0", "--listen-address", "127.0.0.1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            listening = re.search(r"listens on (\S+)", backend.stderr.readline())
            return measure(rows, folder, listening[1])
    finally:
        backend.terminate()
        backend.wait()


def measure(rows, folder, address):
    path = f"{folder}/data.csv"
    bench = subprocess.Popen(
        [SONDE, "reload", "bench", f"http://{address}/", "--requests", str(rows), "--clients",
         "64", "--quiet", "--csv", path, "--json", f"{folder}/summary.json"],
        stdout=subprocess.DEVNULL,
    )
    early = latest = None
    while bench.poll() is None:
        time.sleep(0.5)
        try:
            memory = resident(bench.pid)
        except (FileNotFoundError, ProcessLookupError, IndexError):
            break
        size = os.path.getsize(path)
        # A row has about 36 bytes.
        if early is None and size > 3.6 * rows:
            early = memory
        if memory:
            latest = max(latest or 0, memory)
        print(f"{size >> 20} MB of rows, {memory / 1e6:.1f} MB resident", file=sys.stderr)
    assert bench.wait() == 0
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
