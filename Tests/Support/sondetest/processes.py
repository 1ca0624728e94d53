"""Programs beside a test or a benchmark: started, awaited, asked, and ended by their own pid."""

import contextlib
import ctypes
import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """A program did not do what it was started for; the message says what."""


def here():
    """Stands in for a namespace: where we are."""
    return contextlib.nullcontext()


def die_with_parent():
    """In a child, before it becomes its program: SIGKILL for it when we die, however we die."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command, place=None, core=None, prepare=None, **options):
    """A process that does not outlive us. `place`: its namespace; `core`: its only processor;
    `prepare`: what else the child does before it becomes its program."""
    def before():
        die_with_parent()
        if core is not None and (os.cpu_count() or 1) > core:
            os.sched_setaffinity(0, {core})
        if prepare:
            prepare()

    options.setdefault("stdin", subprocess.DEVNULL)
    with place or here():
        return subprocess.Popen([str(word) for word in command], preexec_fn=before, **options)


def end(process, patience=3):
    """Asks it to end, and kills it where it has not after so many seconds."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def until(condition, seconds, pause=0.01):
    """What `condition` gives, asked until it is true or the time is over."""
    limit = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < limit:
        time.sleep(pause)
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def text(file):
    """What a child has written to it, not by the file's position, where the child goes on."""
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, 0).decode(errors="replace")


def fetch(port, path, method="GET", body=None, place=None, address="127.0.0.1", timeout=10):
    """One request on a connection of its own: (status, body)."""
    connection = http.client.HTTPConnection(address, port)
    try:
        with place or here():
            connection.sock = socket.create_connection((address, port), timeout)
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class Process:
    """`with Process(…)`: under way inside, ended on the way out. What it says is kept in files, so
    that no pipe fills; `apart` keeps its log out of its output."""

    patience = 3

    def __init__(self, command, place=None, core=None, apart=False, **options):
        self.command = [str(word) for word in command]
        self.place, self.core, self.options = place, core, options
        self.log_file = tempfile.TemporaryFile()
        self.output_file = tempfile.TemporaryFile() if apart else self.log_file

    def __enter__(self):
        self.process = start(self.command, self.place, self.core, stdout=self.output_file,
                             stderr=self.log_file, **self.options)
        self.started = time.monotonic()
        try:
            self.settle()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def settle(self):
        """What has to come about before the body of the `with` begins."""

    def end(self):
        end(self.process, self.patience)

    @property
    def pid(self):
        return self.process.pid

    @property
    def name(self):
        return " ".join([os.path.basename(self.command[0])] + self.command[1:3])

    def expect_running(self):
        code = self.process.poll()
        if code is not None:
            raise Failure(f"{self.name}: ended with code {code}: {self.last_words()}")

    def wait(self, seconds):
        """Its exit code, when it has ended by itself."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name}: has not ended after {seconds} s") from None

    @property
    def output(self):
        """All of it, so far."""
        return text(self.output_file)

    @property
    def log(self):
        """All of it, so far."""
        return text(self.log_file)

    def last_words(self):
        return self.log[-600:].strip() or "(nothing said)"

    def first_line(self, seconds=10):
        """Of its output, awaited."""
        until(lambda: "\n" in self.output or self.process.poll() is not None, seconds)
        line, feed, _ = self.output.partition("\n")
        if not feed:
            self.expect_running()
            raise Failure(f"{self.name}: said nothing for {seconds} s")
        return line.strip()

    def connect(self, address, port):
        with self.place or here():
            return socket.create_connection((address, port), timeout=10)

    def wait_until_listening(self, address, port, seconds=10):
        def listens():
            self.expect_running()
            with contextlib.suppress(OSError):
                self.connect(address, port).close()
                return True

        if not until(listens, seconds):
            raise Failure(f"{self.name}: nothing listens on port {port} after {seconds} s")
