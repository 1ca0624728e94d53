"""Counts a recording of `sonde reload bench` again, with nothing of the product's own.

    recount.py DATA.CSV [ACCESS.LOG]

Prints the aggregate line that the bench has to print, then `rows: N`, then `answers NAME: N` for
each instance. With a proxy's log, whose lines are `PORT STATUS` (the client's port, the status it
was sent), also the front ports whose answers the two count differently: `differs PORT: ROWS LINES`.
"""

import collections
import csv
import sys


def main():
    successes = failures = 0
    front, back = {}, {}
    front_changes = back_changes = 0
    answers = collections.Counter()
    by_port = collections.Counter()
    last_time = 0
    with open(sys.argv[1], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        client = row["client"]
        assert int(row["time"]) >= last_time, "rows are in the order of their times"
        assert int(row["latency"]) >= 0
        last_time = int(row["time"])
        if row["status"] == "200":
            successes += 1
        elif not row["status"].startswith("local: "):
            failures += 1
        if row["front port"]:
            front_changes += front.get(client, row["front port"]) != row["front port"]
            front[client] = row["front port"]
        if row["back port"]:
            back_changes += back.get(client, row["back port"]) != row["back port"]
            back[client] = row["back port"]
        if row["instance"]:
            answers[row["instance"]] += 1
        if row["status"].isdigit():
            by_port[row["front port"], row["status"]] += 1
    print(
        f"success: {successes} failure: {failures} "
        f"front changed: {front_changes} back changed: {back_changes}"
    )
    print(f"rows: {len(rows)}")
    for name, count in sorted(answers.items()):
        print(f"answers {name}: {count}")
    if len(sys.argv) > 2:
        with open(sys.argv[2], encoding="utf-8") as file:
            lines = collections.Counter(tuple(line.split()) for line in file)
        for port, status in sorted(by_port.keys() | lines.keys()):
            if by_port[port, status] != lines[port, status]:
                print(f"differs {port}: {by_port[port, status]} {lines[port, status]}")


main()
