"""Prints the resident bytes an idle accepted connection of the hello server costs.

Usage: idle_memory.py [CONNECTIONS]     needs the release build of hello-sonde, and descriptors

The difference of two counts of connections, so that the process itself does not count. Every
connection has had one request, and is idle. Connections come from several loopback addresses.
"""

import resource
import socket
import sys

from programs import BUILT, Server

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def connect(address, count, offset):
    connections = []
    for i in range(count):
        s = socket.socket()
        s.bind((f"127.0.0.{2 + (offset + i) // 8000}", 0))
        s.connect(address)
        s.sendall(REQUEST)
        assert s.recv(4096).startswith(b"HTTP/1.1 200")
        connections.append(s)
    return connections


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 16000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = count + 1100
    if wanted > hard:
        raise SystemExit(f"{wanted} descriptors are needed, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    with Server([BUILT / "hello-sonde", "127.0.0.1:0"]) as server:
        host, port = server.address.rsplit(":", 1)
        few = connect((host, int(port)), 1000, 0)
        before = server.memory()
        more = connect((host, int(port)), count - 1000, 1000)
        after = server.memory()
    print(f"{(after - before) / len(more):.0f} bytes an idle connection "
          f"({len(few) + len(more)} connections)")


main()
