"""Programs under test: started, asked over HTTP, looked at through /proc, and ended."""

import http.client
import json
import time

from sondetest import kernel
from sondetest.processes import Failure, Process, fetch, free_port, here


class Program(Process):
    """`with Program(…)`: running and listening inside, ended (by its own pid) on the way out."""

    def __init__(self, command, port, namespace=None, address="127.0.0.1"):
        super().__init__(command, namespace)
        self.address, self.port = address, port

    def settle(self):
        self.wait_until_listening()

    def wait_until_listening(self):
        super().wait_until_listening(self.address, self.port)

    def connect(self, address=None, port=None):
        return super().connect(address or self.address, port or self.port)

    def ask(self, method, path, body=None):
        """One request on a connection of its own: (status, body)."""
        try:
            return fetch(self.port, path, method, body, self.place, self.address)
        except (OSError, http.client.HTTPException) as error:
            self.expect_running()
            raise Failure(f"{self.name}: {method} {path}: {error!r}") from None

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
        return {
            "resident_mb": kernel.resident(self.pid) / 2**20,
            "peak_mb": kernel.peak(self.pid) / 2**20,
            "anonymous_mb": kernel.memory(self.pid, "Anonymous") / 2**20,
            "processor_s": kernel.processor_seconds(self.pid),
            "wall_s": time.monotonic() - self.started,
            "descriptors": self.descriptors(),
        }

    def descriptors(self):
        return kernel.descriptors(self.pid)
