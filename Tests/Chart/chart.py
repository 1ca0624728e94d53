#!/usr/bin/env python3
"""Tests the Helm chart without a cluster: helm, the Kubernetes schemas, promtool, and the built
binary, which is started with the arguments that the chart gives it.

What is missing on this machine is named, and its tests are skipped.
"""

import argparse
import os
import sys
import unittest

import tools


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", required=True, help="folder of install.sh")
    parser.add_argument("--sonde", required=True, help="the built binary")
    parser.add_argument("tests", nargs="*", help="names of tests (default: all)")
    options = parser.parse_args()
    tools.use(options.tools, options.sonde)
    loader = unittest.TestLoader()
    if options.tests:
        suite = loader.loadTestsFromNames(options.tests)
    else:
        suite = loader.discover(os.path.dirname(os.path.abspath(__file__)))
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    for reason in sorted({reason for _, reason in result.skipped}):
        print(f"skipped: {reason}")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
