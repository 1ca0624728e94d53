"""Network namespaces, a link between them, and a firewall that opens one address at a time.

The namespaces have no names: each lives exactly as long as this process holds its descriptor (and
programs run inside), so nothing is left behind on any exit, not even after SIGKILL.
"""

import ctypes
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Support"))
from sondetest.processes import libc, start

CLONE_NEWNET = 0x40000000
PORT = 8080


class NotPermitted(Exception):
    """This machine does not let us do it; the message says what and why."""


def check(returned, what):
    if returned != 0:
        number = ctypes.get_errno()
        raise NotPermitted(f"{what}: {os.strerror(number)}")


class Namespace:
    """`with namespace:` puts this thread, its new sockets and the programs it starts inside."""

    def __init__(self):
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            check(libc.unshare(CLONE_NEWNET), "cannot make a network namespace")
            self.descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            check(libc.setns(home, CLONE_NEWNET), "cannot return from a network namespace")
        finally:
            os.close(home)
        self.outer = []
        self.run("ip", "link", "set", "lo", "up")

    def __enter__(self):
        self.outer.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        check(libc.setns(self.descriptor, CLONE_NEWNET), "cannot enter a network namespace")
        return self

    def __exit__(self, *_):
        outer = self.outer.pop()
        check(libc.setns(outer, CLONE_NEWNET), "cannot return from a network namespace")
        os.close(outer)

    def run(self, *command, stdin=""):
        with self:
            try:
                done = subprocess.run(command, input=stdin, capture_output=True, text=True)
            except FileNotFoundError:
                raise NotPermitted(f"{command[0]} is not installed") from None
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
        return done.stdout

    def close(self):
        os.close(self.descriptor)


class Network:
    """A client namespace and a target namespace, joined by a cable.

    The target namespace takes every address of a whole prefix as its own, so thousands of targets
    need one route and one listening socket. `delay_ms`: the least and the most, each way.
    `loss`: the share of the client's packets that never arrive.
    """

    def __init__(self, ipv6=False, mode="drop", delay_ms=None, loss=0):
        self.ipv6 = ipv6
        self.gate = self.cable = None
        self.client = Namespace()
        self.target = Namespace()
        try:
            self.build(mode, delay_ms, loss)
        except BaseException:
            self.close()
            raise

    def build(self, mode, delay_ms, loss):
        self.lay_cable(delay_ms)
        self.route()
        if mode == "refused":
            from listeners import Listeners  # which needs this module

            self.gate = Listeners(self.target)
        else:
            self.gate = Gate(self.target, self.ipv6, mode, loss)

    def lay_cable(self, delay_ms):
        if delay_ms:
            self.lay_slow_cable(*delay_ms)
            return
        other = f"/proc/{os.getpid()}/fd/{self.target.descriptor}"
        link = ["ip", "link", "add", "client0", "type", "veth", "peer", "name", "target0"]
        self.client.run(*link, "netns", other)

    def route(self):
        if self.ipv6:
            ours, theirs, prefix = "fd00:5::1/64", "fd00:5::2/64", "fd00:6::/64"
            family = ["-6"]
        else:
            ours, theirs, prefix = "10.210.0.1/24", "10.210.0.2/24", "10.211.0.0/16"
            family = []
        nodad = ["nodad"] if self.ipv6 else []
        self.client.run("ip", *family, "addr", "add", ours, "dev", "client0", *nodad)
        self.client.run("ip", "link", "set", "client0", "up")
        self.target.run("ip", *family, "addr", "add", theirs, "dev", "target0", *nodad)
        self.target.run("ip", "link", "set", "target0", "up")
        self.target.run("ip", *family, "route", "add", "local", prefix, "dev", "lo")
        via = [] if self.cable else ["via", theirs.split("/")[0]]  # a TUN has no neighbours
        self.client.run("ip", *family, "route", "add", prefix, *via, "dev", "client0")

    def lay_slow_cable(self, low_ms, high_ms):
        import delayline  # which needs this module

        ends = [
            delayline.open_tun(self.client, "client0"), delayline.open_tun(self.target, "target0")]
        command = [sys.executable, delayline.__file__, *ends, low_ms, high_ms]
        self.cable = start(command, pass_fds=ends)
        for end in ends:
            os.close(end)

    def address(self, index):
        if self.ipv6:
            return f"fd00:6::{index + 1:x}"
        return f"10.211.{(index + 1) // 250}.{(index + 1) % 250 + 1}"

    def close(self):
        if self.gate:
            self.gate.close()
        if self.cable:
            self.cable.kill()
            self.cable.wait()
        self.client.close()
        self.target.close()


class Nftables:
    """Changes a namespace's rules without starting a process, and says when."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.context = None
        try:
            self.library = ctypes.CDLL("libnftables.so.1")
        except OSError:
            return  # a process for each change then: slower, but bounded just as well
        self.library.nft_ctx_new.restype = ctypes.c_void_p
        self.library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self.library.nft_ctx_free.argtypes = [ctypes.c_void_p]
        with namespace:
            self.context = self.library.nft_ctx_new(0)

    def run(self, command):
        """Returns the wall clock (ns) before and after: the change lies between the two."""
        with self.namespace:
            before = time.time_ns()
            if self.context:
                failed = self.library.nft_run_cmd_from_buffer(self.context, command.encode())
            else:
                failed = subprocess.run(["nft", command]).returncode
            after = time.time_ns()
        if failed:
            raise RuntimeError(f"nft {command[:40]} failed")
        return before, after

    def close(self):
        if self.context:
            self.library.nft_ctx_free(self.context)
            self.context = None


class Gate:
    """Lets a SYN to the targets' port pass only if its destination is in the set `allowed`."""

    def __init__(self, namespace, ipv6=False, mode="drop", loss=0):
        self.namespace = namespace
        family, kind = ("ip6", "ipv6_addr") if ipv6 else ("ip", "ipv4_addr")
        verdict = {"drop": "drop", "reject": "reject with tcp reset"}[mode]
        lossy = f"iifname target0 numgen random mod 10000 < {round(loss * 10000)} drop"
        namespace.run("nft", "-f", "-", stdin=f"""
            table inet gate {{
                chain path {{
                    type filter hook prerouting priority -300; policy accept;
                    {lossy if loss else ""}
                }}
                set allowed {{ type {kind}; }}
                chain input {{
                    type filter hook input priority 0; policy accept;
                    tcp dport {PORT} tcp flags & (syn | ack) == syn {family} daddr != @allowed \
                        counter {verdict}
                }}
            }}""")
        self.nftables = Nftables(namespace)

    def open(self, addresses):
        """Returns the wall clock (ns) before and after: the change lies between the two."""
        return self.change("add", addresses)

    def shut(self, addresses):
        return self.change("delete", addresses)

    def change(self, verb, addresses):
        return self.nftables.run(f"{verb} element inet gate allowed {{ {', '.join(addresses)} }}")

    def blocked(self):
        """How many SYNs the gate has turned away."""
        listing = self.namespace.run("nft", "list", "chain", "inet", "gate", "input")
        return int(listing.split("counter packets ")[1].split()[0])

    def close(self):
        self.nftables.close()


def try_it():
    """Raises NotPermitted where the lab cannot work."""
    try:
        Network().close()
    except (OSError, RuntimeError) as error:
        raise NotPermitted(str(error)) from None
