"""The built binary, started as the chart's containers: with their arguments and variables."""

import http.client
import os
import re
import subprocess
import tempfile
import time

import tools


def arguments(container, hosts=(), index=0):
    """A container's arguments as the kubelet hands them over, services' names replaced."""
    known = {"POD_NAME": "pod-1", "POD_ID": "pod-1", "JOB_COMPLETION_INDEX": str(index)}
    variables = {item["name"]: known[item["name"]] for item in container.get("env", [])}
    parts = []
    for part in container["args"]:
        part = re.sub(r"\$\((\w+)\)", lambda match: variables[match[1]], str(part))
        for host in hosts:
            part = part.replace(f"//{host}:", "//127.0.0.1:")
        parts.append(part)
    return parts


class Role:
    """`with Role(container, place)`: running in a network namespace of its own making."""

    def __init__(self, container, place, hosts=(), index=0):
        self.command = [tools.sonde, *arguments(container, hosts, index)]
        self.place = place
        self.probe = container.get("readinessProbe", {}).get("httpGet")
        self.ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        self.log = tempfile.TemporaryFile()

    def __enter__(self):
        from network import die_with_parent
        self.folder = tempfile.TemporaryDirectory()
        with self.place:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder.name, env={"POD_ID": "pod-1"},
                stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                preexec_fn=die_with_parent)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.folder.cleanup()
        self.log.close()

    @property
    def output(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def get(self, port, path):
        with self.place:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            finally:
                connection.close()

    def get_when_listening(self, port, path, seconds=20):
        end = time.monotonic() + seconds
        while True:
            try:
                return self.get(port, path)
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise AssertionError(f"{self.command}:\n{self.output}") from None
                time.sleep(0.02)

    def get_when_ready(self, port, seconds=20):
        end = time.monotonic() + seconds
        while self.get_when_listening(port, "/readyz")[0] != 200:
            if time.monotonic() > end:
                raise AssertionError(f"{self.command} does not get ready:\n{self.output}")
            time.sleep(0.05)

    def runs_for(self, seconds):
        """The exit code if it ends within so many seconds, else None."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


def namespace():
    """A new network namespace, or a reason why there is none."""
    from network import Namespace, NotPermitted
    if os.geteuid() != 0:
        return None, "network namespaces need root"
    try:
        return Namespace(), None
    except NotPermitted as error:
        return None, str(error)
