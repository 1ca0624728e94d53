"""What helm and the Kubernetes schemas say, and what they do not see."""

import os
import tempfile
import unittest

import tools
from tools import CHART, containers, helm, kind, label, pod_specs, program, rendered, value_sets

# The oldest that the chart allows, one in the middle, the newest that is known.
KUBERNETES = ["1.25", "1.31", "1.37"]

# Settings that must not pass, and what the message must name.
MISTAKES = [
    ("netpol.client.interval=fast", "/netpol/client/interval': 'fast' does not match"),
    ("netpol.proxy.port=70000", "/netpol/proxy/port': maximum: got 70,000, want 65,535"),
    ("netpol.client.port=80", "/netpol/client/port': minimum: got 80, want 1,024"),
    ("netpol.client.expect=maybe", "/netpol/client/expect': value must be one of 'allow', 'deny'"),
    ("netpol.replica=3", "/netpol': additional properties 'replica' not allowed"),
    ("egw.enabled=true", "/egw/client/externalTarget': minLength: got 0, want 1"),
    ("egw.enabled=true", "/egw/target/allowedCIDRs': minItems: got 0, want 1"),
    ("egw.client.externalTarget=gateway:1337", "/egw/client/externalTarget': 'gateway:1337'"),
    ("egw.policy.enabled=true", "/egw/policy/nodeSelector': minProperties: got 0, want 1"),
    ("reload.bench.enabled=true", "/reload/bench/url': minLength: got 0, want 1"),
    ("reload.bench.url=https://x/", "/reload/bench/url': 'https://x/' does not match pattern"),
    ("longlived.server.connection=reuse", "must be one of 'keep-alive', 'close'"),
    ("allowFrom={10.0.0.0/33}", "/allowFrom/0': '10.0.0.0/33' does not match pattern"),
    ("image.pullPolicy=Sometimes", "must be one of 'Always', 'IfNotPresent', 'Never'"),
]


@unittest.skipUnless(program("helm"), "helm is missing")
class HelmTests(unittest.TestCase):
    def test_lint_finds_nothing_in_any_set_of_values(self):
        for values in value_sets():
            with self.subTest(values=values):
                # (A lint only notes what the templates refuse, such as a missing Cilium.)
                helm("lint", "--strict", CHART, "--values", tools.values_file(values))

    def test_nothing_runs_until_a_capability_is_switched_on(self):
        self.assertEqual(list(pod_specs(rendered(None))), [])

    def test_each_switch_brings_its_own_capability_and_no_other(self):
        needed = ("egw.target.allowedCIDRs={0.0.0.0/0}", "egw.client.externalTarget=192.0.2.1:1337")
        for switch in ["netpol", "egw", "reload", "longlived"]:
            documents = rendered(None, settings=(f"{switch}.enabled=true", *needed))
            made = {label(metadata) for _, metadata, _ in pod_specs(documents)} - {"test"}
            self.assertTrue(made, switch)
            self.assertEqual({component.split("-")[0] for component in made}, {switch})

    def test_rendering_twice_gives_the_same_text(self):
        for values in value_sets():
            command = ["template", "r", CHART, "--values", tools.values_file(values),
                       "--api-versions", tools.CILIUM]
            self.assertEqual(helm(*command).stdout, helm(*command).stdout)

    def test_bad_values_fail_with_a_sentence_that_names_them(self):
        for setting, sentence in MISTAKES:
            with self.subTest(setting=setting):
                done = helm("template", "r", CHART, "--set", setting, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(sentence, done.stderr)
                self.assertNotIn("goroutine", done.stderr)

    def test_an_egress_policy_without_cilium_fails_with_a_sentence_of_ours(self):
        command = ["template", "r", CHART, "--values", tools.values_file("full")]
        for apis in ([], ["--api-versions", "cilium.io/v2"]):
            done = helm(*command, *apis, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("egw.policy.enabled: this cluster does not know "
                          "cilium.io/v2/CiliumEgressGatewayPolicy", done.stderr)
        helm(*command, "--api-versions", tools.CILIUM)

    def test_every_value_of_the_chart_stands_in_the_readme(self):
        import yaml
        with open(os.path.join(CHART, "values.yaml")) as file:
            values = yaml.safe_load(file)
        with open(os.path.join(CHART, "README.md")) as file:
            readme = file.read()
        missing = [name for name in leaves(values) if f"`{name}`" not in readme]
        self.assertEqual(missing, [])

    def test_notes_say_how_to_get_at_the_results(self):
        notes = tools.notes("full")
        for wanted in ["port-forward svc/measure-netpol-proxy 19002",
                       "|| rm ${pod##*/}.json", "sonde merge --expect 4 measure-longlived-client-",
                       "job/measure-egw-client", "logs job/measure-reload-bench"]:
            self.assertIn(wanted, notes)

    def test_notes_do_not_take_a_ready_client_for_a_successful_one(self):
        notes = tools.notes("full")
        self.assertIn("Ready says that its test is over, not that it succeeded", notes)
        self.assertEqual(tools.searched("full"), ["masqueraded after", "the test has failed"])


def leaves(values, path=""):
    """The paths of all values that are not themselves tables of values."""
    for name, value in values.items():
        if isinstance(value, dict) and value and name not in ("resources", "labels"):
            yield from leaves(value, f"{path}{name}.")
        else:
            yield path + name


@unittest.skipUnless(program("helm"), "helm is missing")
class SchemaTests(unittest.TestCase):
    def setUp(self):
        try:
            import kubernetes_validate
        except ImportError:
            self.skipTest("kubernetes-validate is missing")
        self.validator = kubernetes_validate

    def validate(self, documents, versions=KUBERNETES):
        unknown = set()
        for version in versions:
            for document in documents:
                with self.subTest(kind=document["kind"], version=version):
                    try:
                        self.validator.validate(document, version, strict=True)
                    except self.validator.SchemaNotFoundError:
                        unknown.add(document["kind"])
        # Custom resources have no schema here; a kind of Kubernetes' own must have one.
        self.assertLessEqual(unknown, {"PodMonitor", "PrometheusRule", "CiliumEgressGatewayPolicy"})

    def test_every_object_fits_three_versions_of_kubernetes(self):
        for values in value_sets():
            for version in KUBERNETES:
                self.validate(rendered(values, version=version), [version])

    def test_the_examples_fit_as_well(self):
        import yaml
        folder = os.path.join(CHART, "examples", "kube-burner")
        with open(os.path.join(folder, "proxy.yml")) as file:
            documents = list(yaml.safe_load_all(file))
        documents += [workload_template(name)
                      for name in sorted(os.listdir(os.path.join(folder, "templates")))]
        self.validate(documents)
        for _, spec, container in containers(documents):
            self.assertTrue(spec["securityContext"]["runAsNonRoot"])
            self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])
        policies = kind(documents, "NetworkPolicy")
        opened = [policy for policy in policies if policy["metadata"]["name"] == "ingress-9-4"]
        source = opened[0]["spec"]["ingress"][0]["from"][0]
        self.assertEqual(source["namespaceSelector"]["matchLabels"],
                         {"kubernetes.io/metadata.name": "policy-latency-0"})
        self.assertEqual(source["podSelector"]["matchExpressions"][0]["values"],
                         ["1", "2", "3", "4"])


def workload_template(name):
    """A template of the kube-burner workload, filled in as kube-burner does: the last of all."""
    import yaml
    source = os.path.join(CHART, "examples", "kube-burner", "templates", name)
    with tempfile.TemporaryDirectory() as chart:
        os.mkdir(os.path.join(chart, "templates"))
        with open(os.path.join(chart, "Chart.yaml"), "w") as file:
            file.write("apiVersion: v2\nname: workload\nversion: 0.0.0\n")
        with open(source) as template, open(os.path.join(chart, "workload.yml"), "w") as copy:
            copy.write(template.read())
        with open(os.path.join(chart, "templates", "all.yaml"), "w") as file:
            file.write('{{ tpl (.Files.Get "workload.yml") (dict "Template" .Template "Iteration"'
                       ' "9" "Replica" "4" "namespaces" 10 "pods" 4) }}\n')
        return yaml.safe_load(helm("template", "w", chart).stdout)
