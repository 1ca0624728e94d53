"""What idle things hold in memory."""

import contextlib
import sys

from figures import Figure
from programs import HERE, SONDE, Server, build, free_port, run
from sondetest.figures import mean

PODS = 50


def figures():
    build("hello-sonde")
    bytes_each = float(run([sys.executable, HERE / "idle_memory.py"])[0].split()[0])
    yield Figure("idle accepted HTTP connection, resident", bytes_each, "B", bar=("≤", 600))
    yield from idle_clients()


def idle_clients():
    """As many client pods as a node carries: what they share is paid for once."""
    with contextlib.ExitStack() as stack:
        addresses = [f"127.0.0.1:{free_port()}" for _ in range(PODS)]
        servers = [
            stack.enter_context(Server([SONDE, "netpol", "client", "--listen", one], one))
            for one in addresses]
        proportional, resident, anonymous = (
            mean(server.memory(kind) for server in servers) / 1e6
            for kind in ("Pss", "Rss", "Anonymous"))
    yield Figure(f"idle client, one of {PODS}, proportional set", proportional, "MB",
                 bar=("≤", 1.3), floor=f"{anonymous:.2f} MB anonymous")
    yield Figure("idle client, resident", resident, "MB", bar=("≤", 13))
