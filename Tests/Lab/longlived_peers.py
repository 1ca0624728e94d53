"""The long-lived roles against other people's programs, through a shell, and through misfortune."""

import http.client
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager

import judge
from longlived import (
    PODS, POD_PORT, SERVICE, SERVICE_PORT, Client, Outcome, Service, all_failures, server,
    wait_until)
from network import NotPermitted
from program import Program, free_port

# What people do with the client's output.
PIPELINE = ("""grep "Response from Pod" | awk -F"Pod " '{print $2}' | cut -d' ' -f1 """
            """| sort | uniq -c""")

FLASK = """
import random, sys, time
from flask import Flask
app = Flask(__name__)
@app.route("/")
def answer():
    time.sleep(random.uniform(0.1, 0.3))
    return "Response from Pod flask-pod\\n"
app.run(host="127.0.0.1", port=int(sys.argv[1]), threaded=True)
"""

# The same with what every Python has.
STANDARD = """
import random, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        time.sleep(random.uniform(0.1, 0.3))
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in (b"Response fr", b"om Pod standard-pod\\n", b""):
            self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(piece), piece))
            self.wfile.flush()
class Server(ThreadingHTTPServer):
    request_queue_size = 128
Server(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""

NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 256; }}
http {{
    access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    limit_req_zone $binary_remote_addr zone=slow:1m rate=100r/s;
    server {{
        listen 127.0.0.1:{port};
        location / {{ root {folder}/www; limit_req zone=slow burst=1000; }}
    }}
}}
"""


def peers(options):
    """Requests all of which have to be answered, and counted for the right pod."""
    figures, missed, wrong = {}, 0, 0
    for name, started, pod in (("flask", flask_server, "flask-pod"),
                               ("python", standard_server, "standard-pod"),
                               ("nginx", nginx_server, "nginx-pod")):
        try:
            with started() as port:
                flags = ("--connections", 40, "--requests", 160, "--think", "10ms..50ms")
                with Client(options, f"http://127.0.0.1:{port}/", flags) as client:
                    outcome = client.finish()
        except NotPermitted as error:
            figures[name] = f"skipped: {error}"
            continue
        found = outcome.figures
        counts = {one["name"]: one["count"] for one in found["pods"]}
        missed += 160 - found["answered"] + sum(found["failures"].values()) + outcome.code
        wrong += int(counts != {pod: 160})
        figures[name] = (f"{found['answered']} answered, p50 {found['latencyms']['p50']:.0f} ms, "
                         f"{found['reconnects']} reconnects")
    figures["their client"], bad = their_client(options)
    figures["pipeline"], different = pipeline(options)
    return {
        "figures": figures,
        "bars": [
            judge.Bar("requests missed", missed, 0),
            judge.Bar("wrong pods", wrong, 0),
            judge.Bar("wrong answers to python", bad, 0),
            judge.Bar("pipeline and table differ", different, 0),
        ],
    }


@contextmanager
def flask_server():
    """In a virtual environment outside the tree, where Python itself does not have it."""
    with ExitStack() as stack:
        python = sys.executable
        if not importlib.util.find_spec("flask"):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            python = os.path.join(folder, "bin", "python")
            for command in ([sys.executable, "-m", "venv", folder],
                            [python, "-m", "pip", "install", "-q", "flask"]):
                done = subprocess.run(command, capture_output=True, text=True, timeout=120)
                if done.returncode:
                    raise NotPermitted("Flask is not installed, and pip cannot install it")
        yield stack.enter_context(python_server(FLASK, python))


def standard_server():
    return python_server(STANDARD, sys.executable)


@contextmanager
def python_server(text, python):
    port = free_port()
    with Program([python, "-c", text, port], port):
        yield port


@contextmanager
def nginx_server():
    """Lets a hundred requests a second through and makes the others wait."""
    if not shutil.which("nginx"):
        raise NotPermitted("nginx is not installed")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        os.mkdir(f"{folder}/www")
        with open(f"{folder}/www/index.html", "w") as file:
            file.write("Response from Pod nginx-pod\n")
        with open(f"{folder}/nginx.conf", "w") as file:
            file.write(NGINX.format(folder=folder, port=port))
        with Program([shutil.which("nginx"), "-p", folder, "-c", f"{folder}/nginx.conf"], port):
            yield port


def their_client(options, threads=30, requests=5):
    """Python's client on kept connections: every answer has to be whole and bear the name."""
    port, wrong = free_port(), []

    def ask():
        session = None
        if importlib.util.find_spec("requests"):
            import requests as library
            session = library.Session()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for _ in range(requests):
            if session:
                answer = session.get(f"http://127.0.0.1:{port}/a", timeout=10)
                got = (answer.status_code, answer.headers.get("Pod-Id"), answer.text)
            else:
                connection.request("GET", "/a")
                answer = connection.getresponse()
                got = (answer.status, answer.getheader("Pod-Id"), answer.read().decode())
            if got != (200, "pod-x", "Response from Pod pod-x\n"):
                wrong.append(got)

    with server(options, "pod-x", "127.0.0.1", port, ("--delay", "50ms..100ms")) as pod:
        crowd = [threading.Thread(target=ask) for _ in range(threads)]
        for one in crowd:
            one.start()
        for one in crowd:
            one.join()
        pod.end()
        said = pod.last_words()
    wanted = threads * requests
    counted = f"{wanted} requests, {wanted} answered, 0 abandoned" in said
    library = "requests" if importlib.util.find_spec("requests") else "http.client"
    return f"{wanted} requests of {library}", len(wrong) + int(not counted)


def pipeline(options):
    """Two pods on one port; the output goes through the shell, and its counts are the table's."""
    port = free_port()
    flags = ("--delay", "20ms..60ms", "--reuse-port")
    with server(options, "pod-a", "127.0.0.1", port, flags), \
            server(options, "pod-b", "127.0.0.1", port, flags):
        client_flags = ("--connections", 200, "--requests", 3000, "--think", "0..20ms")
        with Client(options, f"http://127.0.0.1:{port}/", client_flags) as client:
            outcome = client.finish()
    done = subprocess.run(["sh", "-c", PIPELINE], input=outcome.output, capture_output=True,
                          text=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    theirs = {name: int(count) for count, name in rows}
    table = [line.split() for line in outcome.output.splitlines()]
    ours = {row[1]: int(row[0]) for row in table if len(row) > 4 and row[1] in theirs}
    counts = {one["name"]: one["count"] for one in outcome.figures["pods"]}
    same = theirs == ours == counts and sum(theirs.values()) == 3000
    return ", ".join(f"{name} {count}" for name, count in theirs.items()), int(not same)


# What happens to the clients, and when, in seconds.
KILLED, BACK, RESET, HEALED, NAMELESS, NAMED, END = 1, 1.5, 2.5, 2.8, 3.5, 4.5, 6


def failures(options):
    """A pod is killed and comes back, half of the connections are reset, the name is gone for a
    while: the client goes on, and tells what failed by its kind."""
    service = Service()
    names = tempfile.TemporaryDirectory()
    hosts = os.path.join(names.name, "hosts")
    with ExitStack() as stack:
        stack.enter_context(names)
        stack.callback(service.close)
        write(hosts, f"{SERVICE} pods.test\n")
        write(os.path.join(names.name, "nsswitch.conf"), "hosts: files\n")
        # Files of its own for names, which this scenario changes: nobody else sees them.
        mount = (f"mount --bind {hosts} /etc/hosts && "
                 f"mount --bind {names.name}/nsswitch.conf /etc/nsswitch.conf && exec \"$@\"")
        before = ("unshare", "--mount", "sh", "-c", mount, "sh")
        delay = ("--delay", "20ms..80ms")

        def pod(name):
            return stack.enter_context(
                server(options, name, PODS[name], POD_PORT, delay, service.target))

        victims = {name: pod(name) for name in PODS}
        flags = ("--connections", 120, "--think", "20ms..80ms", "--duration", f"{END}s", "--quiet",
                 "--resolve-every", "200ms")
        url = f"http://pods.test:{SERVICE_PORT}/"
        clients = [
            stack.enter_context(Client(
                options, url, (*flags, "--max-failures", allowed), service.client, before))
            for allowed in (0, 10**6)]
        start = time.monotonic()
        wait_until(start + KILLED)
        victims["pod-a"].process.kill()
        victims["pod-a"].process.wait()
        wait_until(start + BACK)
        pod("pod-a")
        wait_until(start + RESET)
        reset_half(service, start + HEALED)
        wait_until(start + NAMELESS)
        write(hosts, "")
        wait_until(start + NAMED)
        write(hosts, f"{SERVICE} pods.test\n")
        outcomes = [client.finish() for client in clients]
    return judge_failures(outcomes)


def reset_half(service, until):
    """Answers half of all source ports with a reset; the kernel likes even ones best."""
    rule = f"tcp dport {POD_PORT} tcp sport & 2 == 2 reject with tcp reset"
    service.target.run("nft", "-f", "-", stdin=f"""
        table ip wall {{
            chain input {{ type filter hook input priority 0; policy accept; {rule}; }}
        }}""")
    wait_until(until)
    service.target.run("nft", "delete", "table", "ip", "wall")


def judge_failures(outcomes: list[Outcome]):
    kinds = [all_failures(one.figures) for one in outcomes]
    last = [one.counts(END - 1, END) for one in outcomes]
    unaccounted = [one.figures["sent"] - one.figures["answered"] - one.figures["lost"]
                   - one.figures["unanswered"] for one in outcomes]
    ends = ("reset", "closed", "ended-reused")
    broken = [sum(one.get(kind, 0) for kind in ends) + outcome.figures["closedidle"]
              for one, outcome in zip(kinds, outcomes)]
    allowed = {*ends, "refused", "resolve"}
    return {
        "figures": {
            "failures": ", ".join(f"{kind} {count}" for kind, count in kinds[0].items()),
            "connections broken": ", ".join(map(str, broken)),
            "answered": f"{outcomes[0].figures['answered']:,} of {outcomes[0].figures['sent']:,}",
            "last second": ", ".join(f"{pod} {count}" for pod, count in sorted(last[0].items())),
        },
        "bars": [
            judge.Bar("kinds not seen", sum(
                kind not in one for one in kinds
                for kind in ("ended-reused", "refused", "resolve")), 0),
            judge.Bar("local held against the target", sum(
                "resolve" in outcome.figures["failures"] for outcome in outcomes), 0),
            judge.Bar("kinds nobody caused", sum(
                kind not in allowed for one in kinds for kind in one), 0),
            # A third were the killed pod's, and half of all were reset; those that were between
            # two requests lost none.
            judge.Bar("few connections broken", sum(count < 60 for count in broken), 0),
            judge.Bar("pods silent at the end", sum(
                one.get(pod, 0) == 0 for one in last for pod in PODS), 0),
            judge.Bar("requests unaccounted", sum(map(abs, unaccounted)), 0),
            judge.Bar("wrong exit codes", int([one.code for one in outcomes] != [1, 0]), 0),
        ],
    }


def write(path, text):
    """In place: what is mounted over is the file, not its name."""
    with open(path, "w") as file:
        file.write(text)
