"""A thread a connection on both sides, as `requests` and Flask do it, from the standard library.

Usage: python_pair.py COUNT     prints how many requests in flight it opened in a second
"""

import http.client
import http.server
import resource
import socketserver
import subprocess
import sys
import threading
import time


class Slow(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with lock:
            arrived.append(time.monotonic())
            if len(arrived) == wanted:
                everybody.set()
        everybody.wait(60)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 4096


def ask(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=90)
    connection.request("GET", "/")
    connection.getresponse().read()


def be_client(port, count):
    threading.stack_size(256 * 1024)
    threads = [threading.Thread(target=ask, args=(port,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    wanted = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    if len(sys.argv) > 2:
        be_client(int(sys.argv[2]), wanted)
        sys.exit()
    arrived, lock, everybody = [], threading.Lock(), threading.Event()
    threading.stack_size(256 * 1024)
    server = Server(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    start = time.monotonic()
    client = subprocess.Popen(
        [sys.executable, __file__, str(wanted), str(server.server_address[1])])
    if not everybody.wait(60):
        client.kill()
        sys.exit(f"only {len(arrived)} of {wanted} requests arrived in 60 s")
    print(wanted / (arrived[-1] - arrived[0]))
    client.wait(30)
