"""A plain target: answers every request with 200 and an empty body. target.py ADDRESS PORT

An independent stand-in for `sonde netpol target`, for when the instrument is not to be measured
with its own kin; good for some thousand connections a second.
"""

import select
import socket
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def serve(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family, backlog=4096)
    listener.setblocking(False)
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    connections = {}
    while True:
        for descriptor, _ in poller.poll():
            if descriptor == listener.fileno():
                accept(listener, poller, connections)
            elif not answer(connections[descriptor]):
                connections.pop(descriptor).close()


def accept(listener, poller, connections):
    try:
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            connections[connection.fileno()] = connection
            poller.register(connection, select.EPOLLIN)
    except OSError:
        pass  # none left, or none to be had right now


def answer(connection):
    """Whether the connection goes on."""
    try:
        data = connection.recv(65536)
        if b"\r\n\r\n" in data:
            connection.sendall(ANSWER)
        return bool(data)
    except OSError:
        return False


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
