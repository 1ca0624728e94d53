"""Alerts and dashboards: their syntax by promtool, their names by what the binary exports."""

import glob
import json
import os
import re
import subprocess
import tempfile
import unittest

from promql import Expression, Exported
from roles import Role, namespace
import tools
from sondetest.processes import Process, fetch, until
from tools import CHART, CILIUM, HERE, containers, kind, program, rendered

RULES = os.path.join(CHART, "alerts", "rules.yaml")
DASHBOARDS = sorted(glob.glob(os.path.join(CHART, "dashboards", "*.json")))
# What Grafana puts in its variables' place.
VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$namespace": ".*"}
# What Prometheus and the PodMonitor add to every sample.
TARGET_LABELS = {"namespace", "pod", "container", "job", "instance"}


def panels(path):
    with open(path) as file:
        board = json.load(file)
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel, target


def dashboard_expressions():
    for path in DASHBOARDS:
        for panel, target in panels(path):
            text = target["expr"]
            for name, value in VARIABLES.items():
                text = text.replace(name, value)
            yield f"{os.path.basename(path)}: {panel['title']}", text


def alert_expressions():
    import yaml
    with open(RULES) as file:
        for rule in yaml.safe_load(file)["groups"][0]["rules"]:
            yield rule["alert"], rule["expr"]


def promtool(*arguments):
    return subprocess.run([program("promtool"), *arguments], capture_output=True, text=True)


@unittest.skipUnless(program("promtool"), "promtool is missing")
class PromtoolTests(unittest.TestCase):
    def test_the_alerts_are_rules(self):
        done = promtool("check", "rules", RULES)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_alerts_fire_when_they_must_and_only_then(self):
        done = promtool("test", "rules", os.path.join(HERE, "rules-test.yaml"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_expression_of_the_dashboards_can_be_evaluated(self):
        rules = [{"record": f"panel:{number}", "expr": text}
                 for number, (_, text) in enumerate(dashboard_expressions())]
        self.assertGreater(len(rules), 20)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            json.dump({"groups": [{"name": "dashboards", "rules": rules}]}, file)
            file.flush()
            done = promtool("check", "rules", file.name)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class DashboardTests(unittest.TestCase):
    def test_panels_have_ids_of_their_own_and_do_not_overlap(self):
        for path in DASHBOARDS:
            seen, cells = set(), set()
            for panel, _ in panels(path):
                if panel["id"] in seen:
                    continue
                seen.add(panel["id"])
                place = panel["gridPos"]
                self.assertLessEqual(place["x"] + place["w"], 24)
                own = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                       for y in range(place["y"], place["y"] + place["h"])}
                self.assertFalse(own & cells, f"{path}: {panel['title']}")
                cells |= own

    def test_every_query_asks_the_chosen_data_source(self):
        for path in DASHBOARDS:
            for panel, target in panels(path):
                for node in (panel, target):
                    self.assertEqual(node["datasource"]["uid"], "${datasource}")

    @unittest.skipUnless(program("helm"), "helm is missing")
    def test_they_arrive_as_they_are(self):
        config, = kind(rendered("full"), "ConfigMap")
        self.assertEqual(set(config["data"]), {os.path.basename(path) for path in DASHBOARDS})
        for path in DASHBOARDS:
            with open(path) as file:
                self.assertEqual(json.loads(config["data"][os.path.basename(path)]),
                                 json.load(file))


@unittest.skipUnless(program("helm"), "helm is missing")
class CapabilityTests(unittest.TestCase):
    def test_monitors_and_rules_only_where_the_cluster_knows_them(self):
        for name in ("PodMonitor", "PrometheusRule"):
            self.assertEqual(len(kind(rendered("full"), name)), 1)
            self.assertEqual(kind(rendered("full", apis=(CILIUM,)), name), [])
            self.assertEqual(kind(rendered("proxy"), name), [])

    def test_the_monitor_names_ports_that_pods_have(self):
        for values in ("defaults", "full"):
            documents = rendered(values)
            monitor, = kind(documents, "PodMonitor")
            named = {port["name"] for _, _, container in containers(documents)
                     for port in container.get("ports", [])}
            for endpoint in monitor["spec"]["podMetricsEndpoints"]:
                self.assertIn(endpoint["port"], named)

    def test_the_rules_are_those_of_the_file(self):
        import yaml
        with open(RULES) as file:
            wanted = yaml.safe_load(file)
        rule, = kind(rendered("defaults"), "PrometheusRule")
        self.assertEqual(rule["spec"], wanted)


@unittest.skipUnless(program("promtool"), "promtool is missing")
class UncertaintyTests(unittest.TestCase):
    """The alert, on what a client exports while one of its two targets never opens."""

    def setUp(self):
        self.place, reason = namespace()
        if reason:
            self.skipTest(reason)
        self.addCleanup(self.place.close)

    def start(self, *arguments):
        role = Role({"args": arguments}, self.place)
        role.__enter__()
        self.addCleanup(role.__exit__, None, None, None)
        return role

    def buckets(self, client):
        lines = client.get(9001, "/metrics")[1].splitlines()
        name = "sonde_netpol_uncertainty_seconds_bucket"
        return dict(line.rsplit(" ", 1) for line in lines if line.startswith(name))

    def test_it_fires_with_the_first_result(self):
        client = self.start("netpol", "client", "--no-gate", "--interval", "1500ms")
        client.get_when_ready(9001)
        before = self.buckets(client)
        targets = [{"addresses": ["127.0.0.1"], "ports": [8080, 8081], "netpol": "p"}]
        fetch(9001, "/check", "POST", json.dumps(targets), place=self.place)

        def status():
            return json.loads(client.get(9001, "/status")[1])
        self.assertTrue(until(lambda: status()["failures"]["refused"] >= 2, 20, 0.05))
        self.start("netpol", "target")
        self.assertTrue(until(lambda: self.buckets(client) != before, 20, 0.05), "no bounds")
        self.assertEqual((status()["detected"], status()["pending"]), (1, 1))
        after = self.buckets(client)
        series = [{"series": name.replace("{", '{namespace="n",pod="a",'),
                   "values": f"{before[name]}x5 {after[name]}x10"} for name in before]
        test = {"rule_files": [RULES], "evaluation_interval": "1m", "tests": [{
            "interval": "1m", "input_series": series, "promql_expr_test": [
                {"expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                 "eval_time": moment, "exp_samples": expected}
                for moment, expected in [
                    ("4m", []),
                    ("8m", [{"labels": '{alertname="SondeResultsUncertain"}', "value": 1}])]]}]}
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            json.dump(test, file)
            file.flush()
            done = promtool("test", "rules", file.name)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


@unittest.skipUnless(program("helm"), "helm is missing")
class ExportedTests(unittest.TestCase):
    """Starts each role that the PodMonitor asks, and compares names and labels."""

    @classmethod
    def setUpClass(cls):
        place, reason = namespace()
        if reason:
            raise unittest.SkipTest(reason)
        cls.addClassCleanup(place.close)
        cls.exported = Exported()
        # The egress client has most to say when it has an answer and stresses.
        documents = rendered("defaults", settings=(
            "egw.client.externalTarget=127.0.0.1:1337", "egw.client.stress.enabled=true",
            "egw.client.stress.max=10"))
        monitor, = kind(documents, "PodMonitor")
        asked = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}
        for _, _, container in containers(documents):
            names = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
            for name in asked & names.keys():
                role = Role(container, place)
                role.__enter__()
                cls.addClassCleanup(role.__exit__, None, None, None)
                role.get_when_ready(names[name])
                cls.exported.read(role.get(names[name], "/metrics")[1])
        cls.exported.read(cls.turned_away(place))

    @classmethod
    def turned_away(cls, place):
        """What an egress client says whose first probes a target has closed: bounds are known."""
        def run(*arguments):
            process = Process([tools.sonde, "egw", *arguments], place)
            process.__enter__()
            cls.addClassCleanup(process.__exit__, None, None, None)
            return process
        def target(allowed):
            return run("external-target", "--allowed-cidr", allowed, "--listen-port", "1339")
        closing = target("192.0.2.0/24")
        closing.wait_until_listening("127.0.0.1", 1339)
        client = run("client", "--external-target-addr", "127.0.0.1:1339", "--interval", "20ms",
                     "--listen", "127.0.0.1:2114")
        client.wait_until_listening("127.0.0.1", 2114)

        def ask(path):
            return fetch(2114, path, place=place)[1].decode()
        until(lambda: re.search(r'misses_total\{kind="closed"\} [1-9]', ask("/metrics")), 20, 0.02)
        closing.end()
        target("127.0.0.0/8")
        until(lambda: fetch(2114, "/readyz", place=place)[0] == 200, 20, 0.05)
        return ask("/metrics")

    def test_every_metric_of_alerts_and_dashboards_is_exported(self):
        self.assertIn("sonde_http_requests_total", self.exported.names)
        for where, text in [*alert_expressions(), *dashboard_expressions()]:
            with self.subTest(where=where):
                names = Expression(text).metrics
                self.assertTrue(names)
                self.assertEqual(names - self.exported.names, set())

    def test_every_label_that_they_ask_for_is_there(self):
        for where, text in [*alert_expressions(), *dashboard_expressions()]:
            with self.subTest(where=where):
                expression = Expression(text)
                for metric, name, value in expression.matchers:
                    values = self.exported.values(metric, name)
                    if name not in TARGET_LABELS and values is not None:
                        self.assertIn(value, values, f"{metric}{{{name}=…}}")
                known = TARGET_LABELS | {"le"}
                for metric in expression.metrics:
                    known |= self.exported.labels(metric)
                if all(self.exported.labels(metric) for metric in expression.metrics):
                    self.assertLessEqual(expression.groups, known)

    def test_variables_of_the_dashboards_read_exported_metrics(self):
        for path in DASHBOARDS:
            with open(path) as file:
                for variable in json.load(file)["templating"]["list"]:
                    if variable["type"] == "query":
                        metric = re.match(r"label_values\((\w+),", variable["query"]["query"])[1]
                        self.assertIn(metric, self.exported.names)
