#!/usr/bin/env python3
"""Opens a page in headless Chromium and says what happened, as JSON on standard output.

    browse.py PAGE.html [--screenshots PREFIX]

The page is shown at 1280 and 400 pixels, in light and dark. For each view the answer has: every
request, every message of the console, the width of what can be scrolled to, texts of charts that
cover each other or leave the window, the headline figures and the cells of all tables. Talks to
the browser's debugging pipe with Python's standard library alone. Exit code 77: no Chromium here.
"""

import argparse
import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Support"))
from sondetest.processes import end, start

PATIENCE = 30  # seconds for everything

# What can be asked of the page itself. Runs by the debugger: the page's policy forbids scripts.
QUESTIONS = r"""
(() => {
  const box = (node) => node.getBoundingClientRect();
  const isShown = (node) => box(node).width > 0 && getComputedStyle(node).display !== "none";
  const collisions = [], strays = [];
  for (const chart of document.querySelectorAll("figure div.plot")) {
    const texts = [...chart.querySelectorAll("text")].filter(isShown);
    for (const [index, text] of texts.entries()) {
      const a = box(text);
      if (a.left < 0 || a.right > document.documentElement.clientWidth)
        strays.push(text.textContent);
      for (const other of texts.slice(index + 1)) {
        const b = box(other);
        if (a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom)
          collisions.push([text.textContent, other.textContent]);
      }
    }
  }
  const text = (node) => node ? node.textContent : null;
  return {
    title: document.title,
    scrollWidth: document.documentElement.scrollWidth,
    clientWidth: document.documentElement.clientWidth,
    elements: document.querySelectorAll("svg *").length,
    scripts: document.querySelectorAll("script, img, iframe, [onerror], [onload]").length,
    background: getComputedStyle(document.body).backgroundColor,
    collisions, strays,
    figures: [...document.querySelectorAll(".figures > div")].map(
      (node) => [text(node.querySelector("dt")), text(node.querySelector("dd b"))]),
    tables: [...document.querySelectorAll("table")].map((table) => ({
      caption: text(table.querySelector("caption")),
      columns: [...table.querySelectorAll("thead th")].map((node) => node.firstChild.textContent),
      rows: [...table.querySelectorAll("tbody tr")].map((row) =>
        [...row.children].map((cell) => cell.dataset.value ?? cell.textContent)),
    })),
  };
})()
"""


class Browser:
    """Chromium, driven by messages that end with a zero byte."""

    def __init__(self, program, folder):
        self.deadline = time.monotonic() + PATIENCE
        self.pending = b""
        self.number = 0
        self.events = []
        to_browser, self.writer = os.pipe()
        self.reader, from_browser = os.pipe()
        arguments = [
            program, "--headless", "--remote-debugging-pipe", f"--user-data-dir={folder}",
            "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            # Nothing leaves this machine, whatever the browser would like to look up.
            "--host-resolver-rules=MAP * ~NOTFOUND",
        ]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")  # Chromium refuses to run as root otherwise

        def hand_over():  # the browser reads from descriptor 3 and writes to 4
            source, target = os.dup(to_browser), os.dup(from_browser)
            os.dup2(source, 3)
            os.dup2(target, 4)

        self.process = start(arguments, prepare=hand_over, close_fds=False,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)

    def close(self):
        end(self.process, 5)

    def receive(self):
        while b"\0" not in self.pending:
            remaining = self.deadline - time.monotonic()
            if remaining <= 0 or not select.select([self.reader], [], [], remaining)[0]:
                raise TimeoutError(f"the browser said nothing for {PATIENCE} s")
            data = os.read(self.reader, 1 << 20)
            if not data:
                raise ConnectionError("the browser ended")
            self.pending += data
        message, self.pending = self.pending.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.receive())


def view(browser, address, width, scheme, screenshot):
    """One look at the page, in a tab of its own."""
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ["Page", "Network", "Runtime", "Log"]:
        browser.call(f"{domain}.enable", session)
    browser.call(
        "Emulation.setDeviceMetricsOverride", session, width=width, height=900,
        deviceScaleFactor=1, mobile=False)
    browser.call(
        "Emulation.setEmulatedMedia", session,
        features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.events.clear()
    browser.call("Page.navigate", session, url=address)
    browser.wait_for("Page.loadEventFired")
    result = browser.call("Runtime.evaluate", session, expression=QUESTIONS, returnByValue=True)
    if "exceptionDetails" in result:
        raise RuntimeError(json.dumps(result["exceptionDetails"]))
    answer = result["result"]["value"]
    if screenshot:
        picture = browser.call("Page.captureScreenshot", session, captureBeyondViewport=True)
        pathlib.Path(screenshot).write_bytes(base64.b64decode(picture["data"]))
    said = {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}
    answer["width"], answer["scheme"] = width, scheme
    answer["requests"] = [
        event["params"]["request"]["url"] for event in browser.events
        if event.get("method") == "Network.requestWillBeSent"]
    answer["console"] = [
        event["params"] for event in browser.events if event.get("method") in said]
    browser.call("Target.closeTarget", targetId=target)
    return answer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page")
    parser.add_argument("--screenshots", metavar="PREFIX")
    options = parser.parse_args()
    names = ["chromium", "chromium-browser", "google-chrome"]
    program = next(filter(None, map(shutil.which, names)), None)
    if not program:
        print("chromium is not installed", file=sys.stderr)
        return 77
    address = pathlib.Path(options.page).resolve().as_uri()
    views = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(program, folder)
        try:
            for width in [1280, 400]:
                for scheme in ["light", "dark"]:
                    prefix = options.screenshots
                    picture = f"{prefix}-{width}-{scheme}.png" if prefix else None
                    views.append(view(browser, address, width, scheme, picture))
        finally:
            browser.close()
    json.dump(views, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
