"""Servers and loads as processes of their own: started, asked, timed by the kernel, and ended."""

import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
BENCHMARKS = HERE.parent
ROOT = BENCHMARKS.parent
BUILT = BENCHMARKS / ".build" / "release"
SONDE = ROOT / ".build" / "release" / "sonde"
PEERS = BENCHMARKS / ".build" / "peers"
libc = ctypes.CDLL(None)


class Missing(Exception):
    """A program that a figure needs is not on this machine."""


class Failed(Exception):
    """A program did not do what it was started for."""


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Missing(f"{program} is not installed")


SERVERS, LOADS = 0, 1
"""Which processor servers run on, and which one loads. Left to itself the kernel often puts both
ends of a connection on one, where they take turns, and a rate says how the coin fell."""


def on_core(core=None):
    """What a child does before it becomes its program."""
    def prepare():
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it must not outlive us
        if core is not None and (os.cpu_count() or 1) > core:
            os.sched_setaffinity(0, {core})
    return prepare


def build(*products):
    """Swift products of this package, and the C peer."""
    for product in products:
        subprocess.run(
            ["swift", "build", "-c", "release", "--product", product, "--static-swift-stdlib"],
            cwd=BENCHMARKS, check=True, capture_output=True)


def build_peer(name):
    PEERS.mkdir(parents=True, exist_ok=True)
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libuv-static"],
                           capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", PEERS / name,
                    BENCHMARKS / "Peers" / f"{name}.c", *flags], check=True)
    return PEERS / name


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A server for the length of a `with`. Without `address` its first line says where it is."""

    def __init__(self, command, address=None, core=None):
        self.command = [str(word) for word in command]
        self.address = address
        self.core = core

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            preexec_fn=on_core(self.core))
        if self.address is None:
            self.address = self.process.stdout.readline().strip()
            if not self.address:
                raise Failed(f"{self.command[0]}: did not start")
        host, port = self.address.rsplit(":", 1)
        limit = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
                return self
            if self.process.poll() is not None or time.monotonic() > limit:
                self.__exit__()
                raise Failed(f"{self.command[0]}: does not listen on {self.address}")
            time.sleep(0.02)

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def processor_seconds(self):
        """Of all its threads, and of worker processes that it has started."""
        pids = [self.process.pid, *children(self.process.pid)]
        return sum(processor_seconds(pid) for pid in pids)

    def memory(self, kind="Anonymous"):
        return smaps(self.process.pid, kind)


def children(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir()
            for child in (task / "children").read_text().split()]


def processor_seconds(pid):
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def smaps(pid, kind):
    """Bytes: Anonymous, Rss, Pss, …"""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) * 1024
    raise Failed("the kernel gives no figure for memory")


def run(command, core=None):
    """Runs a program to its end: (output, processor seconds)."""
    command = [str(word) for word in command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=on_core(core))
    output = process.stdout.read()
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    process.stderr.close()
    if process.returncode != 0:
        raise Failed(f"{' '.join(command[:3])} …: exit code {process.returncode}: "
                     f"{(errors or output).strip()[-200:]}")
    return output, usage.ru_utime + usage.ru_stime


def wrk(address, seconds=2, connections=64, path="/"):
    """(requests a second, requests, wrk's own processor seconds)"""
    output, used = run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
                        f"http://{address}{path}"], LOADS)
    count = int(re.search(r"(\d+) requests in", output).group(1))
    if not count or "Non-2xx" in output:
        raise Failed(f"wrk: {output.strip()[-200:]}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1)), count, used


@contextlib.contextmanager
def scratch(name):
    """A folder for the length of a `with`."""
    folder = BENCHMARKS / ".build" / "scratch" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  {upstream}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ {answer} }}
  }}
}}
"""
HELLO = 'default_type text/plain; return 200 "hello, world\\n";'


@contextlib.contextmanager
def nginx(answer=HELLO, upstream=""):
    """One worker."""
    os.environ["PATH"] += ":/usr/sbin"
    need("nginx")
    port = free_port()
    with scratch(f"nginx-{port}") as folder:
        (folder / "conf").write_text(
            NGINX.format(folder=folder, port=port, answer=answer, upstream=upstream))
        with Server(["nginx", "-p", folder, "-c", folder / "conf"], f"127.0.0.1:{port}",
                    SERVERS) as server:
            yield server
