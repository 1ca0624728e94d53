"""Servers and loads as processes of their own: started, asked, timed by the kernel, and ended."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BENCHMARKS = HERE.parent
ROOT = BENCHMARKS.parent
sys.path.insert(0, str(ROOT / "Tests" / "Support"))
from sondetest import kernel
from sondetest.processes import Failure as Failed
from sondetest.processes import Process, free_port

BUILT = BENCHMARKS / ".build" / "release"
SONDE = pathlib.Path(os.environ.get("SONDE", ROOT / ".build" / "release" / "sonde"))
PEERS = BENCHMARKS / ".build" / "peers"


class Missing(Exception):
    """A program that a figure needs is not on this machine."""


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Missing(f"{program} is not installed")


SERVERS, LOADS = 0, 1
"""Which processor servers run on, and which one loads. Left to itself the kernel often puts both
ends of a connection on one, where they take turns, and a rate says how the coin fell."""


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


class Server(Process):
    """A server for the length of a `with`. Without `address` its first line says where it is."""

    def __init__(self, command, address=None, core=None):
        super().__init__(command, core=core, apart=True)
        self.address = address

    def settle(self):
        self.address = self.address or self.first_line()
        host, port = self.address.rsplit(":", 1)
        self.wait_until_listening(host, int(port))

    def processor_seconds(self):
        """Of all its threads."""
        return sum(kernel.processor_seconds(pid) for pid in self.processes())

    def processes(self):
        """It, and the workers that it has started."""
        return [self.pid, *kernel.children(self.pid)]

    def memory(self, kind="Anonymous"):
        return sum(kernel.memory(pid, kind) for pid in self.processes())


def run(command, core=None):
    """Runs a program to its end: (output, processor seconds)."""
    program = Process(command, core=core, apart=True)
    with program:
        _, status, usage = os.wait4(program.pid, 0)
        program.process.returncode = code = os.waitstatus_to_exitcode(status)
    if code != 0:
        said = (program.log or program.output).strip()
        raise Failed(f"{' '.join(program.command[:3])} …: exit code {code}: {said[-200:]}")
    return program.output, usage.ru_utime + usage.ru_stime


def wrk(address, seconds=2, connections=64, path="/", scheme="http"):
    """(requests a second, requests, wrk's own processor seconds)"""
    output, used = run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
                        f"{scheme}://{address}{path}"], LOADS)
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


@contextlib.contextmanager
def certificates():
    """A folder of them, as Tests/Support/pki.sh makes it: (folder, (certificate, key))."""
    need("openssl")
    with scratch("certificates") as folder:
        subprocess.run([ROOT / "Tests" / "Support" / "pki.sh", folder], check=True,
                       capture_output=True)
        yield folder, (folder / "server.pem", folder / "server.key")


NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  {upstream}
  server {{
    listen 127.0.0.1:{port} backlog=4096 {secure}
    location / {{ {answer} }}
  }}
}}
"""
HELLO = 'default_type text/plain; return 200 "hello, world\\n";'


@contextlib.contextmanager
def nginx(answer=HELLO, upstream="", identity=None):
    """One worker. `identity`: its certificate and key, for TLS."""
    os.environ["PATH"] += ":/usr/sbin"
    need("nginx")
    port = free_port()
    secure = ";"
    if identity:
        # Before 1.23.4 it speaks no TLS 1.3 unless it is told to.
        secure = ("ssl; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {}; "
                  "ssl_certificate_key {};".format(*identity))
    with scratch(f"nginx-{port}") as folder:
        (folder / "conf").write_text(NGINX.format(
            folder=folder, port=port, answer=answer, upstream=upstream, secure=secure))
        with Server(["nginx", "-p", folder, "-c", folder / "conf"], f"127.0.0.1:{port}",
                    SERVERS) as server:
            yield server
