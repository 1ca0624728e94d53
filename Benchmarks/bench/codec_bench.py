"""The codecs and the pacing: what one piece of work costs, in time and in instructions."""

from counting import count_work
from figures import Figure
from programs import BUILT, build, run

# name: (label, bar in nanoseconds, repetitions for the two counts)
HEADS = {
    "request-head-long": ("request head of 703 bytes", 300),
    "request-head-short": ("request head of 86 bytes", 100),
    "response-head": ("response head of 148 bytes", None),
}
JSON = {"json-read": "JSON read", "json-write": "JSON write"}
PACING = {
    "deadline-restart": "deadline restarted, of 10,000",
    "deadline-start-cancel": "deadline started and cancelled",
}


def figures():
    build("micro-sonde")
    lines = run([BUILT / "micro-sonde"])[0].splitlines()
    timed = {name: (float(time), int(size)) for name, time, size in map(str.split, lines)}
    for name, (label, bar) in HEADS.items():
        count = count_work(name, 1000, 3000)
        yield Figure(f"{label} ({count:,.0f} instructions)", timed[name][0], "ns",
                     bar=bar and ("≤", bar))
    for name, label in JSON.items():
        nanoseconds, size = timed[name]
        yield Figure(f"{label}, list of connections", size / nanoseconds * 1000, "MB/s",
                     bar=("≥", 300))
    for name, label in PACING.items():
        count = count_work(name, 20_000, 40_000)
        yield Figure(f"{label} ({count:,.0f} instructions)", timed[name][0], "ns")
