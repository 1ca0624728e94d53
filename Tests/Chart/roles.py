"""The built binary, started as the chart's containers: with their arguments and variables."""

import os
import re
import tempfile

import tools
from sondetest.processes import Process, fetch, until


def arguments(container, hosts=(), index=0):
    """A container's arguments as the kubelet hands them over, services' names replaced."""
    known = {"POD_NAME": "pod-1", "POD_ID": "pod-1", "JOB_COMPLETION_INDEX": str(index)}
    variables = {item["name"]: known[item["name"]] for item in container.get("env", [])}
    parts = []
    for part in container["args"]:
        part = re.sub(r"\$\((\w+)\)", lambda match: variables[match[1]], str(part))
        for host in hosts:
            part = re.sub(rf"//{host}(\.\w[\w-]*)?:", "//127.0.0.1:", part)
        parts.append(part)
    return parts


class Role(Process):
    """`with Role(container, place)`: running in a network namespace of its own making."""

    patience = 0

    def __init__(self, container, place, hosts=(), index=0):
        self.folder = tempfile.TemporaryDirectory()
        super().__init__([tools.sonde, *arguments(container, hosts, index)], place,
                         cwd=self.folder.name, env={"POD_ID": "pod-1"})
        self.probe = container.get("readinessProbe", {}).get("httpGet")
        self.ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}

    def end(self):
        super().end()
        self.folder.cleanup()

    def get(self, port, path):
        status, body = fetch(port, path, place=self.place, timeout=5)
        return status, body.decode()

    def get_when_listening(self, port, path, seconds=20):
        self.wait_until_listening("127.0.0.1", port, seconds)
        return self.get(port, path)

    def get_when_ready(self, port, seconds=20):
        self.wait_until_listening("127.0.0.1", port, seconds)
        if not until(lambda: self.get(port, "/readyz")[0] == 200, seconds, 0.05):
            raise AssertionError(f"{self.command} does not get ready:\n{self.output}")

    def runs_for(self, seconds):
        """The exit code if it ends within so many seconds, else None."""
        until(lambda: self.process.poll() is not None, seconds)
        return self.process.poll()


def namespace():
    """A new network namespace, or a reason why there is none."""
    from network import Namespace, NotPermitted
    if os.geteuid() != 0:
        return None, "network namespaces need root"
    try:
        return Namespace(), None
    except NotPermitted as error:
        return None, str(error)
