"""What idle things hold in memory."""

import sys

from figures import Figure
from programs import HERE, SONDE, Server, build, free_port, run

PODS = 50


def figures():
    build("hello-sonde")
    bytes_each = float(run([sys.executable, HERE / "idle_memory.py"])[0].split()[0])
    yield Figure("idle accepted HTTP connection, resident", bytes_each, "B", bar=("≤", 600))
    yield from idle_clients()


def idle_clients():
    """As many client pods as a node carries: what they share is paid for once."""
    servers = []
    try:
        for _ in range(PODS):
            address = f"127.0.0.1:{free_port()}"
            server = Server([SONDE, "netpol", "client", "--listen", address], address)
            servers.append(server.__enter__())
        proportional = sum(server.memory("Pss") for server in servers) / PODS / 1e6
        resident = sum(server.memory("Rss") for server in servers) / PODS / 1e6
        anonymous = sum(server.memory("Anonymous") for server in servers) / PODS / 1e6
    finally:
        for server in servers:
            server.__exit__()
    yield Figure(f"idle client, one of {PODS}, proportional set", proportional, "MB",
                 bar=("≤", 1.2), floor=f"{anonymous:.2f} MB anonymous")
    yield Figure("idle client, resident", resident, "MB", bar=("≤", 13))
