"""What the chart's tests share: where things are, and the chart rendered with a set of values."""

import functools
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
CHART = os.path.join(REPOSITORY, "charts", "sonde")
MONITORING = "monitoring.coreos.com/v1"
CILIUM = "cilium.io/v2/CiliumEgressGatewayPolicy"

# Set by main, before the tests are loaded.
tools = None
sonde = None


def use(tools_folder, sonde_program):
    global tools, sonde
    tools, sonde = os.path.abspath(tools_folder), os.path.abspath(sonde_program)
    sys.path.insert(0, os.path.join(tools, "python"))
    for folder in ("Lab", "Support"):
        sys.path.insert(0, os.path.join(REPOSITORY, "Tests", folder))


def program(name):
    """Its path, ours before the machine's; None where it is missing."""
    own = os.path.join(tools, name)
    return own if os.access(own, os.X_OK) else shutil.which(name)


def value_sets():
    folder = os.path.join(CHART, "ci")
    return sorted(name.removesuffix("-values.yaml") for name in os.listdir(folder))


def helm(*arguments, check=True):
    done = subprocess.run([program("helm"), *arguments], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise AssertionError(f"helm {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done


def values_file(name):
    return os.path.join(CHART, "ci", f"{name}-values.yaml")


@functools.cache
def rendered(values, apis=(MONITORING, CILIUM), settings=(), version="1.32"):
    """The documents of the chart, hooks included, for a set of values and a cluster."""
    import yaml
    command = ["template", "release", CHART, "--namespace", "space", "--kube-version", version]
    command += ["--values", values_file(values)] if values else []
    command += [part for api in apis for part in ("--api-versions", api)]
    command += [part for setting in settings for part in ("--set", setting)]
    text = helm(*command).stdout
    return [document for document in yaml.safe_load_all(text) if document]


def notes(values):
    """What helm prints after an installation. (It knows no cluster, and so no Cilium.)"""
    done = helm("install", "r", CHART, "--dry-run=client", "--values", values_file(values),
                "--set", "egw.policy.enabled=false")
    return done.stdout.partition("NOTES:")[2]


def searched(values):
    """The words for which the notes search the egress clients' logs."""
    return re.findall(r"-egw-client \| grep (?:-c )?'([^']*)'", notes(values))


def kind(documents, name):
    return [document for document in documents if document["kind"] == name]


def pod_specs(documents):
    """(owner, pod metadata, pod spec) of everything that makes pods."""
    for document in documents:
        if document["kind"] == "Pod":
            yield document, document["metadata"], document["spec"]
        elif document["kind"] in ("Deployment", "Job"):
            template = document["spec"]["template"]
            yield document, template["metadata"], template["spec"]


def containers(documents):
    """(owner, pod spec, container)."""
    for owner, _, spec in pod_specs(documents):
        for container in spec["containers"]:
            yield owner, spec, container


def label(metadata):
    return metadata["labels"]["app.kubernetes.io/component"]
