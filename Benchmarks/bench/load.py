"""Sends N requests over C keep-alive connections, one at a time on each: load.py HOST:PORT N C"""

import selectors
import socket
import sys


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    left, width = int(sys.argv[2]), int(sys.argv[3])
    request = b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept: */*\r\n\r\n"
    selector = selectors.DefaultSelector()
    done = 0
    for _ in range(min(width, left)):
        s = socket.create_connection((host.strip("[]"), int(port)))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.sendall(request)
        left -= 1
        selector.register(s, selectors.EVENT_READ)
    while selector.get_map():
        for key, _ in selector.select():
            s = key.fileobj
            answer = s.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200") or not answer.endswith(b"hello, world\n"):
                sys.exit(f"unexpected answer: {answer!r}")
            done += 1
            if left > 0:
                left -= 1
                s.sendall(request)
            else:
                selector.unregister(s)
                s.close()
    print(done)


main()
