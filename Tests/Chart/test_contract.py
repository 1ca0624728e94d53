"""The chart against the binary: every container starts, and answers where its pod says it does."""

import json
import os
import re
import subprocess
import tempfile
import unittest

import tools
from roles import Role, namespace
from tools import containers, kind, label, program, rendered

# Ports that the binary's own defaults must agree with, so that the chart's are no surprise.
DEFAULT_PORTS = {
    ("netpol", "client"): 9001, ("netpol", "proxy"): 9002, ("netpol", "target"): 8080,
    ("egw", "client"): 2112, ("egw", "external-target"): 1337, ("longlived", "server"): 5000,
}


def command(container):
    return tuple(str(part) for part in container["args"][:2])


def plain(text):
    """A duration in Go's syntax as seconds: 1m0s and 60s are the same; else the text."""
    units = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    if not re.fullmatch(r"(\d+(\.\d+)?(h|ms|m|s))+", text):
        return text
    return sum(float(number) * units[unit]
               for number, unit in re.findall(r"([0-9.]+)(h|ms|m|s)", text))


def merge(documents):
    """What `sonde merge` makes of results, one file each."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, f"{number}.json") for number in range(len(documents))]
        for path, document in zip(paths, documents):
            with open(path, "w") as file:
                file.write(document + "\n")
        done = subprocess.run([tools.sonde, "merge", *paths], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"sonde merge: {done.stderr}")
    return json.loads(done.stdout)


def listens(container):
    return "ports" in container


@unittest.skipUnless(program("helm"), "helm is missing")
class ContractTests(unittest.TestCase):
    def setUp(self):
        self.place, reason = namespace()
        if reason:
            self.skipTest(reason)
        self.addCleanup(self.place.close)

    def start(self, container, hosts=(), index=0):
        role = Role(container, self.place, hosts, index)
        role.__enter__()
        self.addCleanup(role.__exit__, None, None, None)
        return role

    def answer(self, documents):
        """Starts what listens; each must answer its readiness probe and export metrics."""
        started = 0
        for _, _, container in containers(documents):
            if not listens(container):
                continue
            started += 1
            role = self.start(container)
            port = role.ports[role.probe["port"]]
            status, _ = role.get_when_listening(port, role.probe["path"])
            # 500 is "not yet": the egress client is ready when it has measured.
            self.assertIn(status, (200, 500) if command(container) == ("egw", "client") else (200,))
            if command(container) != ("reload", "backend"):
                self.assertEqual(role.get(port, "/healthz")[0], 200)
            for other in role.ports.values():
                self.assertTrue(self.is_open(role, other), f"{command(container)} {other}")
        return started

    def is_open(self, role, port):
        import socket
        with self.place, socket.socket() as probe:
            probe.settimeout(5)
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def test_every_role_listens_where_its_pod_says(self):
        self.assertEqual(self.answer(rendered("defaults")), 7)

    def test_every_role_takes_every_flag_of_the_chart(self):
        self.assertEqual(self.answer(rendered("full")), 7)

    def test_what_runs_to_an_end_takes_its_flags_too(self):
        for values in ("defaults", "full"):
            for owner, _, container in containers(rendered(values)):
                if listens(container):
                    continue
                role = self.start(container)
                code = role.runs_for(1)
                self.assertNotEqual(code, 64, f"{owner['metadata']['name']}:\n{role.output}")

    def test_the_helm_tests_pass_against_running_roles(self):
        documents = rendered("defaults", settings=("longlived.server.delay=0s",))
        hosts = [service["metadata"]["name"] for service in kind(documents, "Service")]
        for _, _, container in containers(documents):
            if listens(container):
                role = self.start(container)
                role.get_when_listening(role.ports[role.probe["port"]], "/healthz")
        tests = [container for owner, _, container in containers(documents)
                 if label(owner["metadata"]) == "test"]
        self.assertEqual(len(tests), 4)
        for container in tests:
            role = self.start(container, hosts)
            self.assertEqual(role.runs_for(20), 0, f"{role.command}\n{role.output}")

    def test_the_helm_tests_fail_when_nothing_answers(self):
        documents = rendered("defaults")
        hosts = [service["metadata"]["name"] for service in kind(documents, "Service")]
        for owner, _, container in containers(documents):
            if label(owner["metadata"]) == "test" and command(container) == ("reload", "bench"):
                role = self.start(container, hosts)
                self.assertEqual(role.runs_for(20), 1, role.output)

    def test_the_words_that_the_notes_search_tell_success_from_failure(self):
        ends = tools.searched("defaults")
        self.assertEqual(len(ends), 2)
        settings = ("egw.client.externalTarget=127.0.0.1:1337", "egw.client.testTimeout=300ms")
        made = {command(container): container
                for _, _, container in containers(rendered("defaults", settings=settings))}
        logs = []
        for targets in ([made["egw", "external-target"]], []):
            for container in targets:
                target = self.start(container)
                target.get_when_ready(target.ports["egw-target-api"])
            client = self.start(made["egw", "client"])
            # Ready in either case, as the older tool's clients are.
            client.get_when_ready(client.ports["egw-client"])
            logs.append(client.output)
            client.end()
            for container in targets:
                target.end()
        for log, (said, unsaid) in zip(logs, [ends, ends[::-1]]):
            self.assertIn(said, log)
            self.assertNotIn(unsaid, log)

    def test_results_in_the_logs_of_the_long_lived_clients_can_be_merged(self):
        documents = rendered("defaults", settings=(
            "longlived.client.enabled=true", "longlived.server.delay=0s",
            "longlived.client.connections=3", "longlived.client.think=0s",
            "longlived.client.duration=500ms"))
        hosts = [service["metadata"]["name"] for service in kind(documents, "Service")]
        logs = []
        for owner, _, container in containers(documents):
            if command(container) == ("longlived", "server"):
                server = self.start(container)
                server.get_when_listening(server.ports["longlived-api"], "/readyz")
        for owner, _, container in containers(documents):
            if label(owner["metadata"]) == "longlived-client":
                for index in range(owner["spec"]["completions"]):
                    client = self.start(container, hosts, index)
                    self.assertEqual(client.runs_for(20), 0, client.output)
                    logs += [line for line in client.output.splitlines() if line.startswith("{")]
        self.assertEqual(len(logs), 3)
        self.assertEqual({json.loads(line)["seed"] for line in logs}, {0, 1, 2})
        merged = merge(logs)
        self.assertEqual(merged["answered"], sum(json.loads(line)["answered"] for line in logs))

    def test_default_values_are_those_of_the_binary(self):
        compared, differing = 0, {}
        for _, _, container in containers(rendered("defaults")):
            if command(container) not in DEFAULT_PORTS:
                continue
            given = dict(str(part)[2:].partition("=")[::2] for part in container["args"][2:])
            role = self.start({"args": [*command(container), "--help"]})
            role.process.wait(20)
            text = " ".join(role.output.split())
            for part in re.split(r" (?=--[a-z-]+ <)", text):
                flag = re.match(r"--([a-z-]+) <", part)
                default = re.search(r"\(default: ([^)]*)\)", part)
                if flag and default and flag[1] in given:
                    compared += 1
                    if plain(given[flag[1]]) != plain(default[1]):
                        differing[flag[1]] = given[flag[1]]
        # Only what the chart means to do otherwise: metrics are there to be scraped, and the
        # long-lived servers take their time.
        self.assertEqual(differing.pop("delay"), "20s..60s")
        self.assertEqual({flag for flag in differing if flag != "metrics-listen"}, set(), differing)
        self.assertGreater(compared, 20)

    def test_default_ports_are_those_of_the_binary(self):
        found = {}
        for _, _, container in containers(rendered("defaults")):
            if command(container) in DEFAULT_PORTS:
                found[command(container)] = container["ports"][0]["containerPort"]
        self.assertEqual(found, DEFAULT_PORTS)
        for words, port in DEFAULT_PORTS.items():
            role = self.start({"args": [*words, "--help"]})
            role.process.wait(20)
            self.assertRegex(" ".join(role.output.split()), rf"\(default: (\[::\]:)?{port}\)")
