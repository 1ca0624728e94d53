"""What peers may cost a role: answers that are owed, answers nobody reads, bodies without end."""

import json
import signal
import socket
import threading
import time

from judge import Bar
from program import Program, free_port
from sondetest import kernel

MEGABYTE = 1 << 20
PIPELINED = 3000


def floods(options):
    figures, bars = {}, []
    for part in (answers, unread, bodies):
        more, held = part(options)
        figures |= more
        bars += held
    return {"figures": figures, "bars": bars}


def client(options, *flags):
    port = free_port()
    return Program([*options.sonde, "netpol", "client", "--listen", f"127.0.0.1:{port}", *flags],
                   port)


def answers(options):
    """Pipelined requests of a peer that half-closes, or is told that the role ends."""
    request = b"GET /metrics HTTP/1.1\r\nHost: lab\r\n\r\n" * PIPELINED
    bars = []
    for ending in ("half-close", "SIGTERM"):
        with client(options) as program, program.connect() as peer:
            peer.settimeout(30)
            sender = threading.Thread(target=peer.sendall, args=(request,))
            sender.start()
            if ending == "half-close":
                sender.join()
                peer.shutdown(socket.SHUT_WR)
            else:
                time.sleep(0.2)
                program.process.send_signal(signal.SIGTERM)
            time.sleep(0.7)  # everything that the kernel does not hold has to wait for us
            text = bytearray()
            while piece := peer.recv(1 << 20):
                text += piece
            sender.join()
            missing = PIPELINED - text.count(b"HTTP/1.1 200 OK")
            bars.append(Bar(f"answers missing, {ending}", missing, 0))
    return {}, bars


def unread(options):
    """64 KB of requests on each of sixty connections whose answers nobody reads."""
    port = free_port()
    target = Program([*options.sonde, "netpol", "target", "--listen", f"127.0.0.1:{port}"], port)
    worst, kept, figures = 0, 0, {}
    with target, client(options, "--no-gate") as program:
        for entries in (20, 3000):
            document = json.dumps([
                {"addresses": ["127.0.0.1"], "ports": [port], "netpol": f"p-{index}"}
                for index in range(entries)]).encode()
            program.ask_for("/check", "POST", document)
            deadline = time.monotonic() + 20
            while len(program.ask_json("/results")) < entries and time.monotonic() < deadline:
                time.sleep(0.1)
            before = kernel.resident(program.pid)
            request = b"GET /results HTTP/1.1\r\nHost: lab\r\n\r\n"
            peers = []
            for _ in range(60):
                peer = program.connect()
                peers.append(peer)
                peer.sendall(request * (65_536 // len(request)))
            settled = until_steady(lambda: kernel.resident(program.pid))
            worst = max(worst, settled)
            for peer in peers:
                peer.close()
            time.sleep(1.5)  # memory is given back a second after the last of them
            kept = max(kept, kernel.resident(program.pid) - before)
            figures[f"{entries} results"] = (
                f"{before / MEGABYTE:.1f} MB, with the unread {settled / MEGABYTE:.1f} MB")
    return figures, [
        Bar("unread answers, MB resident", worst / MEGABYTE, 64),
        Bar("… kept after they closed, MB", kept / MEGABYTE, 8)]


def bodies(options):
    """Six bodies of 250 MB that are never finished."""
    bars = []
    # The budget of 64 or 512 MiB counts bytes received, and memory is more: while a body is moved
    # to a larger place it is there twice. 642 to 669 MB were measured with 512 MiB.
    for role, path, limit in (("client", "/check", 96), ("proxy", "/initiate", 768)):
        port = free_port()
        command = [*options.sonde, "netpol", role, "--listen", f"127.0.0.1:{port}"]
        with Program(command, port) as program:
            peers = [program.connect() for _ in range(6)]
            senders = [threading.Thread(target=send_most, args=(peer, path)) for peer in peers]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join()
            bars.append(Bar(f"six bodies, {role}, MB", kernel.peak(program.pid) / MEGABYTE, limit))
            program.ask_for("/healthz")
            for peer in peers:
                peer.close()
    return {}, bars


def send_most(peer, path):
    peer.settimeout(10)
    size = 250_000_000
    head = f"POST {path} HTTP/1.1\r\nHost: lab\r\nContent-Length: {size}\r\n\r\n["
    try:
        peer.sendall(head.encode())
        for _ in range(size // MEGABYTE - 1):
            peer.sendall(b" " * MEGABYTE)
    except OSError:
        pass  # it was told no, or takes no more


def until_steady(measure):
    """Its value once it has not grown for half a second."""
    value, since = measure(), time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.05)
        now = measure()
        if now > value + MEGABYTE // 4:
            value, since = now, time.monotonic()
    return value
