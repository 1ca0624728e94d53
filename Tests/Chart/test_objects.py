"""What no schema knows: that the objects are locked up, and that they fit each other."""

import unittest

from tools import containers, kind, label, pod_specs, program, rendered, value_sets

# Enumerations that the Kubernetes schemas leave open.
ENUMERATIONS = {
    "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
    "restartPolicy": {"Always", "Never"},
    "whenUnsatisfiable": {"ScheduleAnyway", "DoNotSchedule"},
    "completionMode": {"Indexed", "NonIndexed"},
    "protocol": {"TCP"},
    "operator": {"Exists", "Equal"},
    "effect": {"NoSchedule", "PreferNoSchedule", "NoExecute"},
}


def walk(node, path=""):
    """Every member of a document: (path, name, value)."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield path, name, value
            yield from walk(value, f"{path}/{name}")
    elif isinstance(node, list):
        for value in node:
            yield from walk(value, path)


def selects(selector, metadata):
    return selector.items() <= metadata["labels"].items()


@unittest.skipUnless(program("helm"), "helm is missing")
class ObjectTests(unittest.TestCase):
    def setUp(self):
        self.sets = {values: rendered(values) for values in value_sets()}

    def each(self):
        return self.sets.values()

    def test_every_container_is_locked_up(self):
        for documents in self.each():
            for owner, spec, container in containers(documents):
                name = owner["metadata"]["name"]
                self.assertIs(spec["automountServiceAccountToken"], False, name)
                self.assertIs(spec["enableServiceLinks"], False, name)
                self.assertIs(spec["securityContext"]["runAsNonRoot"], True, name)
                self.assertEqual(
                    spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"}, name)
                self.assertEqual(container["securityContext"], {
                    "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]}}, name)
                self.assertNotIn("hostPID", spec)
                self.assertNotIn("hostIPC", spec)
                for volume in spec.get("volumes", []):
                    self.assertEqual(set(volume), {"name", "emptyDir"}, name)

    def test_only_the_external_target_is_in_its_node_s_network(self):
        for documents in self.each():
            for _, metadata, spec in pod_specs(documents):
                self.assertEqual("hostNetwork" in spec, label(metadata) == "egw-target")

    def test_every_container_asks_for_little_and_none_is_throttled(self):
        for documents in self.each():
            for _, _, container in containers(documents):
                resources = container["resources"]
                self.assertEqual(set(resources["requests"]), {"cpu", "memory"})
                self.assertNotIn("cpu", resources.get("limits", {}))
        for _, metadata, spec in pod_specs(self.sets["defaults"]):
            if label(metadata) in ("netpol-pods", "egw-client"):
                for container in spec["containers"]:
                    self.assertEqual(container["resources"],
                                     {"requests": {"cpu": "10m", "memory": "10Mi"}})

    def test_enumerations_hold_what_the_cluster_knows(self):
        for documents in self.each():
            for document in documents:
                for path, name, value in walk(document):
                    if name in ENUMERATIONS and not path.startswith("/spec/groups"):
                        self.assertIn(value, ENUMERATIONS[name], f"{document['kind']}{path}")

    def test_ports_have_names_that_fit_and_no_pod_uses_one_twice(self):
        for documents in self.each():
            for owner, _, spec in pod_specs(documents):
                ports = [port for container in spec["containers"]
                         for port in container.get("ports", [])]
                for member in ("name", "containerPort"):
                    self.assertEqual(len({port[member] for port in ports}), len(ports),
                                     owner["metadata"]["name"])
                for port in ports:
                    self.assertRegex(port["name"], r"^(?=.{1,15}$)[a-z0-9]+(-[a-z0-9]+)*$")
                    self.assertTrue(1024 <= port["containerPort"] <= 65535)

    def test_selectors_find_their_pods_and_no_others(self):
        for documents in self.each():
            pods = [metadata for _, metadata, _ in pod_specs(documents)]
            for document in documents:
                if document["kind"] in ("Deployment", "PodDisruptionBudget"):
                    selector = document["spec"]["selector"]["matchLabels"]
                elif document["kind"] == "Service":
                    selector = document["spec"]["selector"]
                elif document["kind"] == "NetworkPolicy":
                    selector = document["spec"]["podSelector"]["matchLabels"]
                else:
                    continue
                found = {label(metadata) for metadata in pods if selects(selector, metadata)}
                self.assertEqual(found, {label(document["metadata"])},
                                 f"{document['kind']} {document['metadata']['name']}")

    def test_services_and_probes_name_ports_that_are_there(self):
        for documents in self.each():
            named = {}
            for _, metadata, spec in pod_specs(documents):
                for container in spec["containers"]:
                    ports = {port["name"] for port in container.get("ports", [])}
                    named.setdefault(label(metadata), set()).update(ports)
                    if "readinessProbe" in container:
                        self.assertIn(container["readinessProbe"]["httpGet"]["port"], ports)
                    self.assertNotIn("livenessProbe", container)
            for service in kind(documents, "Service"):
                for port in service["spec"]["ports"]:
                    self.assertIn(port["targetPort"], named[label(service["metadata"])])

    def test_policies_let_only_the_proxy_and_named_scrapers_reach_the_clients_api(self):
        for values, scrapers in [("defaults", 0), ("full", 1)]:
            policies = [policy["spec"] for policy in kind(self.sets[values], "NetworkPolicy")
                        if label(policy["metadata"]) == "netpol-pods"]
            self.assertEqual(len(policies), 2)
            rules = [rule for policy in policies for rule in policy["ingress"]]
            self.assertEqual(len(rules), 1 + scrapers)
            source, = rules[0]["from"]
            self.assertEqual(source["podSelector"]["matchLabels"]["app.kubernetes.io/component"],
                             "netpol-proxy")
            ports = {port["port"] for rule in rules for port in rule["ports"]}
            self.assertEqual(ports, {9001 if values == "defaults" else 19001})

    def test_every_role_that_has_pods_has_a_policy(self):
        open_to_all = {"reload-backend", "test"}  # what a proxy in front asks; what runs and ends
        for values in ("defaults", "full"):
            documents = self.sets[values]
            pods = {label(metadata) for _, metadata, _ in pod_specs(documents)} - open_to_all
            policies = {label(policy["metadata"]) for policy in kind(documents, "NetworkPolicy")}
            self.assertEqual(pods, policies)

    def test_every_long_lived_client_has_its_own_seed_and_sources(self):
        job, = (job for job in kind(self.sets["full"], "Job")
                if label(job["metadata"]) == "longlived-client")
        self.assertEqual(job["spec"]["completionMode"], "Indexed")
        self.assertEqual(job["spec"]["completions"], job["spec"]["parallelism"])
        container, = job["spec"]["template"]["spec"]["containers"]
        self.assertIn("--seed=$(JOB_COMPLETION_INDEX)", container["args"])
        self.assertIn("--source-addr=127.0.$(JOB_COMPLETION_INDEX).1", container["args"])
        source = container["env"][0]["valueFrom"]["fieldRef"]["fieldPath"]
        self.assertIn("batch.kubernetes.io/job-completion-index", source)

    def test_the_egress_policy_covers_the_clients_and_their_target(self):
        policy, = kind(self.sets["full"], "CiliumEgressGatewayPolicy")
        self.assertNotIn("namespace", policy["metadata"])
        self.assertEqual(policy["spec"]["destinationCIDRs"], ["2001:db8::1/128"])
        self.assertEqual(policy["spec"]["egressGateway"]["egressIP"], "192.0.2.1")
        wanted = dict(policy["spec"]["selectors"][0]["podSelector"]["matchLabels"])
        self.assertEqual(wanted.pop("io.kubernetes.pod.namespace"), "space")
        found = {label(metadata) for _, metadata, _ in pod_specs(self.sets["full"])
                 if selects(wanted, metadata)}
        self.assertEqual(found, {"egw-client"})

    def test_one_lost_client_does_not_take_the_results_of_the_others_with_it(self):
        for version in ("1.25", "1.28", "1.29", "1.37"):
            made = rendered("full", version=version)
            jobs = [job["spec"] for job in kind(made, "Job")
                    if label(job["metadata"]) in ("egw-client", "longlived-client")]
            self.assertEqual(len(jobs), 2)
            for spec in jobs:
                self.assertEqual(spec["completionMode"], "Indexed")
                self.assertEqual(spec["completions"], spec["parallelism"])
                self.assertEqual(spec["template"]["spec"]["restartPolicy"], "Never")
                if version in ("1.29", "1.37"):
                    # The other indexes go on, and their pods stay with their logs.
                    self.assertEqual(spec["backoffLimitPerIndex"], 0)
                    self.assertNotIn("backoffLimit", spec)
                else:
                    # Unknown there: the lost pod is replaced, instead of ending all of them.
                    self.assertNotIn("backoffLimitPerIndex", spec)
                    self.assertEqual(spec["backoffLimit"], spec["completions"])

    def test_what_measures_a_service_waits_until_it_has_endpoints(self):
        for values, wait in [("full", "2m"), ("defaults", "60s")]:
            made = rendered(values, settings=(
                "reload.bench.enabled=true", "reload.bench.url=http://proxy.example/",
                "longlived.client.enabled=true"))
            for _, _, container in containers(made):
                if container["name"] in ("client", "bench") and "--quiet" in container["args"]:
                    self.assertIn(f"--wait-for-target={wait}", container["args"])
        off = rendered("full", settings=(
            "reload.bench.waitForTarget=0s", "longlived.client.waitForTarget=0s"))
        for _, _, container in containers(off):
            self.assertFalse([part for part in container["args"] if "--wait-for" in str(part)])

    def test_long_lived_clients_know_how_many_pods_the_chart_s_servers_have(self):
        for settings, expected in [((), ["--pods=2"]),
                                   (("longlived.client.url=http://elsewhere/",), [])]:
            container, = (container for owner, _, container
                          in containers(rendered("full", settings=settings))
                          if label(owner["metadata"]) == "longlived-client")
            found = [part for part in container["args"] if str(part).startswith("--pods=")]
            self.assertEqual(found, expected)

    def test_the_external_target_can_have_a_namespace_of_its_own(self):
        for values, own in [("full", "egw-outside"), ("defaults", None)]:
            made = self.sets[values]
            for document in made:
                expected = own if label(document["metadata"]) == "egw-target" else None
                if document["kind"] != "Namespace":
                    self.assertEqual(document["metadata"].get("namespace"), expected)
            spaces = kind(made, "Namespace")
            self.assertEqual([space["metadata"]["name"] for space in spaces], [own] if own else [])
        space, = kind(self.sets["full"], "Namespace")
        # In its node's network, which no stricter level allows.
        self.assertEqual(space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
                         "privileged")
        policy, = (policy for policy in kind(self.sets["full"], "NetworkPolicy")
                   if label(policy["metadata"]) == "egw-target")
        test = policy["spec"]["ingress"][1]["from"][0]
        self.assertEqual(test["namespaceSelector"]["matchLabels"],
                         {"kubernetes.io/metadata.name": "space"})
        monitor, = kind(self.sets["full"], "PodMonitor")
        self.assertEqual(monitor["spec"]["namespaceSelector"],
                         {"matchNames": ["space", "egw-outside"]})
        urls = [part for owner, _, container in containers(self.sets["full"])
                for part in container["args"] if str(part).endswith("/healthz")]
        self.assertIn("http://measure-egw-target.egw-outside:12113/healthz", urls)
        elsewhere = rendered("full", settings=("egw.target.createNamespace=false",))
        self.assertEqual(kind(elsewhere, "Namespace"), [])

    def test_loopback_is_kept_out_only_on_demand(self):
        for values, expected in [("full", True), ("defaults", False)]:
            for _, _, container in containers(self.sets[values]):
                words = [str(part) for part in container["args"]]
                limited = any(part.startswith("--allow-from=") for part in words)
                self.assertEqual("--allow-from-loopback=false" in words, expected and limited)

    def test_a_server_is_given_the_time_it_asks_for_when_it_ends(self):
        for values, seconds in [("defaults", 65), ("full", 95)]:
            spec, = (spec for _, metadata, spec in pod_specs(self.sets[values])
                     if label(metadata) == "longlived-server")
            self.assertEqual(spec["terminationGracePeriodSeconds"], seconds)

    def test_names_fit_even_a_long_release(self):
        long = rendered("defaults", settings=("fullnameOverride=" + "a" * 60,))
        for document in long:
            self.assertLessEqual(len(document["metadata"]["name"]), 63)
