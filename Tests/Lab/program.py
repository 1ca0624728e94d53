"""Programs under test: started, asked over HTTP, looked at through /proc, and ended."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import tempfile
import time

from network import die_with_parent

class Failure(Exception):
    """The program under test did not do what it must; the message says what."""


def here():
    """Stands in for a namespace: where we are."""
    return contextlib.nullcontext()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """`with Program(…)`: running inside, ended (by its own pid) on the way out."""

    def __init__(self, command, port, namespace=None, address="127.0.0.1"):
        self.command = [str(part) for part in command]
        self.address, self.port = address, port
        self.place = namespace or here()
        self.log = tempfile.TemporaryFile()

    def __enter__(self):
        with self.place:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                preexec_fn=die_with_parent)
        self.started = time.monotonic()
        try:
            self.wait_until_listening()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    def wait_until_listening(self):
        limit = time.monotonic() + 10
        while time.monotonic() < limit:
            self.expect_running()
            try:
                self.connect().close()
                return
            except OSError:
                time.sleep(0.01)
        raise Failure(f"{self.name}: nothing listens on port {self.port} after 10 s")

    @property
    def name(self):
        return " ".join([os.path.basename(self.command[0])] + self.command[1:3])

    def expect_running(self):
        code = self.process.poll()
        if code is not None:
            raise Failure(f"{self.name}: ended with code {code}: {self.last_words()}")

    def last_words(self):
        self.log.seek(0, os.SEEK_END)
        self.log.seek(max(0, self.log.tell() - 600))
        return self.log.read().decode(errors="replace").strip() or "(nothing said)"

    def connect(self):
        with self.place:
            return socket.create_connection((self.address, self.port), timeout=10)

    def ask(self, method, path, body=None):
        """One request on a connection of its own: (status, body)."""
        connection = http.client.HTTPConnection(self.address, self.port)
        try:
            connection.sock = self.connect()
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.expect_running()
            raise Failure(f"{self.name}: {method} {path}: {error!r}") from None
        finally:
            connection.close()

    def ask_for(self, path, method="GET", body=None):
        status, answer = self.ask(method, path, body)
        if status != 200:
            raise Failure(f"{self.name}: {method} {path}: status {status}: {answer[:200]!r}")
        return answer

    def ask_json(self, path):
        answer = self.ask_for(path)
        try:
            return json.loads(answer)
        except ValueError as error:
            raise Failure(f"{self.name}: GET {path}: not JSON: {error}") from None

    def figures(self):
        """Memory (MB), processor time (s) and open descriptors, now and at their peak."""
        self.expect_running()
        folder = f"/proc/{self.process.pid}"
        status = fields(f"{folder}/status")
        try:
            anonymous = fields(f"{folder}/smaps_rollup")["Anonymous"]
        except OSError:
            anonymous = status["RssAnon"]
        with open(f"{folder}/stat") as file:
            ticks = sum(int(n) for n in file.read().rsplit(")", 1)[1].split()[11:13])
        return {
            "resident_mb": status["VmRSS"] / 1024,
            "peak_mb": status["VmHWM"] / 1024,
            "anonymous_mb": anonymous / 1024,
            "processor_s": ticks / os.sysconf("SC_CLK_TCK"),
            "wall_s": time.monotonic() - self.started,
            "descriptors": self.descriptors(),
        }

    def descriptors(self):
        # Since Linux 6.2 the folder's size is the count; listing thousands would disturb the run.
        folder = f"/proc/{self.process.pid}/fd"
        return os.stat(folder).st_size or len(os.listdir(folder))


def fields(path):
    """The numbers of a "Name:  123 kB" file."""
    found = {}
    with open(path) as file:
        for line in file:
            name, _, rest = line.partition(":")
            words = rest.split()
            if words and words[0].isdigit():
                found[name] = int(words[0])
    return found
