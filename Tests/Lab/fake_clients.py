"""Clients made up for the proxy: many addresses of 127.0.0.0/8, in processes of their own.

They answer after a fixed time, like a client on a distant and busy node, and note when. Plain
epoll: they alone need 80 ms for 200 lists of 1,000 connections, 50 of them their waiting.
"""

import heapq
import json
import multiprocessing
import select
import signal
import socket
import time
from dataclasses import dataclass, field

from sondetest.processes import die_with_parent

DELAY = 0.05
WELCOME = b"Check Request received, processing...\n"
GARBAGE = b"\x00\xff\x16\x03 this is no HTTP at all\r\n\r\n" * 20


@dataclass
class Fake:
    """One client; `manner` is "good" or how it is broken: 500, garbage, mute, broken-results."""

    address: str
    results: bytes
    manner: str = "good"
    lists: list = field(default_factory=list)
    listed_at: float = 0  # monotonic, when the last byte of the connection list was here
    collected_at: float = 0  # when the last byte of the results was handed to the kernel

    def answer(self, head, body):
        if head.startswith(b"POST /check"):
            self.lists.append(body)
            self.listed_at = time.monotonic()
            answer = WELCOME
        elif head.startswith(b"GET /results"):
            answer = self.results
            if self.manner == "broken-results":
                answer = answer[: len(answer) // 2]
        else:
            return response(b"404 Not Found", b"")
        if self.manner == "500":
            return response(b"500 Internal Server Error", b"no\n")
        return GARBAGE if self.manner == "garbage" else response(b"200 OK", answer)


def response(status, body):
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body


class Connection:
    def __init__(self, stream, fake):
        self.stream, self.fake = stream, fake
        self.received = bytearray()
        self.needed = 0  # bytes of the request, once its head is here
        self.unsent = b""

    def request(self):
        """The next whole request, (head, body), or None."""
        if not self.needed:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return None
            self.head = bytes(self.received[:end])
            self.needed = end + 4 + content_length(self.head)
        if len(self.received) < self.needed:
            return None
        body = bytes(self.received[len(self.head) + 4:self.needed])
        del self.received[:self.needed]
        self.needed = 0
        return self.head, body


def content_length(head):
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


class Server:
    """Serves some fakes in this process until the lab asks for what they saw."""

    def __init__(self, fakes, port, control):
        self.fakes = fakes
        self.control = control
        self.poller = select.epoll()
        self.poller.register(control.fileno(), select.EPOLLIN)
        self.listeners, self.connections, self.due = {}, {}, []
        self.count = 0
        for fake in fakes:
            listener = socket.create_server((fake.address, port), backlog=64)
            listener.setblocking(False)
            self.listeners[listener.fileno()] = (listener, fake)
            self.poller.register(listener, select.EPOLLIN)

    def run(self):
        while True:
            wait = max(0, self.due[0][0] - time.monotonic()) if self.due else -1
            for descriptor, _ in self.poller.poll(wait):
                if descriptor == self.control.fileno():
                    self.control.recv()
                    self.control.send(self.fakes)
                elif descriptor in self.listeners:
                    self.accept(*self.listeners[descriptor])
                elif descriptor in self.connections:
                    self.go_on(self.connections[descriptor])
            while self.due and self.due[0][0] <= time.monotonic():
                _, _, connection, answer = heapq.heappop(self.due)
                connection.unsent += answer
                self.write(connection)

    def accept(self, listener, fake):
        stream, _ = listener.accept()
        stream.setblocking(False)
        self.connections[stream.fileno()] = Connection(stream, fake)
        self.poller.register(stream, select.EPOLLIN)

    def go_on(self, connection):
        if connection.unsent:
            self.write(connection)
            return
        try:
            data = connection.stream.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop(connection)
            return
        connection.received += data
        request = connection.request()
        if request and connection.fake.manner != "mute":
            self.count += 1
            answer = connection.fake.answer(*request)
            heapq.heappush(self.due, (time.monotonic() + DELAY, self.count, connection, answer))

    def write(self, connection):
        try:
            sent = connection.stream.send(connection.unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.drop(connection)
            return
        connection.unsent = connection.unsent[sent:]
        if not connection.unsent:
            connection.fake.collected_at = time.monotonic()
        self.poller.modify(
            connection.stream, select.EPOLLOUT if connection.unsent else select.EPOLLIN)

    def drop(self, connection):
        if connection.stream.fileno() >= 0:
            self.connections.pop(connection.stream.fileno(), None)
            connection.stream.close()


def serve(fakes, port, control):
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the lab hears it too, and ends us
    server = Server(fakes, port, control)
    control.send("ready")
    server.run()


class FakeClients:
    """`with FakeClients(fakes, port) as clients:`; `clients.report()` returns the fakes' notes."""

    def __init__(self, fakes, port, processes=2):
        self.controls, self.processes = [], []
        fork = multiprocessing.get_context("fork")
        for part in range(processes):
            ours, theirs = fork.Pipe()
            mine = fakes[part::processes]
            process = fork.Process(target=serve, args=(mine, port, theirs), daemon=True)
            self.controls.append(ours)
            self.processes.append(process)

    def __enter__(self):
        for process in self.processes:
            process.start()
        for control in self.controls:
            if not control.poll(10):
                raise RuntimeError("the fake clients do not start")
            control.recv()
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.join()

    def report(self):
        fakes = []
        for control in self.controls:
            control.send("report")
            fakes += control.recv()
        return {fake.address: fake for fake in fakes}


class BlackHole:
    """An address whose SYNs go unanswered: a listener that never accepts, its queue full."""

    def __init__(self, address, port):
        self.listener = socket.create_server((address, port), backlog=0)
        self.fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((address, port))
            self.fillers.append(filler)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for stream in [*self.fillers, self.listener]:
            stream.close()


def results_of(address, count):
    """What a client of the kind in use today would report: no fields of our own."""
    return json.dumps([
        {"address": f"10.{n >> 8 & 255}.{n & 255}.7", "port": 8080, "connectionidx": n,
         "npname": f"ingress-{address}-{n}", "timestamp": f"2026-11-21T04:14:58.{n + 100000}1Z"}
        for n in range(count)
    ], separators=(",", ":")).encode() + b"\n"
