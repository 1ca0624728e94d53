#!/usr/bin/env python3
"""Runs the pod image as a cluster would and measures it: every role locked up under runc, in a
network namespace of its own, with nothing in reach but its own loopback interface.

Exit code 77 with a printed reason where this machine does not let us (root and runc are needed).
"""

import argparse
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Lab"))
from archive import Archive
from names import NameServer
from network import Namespace, NotPermitted
from pod import Pod
from sondetest import kernel
from sondetest.figures import mean, median
from sondetest.processes import fetch, until

# Decimal megabytes, as the registries show them.
# A quarter of it is OpenSSL.
MAX_UNPACKED = 21_000_000
MAX_COMPRESSED = 9_000_000
MAX_HELP_SECONDS = 0.005
MAX_IDLE_PSS = 1_300_000
IDLE_PODS = 50


class Lab:
    """What the tests share: the unpacked image and a namespace."""

    def __init__(self, path):
        self.namespace = Namespace()
        self.namespace_path = f"/proc/{os.getpid()}/fd/{self.namespace.descriptor}"
        with Archive(path) as self.archive:
            self.folder = tempfile.mkdtemp(prefix="sonde-image-")
            os.chmod(self.folder, 0o755)  # the pods' user has to get through
            self.root = os.path.join(self.folder, "root")
            self.state = os.path.join(self.folder, "runc")
            os.mkdir(self.root, 0o755)
            self.unpacked_bytes = self.archive.unpack(self.root)
        self.config = self.archive.config["config"]
        self.contents = sorted(self.walk())
        for mountpoint in ["proc", "dev", "etc/hosts", "etc/resolv.conf"]:  # as engines make them
            self.make_mountpoint(os.path.join(self.root, mountpoint))

    def walk(self):
        """Every path of the image with its state, before a runtime adds mount points."""
        for folder, folders, files in os.walk(self.root):
            for path in (os.path.join(folder, name) for name in folders + files):
                yield os.path.relpath(path, self.root), os.lstat(path)

    @staticmethod
    def make_mountpoint(path):
        if "." in os.path.basename(path) or path.endswith("hosts"):
            open(path, "a").close()
        else:
            os.makedirs(path, exist_ok=True)

    def close(self):
        self.namespace.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class ImageTest(unittest.TestCase):
    """A test that starts pods; they are gone when it ends."""

    lab = None
    again = None

    def pod(self, *arguments, ready=True, **options):
        pod = Pod(self.lab, arguments, **options)
        self.addCleanup(pod.remove)
        if ready:
            pod.wait_until_listening()
        return pod

    def ask(self, url, body=None, timeout=5):
        """Status and body; any status is an answer."""
        asked = urllib.parse.urlsplit(url)
        status, text = fetch(asked.port, asked.path, "POST" if body else "GET", body,
                             self.lab.namespace, asked.hostname, timeout)
        return status, text.decode()

    def ask_until(self, url, wanted, seconds=20):
        last = None

        def came():
            nonlocal last
            last = self.ask(url)
            return wanted(*last)

        if not until(came, seconds, 0.05):
            self.fail(f"{url}: still {last} after {seconds} s")
        return last

    def endpoints(self, port, role):
        base = f"http://127.0.0.1:{port}"
        self.assertEqual(self.ask(base + "/healthz")[0], 200, role)
        self.assertEqual(self.ask(base + "/status")[0], 200, role)
        status, text = self.ask(base + "/metrics")
        self.assertEqual(status, 200, role)
        self.assertIn("# TYPE", text, role)


class ContentTests(ImageTest):
    def test_it_is_small(self):
        unpacked, compressed = self.lab.unpacked_bytes, self.lab.archive.compressed_bytes
        print(f"image: {unpacked / 1e6:.2f} MB unpacked, {compressed / 1e6:.2f} MB compressed")
        self.assertLessEqual(unpacked, MAX_UNPACKED)
        self.assertLessEqual(compressed, MAX_COMPRESSED)

    def test_it_holds_the_program_its_names_and_nothing_else(self):
        names = ["sonde", "netpolvalidator", "netpolproxy", "sampleapp", "egw-scale-utils"]
        wanted = {f"usr/bin/{name}" for name in names} | {"etc/nsswitch.conf"}
        found = {path for path, state in self.lab.contents if not stat.S_ISDIR(state.st_mode)}
        self.assertEqual(found, wanted)
        for name in names[1:]:
            self.assertEqual(os.readlink(os.path.join(self.lab.root, "usr/bin", name)), "sonde")

    def test_it_is_labelled_and_runs_as_nobody_by_number(self):
        labels = self.lab.config["Labels"]
        self.assertEqual(labels["org.opencontainers.image.title"], "sonde")
        self.assertEqual(labels["org.opencontainers.image.licenses"], "Apache-2.0")
        self.assertRegex(labels["org.opencontainers.image.version"], r"^\d+\.\d+\.\d+")
        uid, gid = self.lab.config["User"].split(":")
        self.assertGreater(int(uid), 1000)
        self.assertGreater(int(gid), 1000)

    def test_nobody_but_root_may_change_a_file(self):
        for path, state in self.lab.contents:
            self.assertEqual((state.st_uid, state.st_gid), (0, 0), path)
            if not stat.S_ISLNK(state.st_mode):
                self.assertEqual(state.st_mode & 0o022, 0, path)

    def test_the_same_inputs_make_the_same_image(self):
        if not self.again:
            self.skipTest("--again names no second build")
        with Archive(self.again) as again:
            self.assertEqual(again.digest, self.lab.archive.digest)


class RoleTests(ImageTest):
    def test_the_network_policy_roles_measure_together(self):
        self.pod(entrypoint=["/usr/bin/sampleapp"])
        self.pod(entrypoint=["/usr/bin/netpolvalidator"])
        self.pod(entrypoint=["/usr/bin/netpolproxy"])
        self.assertEqual(self.ask("http://127.0.0.1:8080/")[0], 200)
        self.endpoints(9001, "client")
        self.endpoints(9002, "proxy")
        wanted = {"127.0.0.1": [
            {"addresses": ["127.0.0.1"], "ports": [8080], "netpol": "ingress-0-1"}]}
        proxy = "http://127.0.0.1:9002"
        self.ask(proxy + "/initiate", json.dumps(wanted).encode())
        self.ask_until(proxy + "/checkConnectionsStatus", lambda _, text: "true" in text)
        self.ask_until("http://127.0.0.1:9001/results", lambda _, text: "ingress-0-1" in text)
        self.ask(proxy + "/stop")
        self.ask_until(proxy + "/checkStopStatus", lambda _, text: "true" in text)
        results = json.loads(self.ask(proxy + "/results")[1])
        self.assertEqual(results["127.0.0.1"][0]["npname"], "ingress-0-1")

    def test_the_egress_gateway_roles_measure_together(self):
        egw = ["/usr/bin/egw-scale-utils"]
        self.pod("external-target", "--allowed-cidr", "127.0.0.0/8",
                 "--metrics-listen", "127.0.0.1:2113", entrypoint=egw)
        self.pod("client", "--external-target-addr", "127.0.0.1:1337", entrypoint=egw)
        self.ask_until("http://127.0.0.1:2112/readyz", lambda status, _: status == 200)
        self.endpoints(2112, "client")
        self.endpoints(2113, "external target")
        metrics = self.ask("http://127.0.0.1:2112/metrics")[1]
        self.assertIn("egw_scale_test_failed_tests_total 0", metrics)

    def test_the_reverse_proxy_roles_measure_together(self):
        self.pod("reload", "backend", "pod-1", "8001")
        bench = self.pod("reload", "bench", "http://127.0.0.1:8001/", "--clients=2",
                         "--requests=20", "--csv=/dev/null", "--json=/dev/stdout", "--quiet",
                         ready=False)
        self.assertEqual(bench.wait(), 0, bench.output)
        self.assertRegex(bench.output, "success: 20 failure: 0 ")
        self.assertIn("pod-1", self.last_document(bench))

    def test_the_long_lived_roles_measure_together(self):
        self.pod("longlived", "server", "--pod-id=pod-1", "--metrics-listen=127.0.0.1:5001")
        self.endpoints(5001, "server")
        client = self.pod("longlived", "client", "http://127.0.0.1:5000/", "--connections=3",
                          "--requests=9", "--think=0s", "--json=/dev/stdout", "--quiet",
                          ready=False)
        self.assertEqual(client.wait(), 0, client.output)
        document = json.loads(self.last_document(client))
        self.assertEqual(document["answered"], 9)
        self.assertEqual([pod["name"] for pod in document["pods"]], ["pod-1"])

    def last_document(self, pod):
        """The line of JSON that `kubectl logs … | grep '^{'` would find."""
        lines = [line for line in pod.output.splitlines() if line.startswith("{")]
        self.assertEqual(len(lines), 1, pod.output)
        return lines[0]

    def test_every_role_of_every_command_has_help(self):
        for command in [["netpol", "client"], ["netpol", "proxy"], ["netpol", "target"],
                        ["egw", "client"], ["egw", "external-target"], ["reload", "bench"],
                        ["reload", "backend"], ["longlived", "server"], ["longlived", "client"]]:
            pod = self.pod(*command, "--help", ready=False)
            self.assertEqual(pod.wait(), 0, command)
            self.assertIn("USAGE: sonde " + " ".join(command), pod.output)


class ConfinementTests(ImageTest):
    def test_it_may_do_nothing_that_it_does_not_need(self):
        pod = self.pod("netpol", "client")
        with open(f"/proc/{pod.pid}/status") as status:
            facts = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
        self.assertEqual(facts["Uid"].split(), ["65532"] * 4)
        self.assertEqual(facts["CapEff"], "0" * 16)
        self.assertEqual(facts["CapBnd"], "0" * 16)
        self.assertEqual(facts["NoNewPrivs"], "1")
        with open(f"/proc/{pod.pid}/mounts") as mounts:
            root = next(line.split() for line in mounts if line.split()[1] == "/")
        self.assertIn("ro", root[3].split(","))

    def test_it_ends_on_sigterm_although_it_is_process_one(self):
        for command in [["netpol", "client"], ["netpol", "proxy"], ["netpol", "target"],
                        ["egw", "external-target", "--allowed-cidr", "127.0.0.0/8"],
                        ["reload", "backend", "pod-1", "8001"], ["longlived", "server"]]:
            pod = self.pod(*command)
            with open(f"/proc/{pod.pid}/status") as status:
                self.assertRegex(status.read(), r"NSpid:\t\d+\t1\n")
            pod.signal("TERM")
            self.assertEqual(pod.wait(), 0, f"{command}\n{pod.output}")

    def test_names_are_looked_up_in_the_files_that_a_cluster_mounts(self):
        hosts = self.mounted("hosts", "127.0.0.1 target-in-hosts.test\n")
        resolv = self.mounted("resolv.conf", "nameserver 127.0.0.53\n")
        with self.lab.namespace:
            server = NameServer("127.0.0.53", answer="127.0.0.1")
        self.addCleanup(server.close)
        self.pod("netpol", "target")
        self.pod("netpol", "client",
                 mounts=[(hosts, "/etc/hosts"), (resolv, "/etc/resolv.conf")])
        names = {"target-in-hosts.test", "target-in-dns.test"}
        wanted = [{"addresses": sorted(names), "ports": [8080], "netpol": "ingress-0-1"}]
        self.ask("http://127.0.0.1:9001/check", json.dumps(wanted).encode())
        self.ask_until("http://127.0.0.1:9001/results",
                       lambda _, text: {it["address"] for it in json.loads(text)} == names)
        self.assertEqual(server.asked, {"target-in-dns.test"})

    def mounted(self, name, text):
        path = os.path.join(self.lab.folder, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path


class CostTests(ImageTest):
    def test_help_is_there_at_once(self):
        program = os.path.join(self.lab.root, "usr/bin/sonde")
        times = []
        for _ in range(40):
            start = time.monotonic()
            subprocess.run([program, "--help"], check=True, stdout=subprocess.DEVNULL)
            times.append(time.monotonic() - start)
        print(f"--help: {min(times) * 1e3:.1f} ms at best, "
              f"{median(times) * 1e3:.1f} ms in the middle")
        self.assertLessEqual(min(times), MAX_HELP_SECONDS)  # the best: others use the machine too

    def test_idle_client_pods_share_nearly_everything(self):
        pods = [self.pod("--listen", f"127.0.1.{i + 1}:9001",
                         entrypoint=["/usr/bin/netpolvalidator"], ready=False)
                for i in range(IDLE_PODS)]
        for pod in pods:
            pod.wait_until_listening(60)
        pids = [pod.pid for pod in pods]
        pss, rss, private = (
            mean(kernel.memory(pid, *kinds) for pid in pids)
            for kinds in (["Pss"], ["Rss"], ["Private_Clean", "Private_Dirty"]))
        print(f"{IDLE_PODS} idle client pods: {pss / 1e6:.2f} MB proportional set size each, "
              f"{rss / 1e6:.2f} MB resident, {private / 1e6:.2f} MB private")
        self.assertLessEqual(pss, MAX_IDLE_PSS)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", required=True, help="OCI archive of the image")
    parser.add_argument("--again", help="archive of a second build, which must be the same")
    options, rest = parser.parse_known_args()
    reason = None
    if os.geteuid() != 0:
        reason = "containers need root here"
    elif not shutil.which("runc"):
        reason = "runc is missing"
    try:
        if not reason:
            ImageTest.lab = Lab(options.archive)
    except NotPermitted as error:
        reason = str(error)
    if reason:
        print(f"image test skipped: {reason}")
        return 77
    ImageTest.again = options.again
    try:
        done = unittest.main(argv=[sys.argv[0], *rest], exit=False, verbosity=1)
    finally:
        ImageTest.lab.close()
    return 0 if done.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
