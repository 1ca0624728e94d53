"""The kube-burner example against what kube-burner reads, and does (pkg/measurements)."""

import json
import os
import re
import unittest

import tools
from test_render import workload_template
from tools import CHART, HERE, containers, kind, program, rendered

FOLDER = os.path.join(CHART, "examples", "kube-burner")
# Where kube-burner looks for the proxy, and the port that it forwards to.
PROXY = ("network-policy-proxy", "network-policy-proxy", 9002)
# It measures no job whose namespaces have it.
SKIP = "kube-burner.io/skip-networkpolicy-latency"


def read(*path):
    with open(os.path.join(*path)) as file:
        return file.read()


def documents(*path):
    import yaml
    return list(yaml.safe_load_all(read(*path)))


def unknown(value, table, tables, path):
    """The paths of all fields that a strict decoder would refuse."""
    if isinstance(value, list):
        for number, element in enumerate(value):
            yield from unknown(element, table, tables, f"{path}[{number}]")
    elif isinstance(value, dict):
        for name, member in value.items():
            if name not in tables[table]:
                yield f"{path}.{name}"
            elif tables[table][name]:
                yield from unknown(member, tables[table][name], tables, f"{path}.{name}")


def seconds(duration):
    match = re.fullmatch(r"(\d+)(ms|s|m)", duration)
    return int(match[1]) * {"ms": 0.001, "s": 1, "m": 60}[match[2]]


class ExampleTests(unittest.TestCase):
    def setUp(self):
        self.workload, = documents(FOLDER, "network-policy.yml")
        self.jobs = self.workload["jobs"]
        self.measured = [job for job in self.jobs if SKIP not in job["namespaceLabels"]]

    def test_every_field_is_one_that_kube_burner_knows(self):
        tables = json.loads(read(HERE, "kube-burner-fields.json"))
        self.assertEqual(list(unknown(self.workload, "Spec", tables, "")), [])
        # The checker itself.
        wrong = {"global": {"measurements": [{"name": "x", "config": {}}]}, "jobs": [{"qsp": 1}]}
        self.assertEqual(list(unknown(wrong, "Spec", tables, "")),
                         [".global.measurements[0].config", ".jobs[0].qsp"])

    def test_no_job_waits_for_images_to_be_pulled_beforehand(self):
        for job in self.jobs:
            self.assertIs(job.get("preLoadImages", True), False, job["name"])

    def test_the_last_job_alone_is_measured_and_pauses_before_it_is_collected(self):
        self.assertEqual(self.measured, self.jobs[-1:])
        # jobPause lies between a job's objects and the end of its measurement.
        self.assertGreaterEqual(seconds(self.jobs[-1]["jobPause"]), 10)
        self.assertNotIn("jobPause", self.jobs[0])
        for job in self.jobs[:-1]:
            self.assertEqual(job["namespaceLabels"][SKIP], "true")

    def test_the_numbers_in_the_jobs_agree(self):
        pods, policies = self.jobs
        self.assertEqual(pods["jobIterations"], policies["jobIterations"])
        self.assertEqual(pods["namespace"], policies["namespace"])
        variables = policies["objects"][0]["inputVars"]
        self.assertEqual(variables["namespaces"], pods["jobIterations"])
        self.assertEqual(variables["pods"], pods["objects"][0]["replicas"])
        self.assertEqual(policies["objects"][0]["replicas"], pods["objects"][0]["replicas"])
        for job in self.jobs:
            for item in job["objects"]:
                self.assertTrue(os.path.isfile(os.path.join(FOLDER, item["objectTemplate"])))

    @unittest.skipUnless(program("helm"), "helm is missing")
    def test_the_measured_policies_are_of_the_form_that_kube_burner_follows(self):
        for item in self.measured[0]["objects"]:
            policy = workload_template(os.path.basename(item["objectTemplate"]))
            self.assertEqual(policy["kind"], "NetworkPolicy")
            self.assertNotIn("namespace", policy["metadata"])
            for rule in policy["spec"]["ingress"]:
                self.assertEqual(rule["ports"], [{"port": 8080, "protocol": "TCP"}])
                for source in rule["from"]:
                    self.assertEqual(set(source), {"namespaceSelector", "podSelector"})
                    self.assertIn("kubernetes.io/metadata.name",
                                  source["namespaceSelector"]["matchLabels"])

    @unittest.skipUnless(program("helm"), "helm is missing")
    def test_clients_probe_at_full_pace_from_the_start(self):
        pod = workload_template("pod.yml")
        client, target = pod["spec"]["containers"]
        self.assertEqual(client["args"], ["netpol", "client", "--no-gate"])
        self.assertEqual(client["ports"], [{"containerPort": 9001}])
        self.assertEqual(target["ports"], [{"containerPort": 8080}])

    def test_the_proxy_is_the_pod_that_kube_burner_looks_for(self):
        made = documents(FOLDER, "proxy.yml")
        pod, = kind(made, "Pod")
        name, space, port = PROXY
        self.assertEqual((pod["metadata"]["name"], pod["metadata"]["namespace"]), (name, space))
        self.assertEqual(pod["spec"]["containers"][0]["ports"], [{"containerPort": port}])
        self.assertEqual([space["metadata"]["name"] for space in kind(made, "Namespace")], [space])
        self.assertEqual({document["kind"] for document in made}, {"Namespace", "Pod"},
                         "it is reached by port-forward: a Service would only seem to be needed")

    def test_the_images_are_the_chart_s(self):
        version = documents(CHART, "Chart.yaml")[0]["appVersion"]
        text = read(FOLDER, "proxy.yml") + read(FOLDER, "templates", "pod.yml")
        images = set(re.findall(r"image: (\S+)", text))
        self.assertEqual(images, {f"localhost/sonde:{version}"})


@unittest.skipUnless(program("helm"), "helm is missing")
class ChartBesideKubeBurnerTests(unittest.TestCase):
    def test_no_deployment_of_the_chart_passes_for_kube_burner_s_proxy(self):
        made = rendered("kube-burner")
        names = [owner["metadata"]["name"] for owner, _, _ in containers(made)]
        # kube-burner deletes the namespace with all that is in it; the chart's would be lost.
        self.assertEqual(names, [])

    def test_the_notes_send_kube_burner_to_its_own_proxy(self):
        notes = " ".join(tools.notes("defaults").split())
        for words in ["before each run", "kubectl apply -f", "examples/kube-burner/proxy.yml",
                      "does not use this proxy"]:
            self.assertIn(words, notes)
