#!/usr/bin/env python3
"""Builds the documentation of every library that has a catalogue, and fails on a warning.

One warning is none here: a parameter whose name and type say all that there is to say has no line
of its own, by the rule of the house, while DocC wants all of them where there is one.
"""

import json
import os
import shutil
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, ".build")
OUTPUT = os.path.join(BUILD, "docs")
SYSTEM = ["CLibuv", "COpenSSL"]


def catalogues():
    sources = os.path.join(TOP, "Sources")
    for name in sorted(os.listdir(sources)):
        if os.path.isdir(os.path.join(sources, name, name + ".docc")):
            yield name


def run(*command):
    """Output only of what fails."""
    done = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}docs: {' '.join(command[:2])} failed")
    return done.stdout


def symbols(module, folder):
    """What of the module is public, with its comments."""
    target = json.loads(run("swift", "-print-target-info"))["target"]["unversionedTriple"]
    modules = []
    for name in SYSTEM:
        modules += ["-I", f"Sources/{name}",
                    "-Xcc", f"-fmodule-map-file=Sources/{name}/module.modulemap"]
    os.makedirs(folder)
    run("swift", "symbolgraph-extract", "-module-name", module, "-target", target,
        "-I", ".build/debug/Modules", *modules, "-minimum-access-level", "public",
        "-output-dir", folder)
    # Extensions of other modules are theirs to explain.
    for name in os.listdir(folder):
        if "@" in name:
            os.remove(os.path.join(folder, name))


def convert(docc, module):
    """Builds one archive; the sentences of what is wrong with it."""
    graph = os.path.join(OUTPUT, module + ".symbols")
    told = os.path.join(OUTPUT, module + ".diagnostics")
    symbols(module, graph)
    subprocess.run(
        [docc, "convert", f"Sources/{module}/{module}.docc",
         "--additional-symbol-graph-dir", graph, "--diagnostics-file", told,
         "--fallback-display-name", module, "--fallback-bundle-identifier", f"sonde.{module}",
         "--output-path", os.path.join(OUTPUT, module + ".doccarchive")],
        cwd=TOP, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    with open(told, encoding="utf-8") as file:
        for entry in json.load(file)["diagnostics"]:
            summary = entry["summary"]
            if entry["severity"] not in ("error", "warning"):
                continue
            if summary.startswith("Parameter ") and summary.endswith("missing documentation"):
                continue
            path = os.path.relpath(entry.get("source", TOP).removeprefix("file://"), TOP)
            line = entry.get("range", {}).get("start", {}).get("line", 1)
            yield f"{path}:{line}: {summary}"
    shutil.rmtree(graph)
    os.remove(told)


def main():
    docc = shutil.which("docc") or os.path.join(
        os.path.dirname(os.path.realpath(shutil.which("swift") or "swift")), "docc")
    if not os.path.exists(docc):
        sys.exit("docs: no docc beside the toolchain's swift")
    shutil.rmtree(OUTPUT, ignore_errors=True)
    os.makedirs(OUTPUT)
    wrong = []
    for module in catalogues():
        run("swift", "build", "--target", module)
        wrong += convert(docc, module)
    for sentence in wrong:
        print(sentence)
    if wrong:
        sys.exit("docs: warnings are errors")
    print(f"docs: {', '.join(catalogues())} in .build/docs")


if __name__ == "__main__":
    main()
