"""A container of the image under runc, locked up as the chart locks its pods up."""

import json
import os
import re
import subprocess
import threading

from sondetest.processes import end, start, until

LISTENING = "Server started on|Listening for new connections on|listens on"
MASKED = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"]


class Pod:
    """One container; its standard output and error are a pipe, as under a cluster's runtime."""

    serial = 0

    def __init__(self, lab, arguments, entrypoint=None, mounts=(), user=None, files=1024):
        Pod.serial += 1
        self.lab = lab
        self.id = f"sonde-image-{os.getpid()}-{Pod.serial}"
        self.bundle = os.path.join(lab.folder, self.id)
        os.mkdir(self.bundle)
        command = (entrypoint or lab.config["Entrypoint"]) + list(arguments)
        document = self.document(command, mounts, user or lab.config["User"], files)
        with open(os.path.join(self.bundle, "config.json"), "w") as file:
            json.dump(document, file)
        self.runner = start(
            ["runc", "--root", lab.state, "run", "--bundle", self.bundle, self.id],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.log = bytearray()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        with self.runner.stdout as pipe:
            while chunk := pipe.read1(65536):
                self.log += chunk

    def document(self, command, mounts, user, files):
        """The runtime configuration (OCI runtime specification 1.0)."""
        uid, gid = (int(part) for part in user.split(":"))
        none = {kind: [] for kind in
                ("bounding", "effective", "inheritable", "permitted", "ambient")}
        fixed = ["nosuid", "noexec", "nodev"]
        return {
            "ociVersion": "1.0.2",
            "root": {"path": self.lab.root, "readonly": True},
            "process": {
                "terminal": False, "cwd": "/", "args": command,
                "user": {"uid": uid, "gid": gid}, "env": self.lab.config["Env"],
                "capabilities": none, "noNewPrivileges": True,
                "rlimits": [{"type": "RLIMIT_NOFILE", "hard": files, "soft": files}],
            },
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc", "options": fixed},
                # Each its own: runc makes devices there, and all pods have one root.
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                 "options": ["nosuid", "mode=755", "size=64k"]},
                *({"destination": to, "type": "bind", "source": source,
                   "options": ["bind", "ro", *fixed]} for source, to in mounts),
            ],
            "linux": {
                "namespaces": [
                    {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                    {"type": "network", "path": self.lab.namespace_path},
                ],
                "maskedPaths": MASKED,
                "readonlyPaths": ["/proc/sys", "/proc/irq", "/proc/bus"],
            },
        }

    @property
    def output(self):
        return self.log.decode(errors="replace")

    def wait(self, seconds=20):
        """The exit code, once it has ended by itself."""
        code = self.runner.wait(seconds)
        self.reader.join(seconds)
        return code

    def wait_until_listening(self, seconds=20):
        until(lambda: re.search(LISTENING, self.output) or self.runner.poll() is not None, seconds)
        if not re.search(LISTENING, self.output) or self.runner.poll() is not None:
            raise AssertionError(f"{self.id} does not listen:\n{self.output}")

    @property
    def pid(self):
        """Of the program, as this machine counts."""
        state = subprocess.run(["runc", "--root", self.lab.state, "state", self.id],
                               check=True, capture_output=True)
        return json.loads(state.stdout)["pid"]

    def signal(self, name="TERM"):
        subprocess.run(["runc", "--root", self.lab.state, "kill", self.id, name], check=True)

    def remove(self):
        if self.runner.poll() is None:
            subprocess.run(["runc", "--root", self.lab.state, "kill", self.id, "KILL"],
                           capture_output=True)
            end(self.runner, 10)
        subprocess.run(["runc", "--root", self.lab.state, "delete", "--force", self.id],
                       capture_output=True)
