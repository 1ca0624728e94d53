"""Targets that do not listen until they are opened: whoever comes earlier is refused."""

import selectors
import socket
import threading
import time

from network import PORT

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Listeners:
    """Takes the place of a firewall: opening an address is what makes it listen."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.sockets = {}
        self.selector = selectors.DefaultSelector()
        self.is_open = True
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def open(self, addresses):
        """Returns the wall clock (ns) before and after: the change lies between the two."""
        listeners = []
        for address in addresses:
            with self.namespace:
                listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, PORT))
            listener.setblocking(False)
            listeners.append(listener)
        before = time.time_ns()
        for listener in listeners:
            listener.listen(64)
        after = time.time_ns()
        for address, listener in zip(addresses, listeners):
            self.sockets[address] = listener
            self.selector.register(listener, selectors.EVENT_READ)
        return before, after

    def serve(self):
        while self.is_open:
            for key, _ in self.selector.select(timeout=0.2):
                try:
                    peer, _ = key.fileobj.accept()
                except OSError:
                    continue
                with peer:
                    peer.settimeout(1)
                    try:
                        peer.recv(4096)
                        peer.sendall(ANSWER)
                    except OSError:
                        pass

    def blocked(self):
        """Not known: the kernel refuses without a word to anybody else."""
        return 0

    def close(self):
        self.is_open = False
        self.thread.join()
        for listener in self.sockets.values():
            listener.close()
        self.selector.close()
