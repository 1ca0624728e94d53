"""Prints the resident bytes an idle accepted connection of the hello server costs.

Usage: idle_memory.py [CONNECTIONS [tls]]     needs the release build of hello-sonde, descriptors

The difference of two counts of connections, so that the process itself does not count. Every
connection has had one request, and is idle. Connections come from several loopback addresses.
With `tls` they are behind TLS, and a second line says the same of nginx.
"""

import resource
import socket
import ssl
import sys

from programs import BUILT, Server, certificates, nginx

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BEFORE = 1000


def connect(address, count, offset, secure):
    connections = []
    for i in range(count):
        s = socket.socket()
        s.bind((f"127.0.0.{2 + (offset + i) // 8000}", 0))
        s.connect(address)
        s = secure(s)
        s.sendall(REQUEST)
        assert s.recv(4096).startswith(b"HTTP/1.1 200")
        connections.append(s)
    return connections


def bytes_each(server, count, secure=lambda connection: connection):
    host, port = server.address.rsplit(":", 1)
    few = connect((host, int(port)), BEFORE, 0, secure)
    before = server.memory()
    more = connect((host, int(port)), count - BEFORE, BEFORE, secure)
    after = server.memory()
    print(f"{(after - before) / len(more):.0f} bytes an idle connection "
          f"({len(few) + len(more)} connections)")


def behind_tls(count):
    with certificates() as (folder, identity):
        context = ssl.create_default_context(cafile=folder / "ca.pem")

        def secure(connection):
            return context.wrap_socket(connection, server_hostname="localhost")

        with Server([BUILT / "hello-sonde", "127.0.0.1:0", *identity]) as server:
            bytes_each(server, count, secure)
        with nginx(identity=identity) as server:
            bytes_each(server, count, secure)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 16000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = count + 1100
    if wanted > hard:
        raise SystemExit(f"{wanted} descriptors are needed, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if sys.argv[2:]:
        return behind_tls(count)
    with Server([BUILT / "hello-sonde", "127.0.0.1:0"]) as server:
        bytes_each(server, count)


main()
