"""Counts user-space instructions with callgrind: the same on a busy machine as on an idle one."""

import re
import signal
import subprocess
import sys

from programs import BUILT, HERE, PEERS, Failed, Process, need, scratch

FEW, MANY = 2000, 12000


def callgrind(command, folder, during=None):
    """Instructions of a whole run; `during(first line of its output)` happens meanwhile."""
    need("valgrind")
    out = folder / "callgrind"
    program = Process(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *command], apart=True)
    with program:
        if during:
            during(program.first_line(60))
            program.process.send_signal(signal.SIGTERM)
        program.wait(300)
    found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M)
    if not found:
        raise Failed(f"callgrind: {program.last_words()[-200:]}")
    return int(found.group(1))


def count_server(name, connections=64):
    """Instructions of one request; starting and ending do not count."""
    program = PEERS / name if (PEERS / name).exists() else BUILT / name
    totals = []
    for count in (FEW, MANY):
        with scratch("callgrind") as folder:
            totals.append(callgrind(
                [program], folder,
                lambda address: subprocess.run(
                    [sys.executable, HERE / "load.py", address, str(count), str(connections)],
                    check=True, stdout=subprocess.DEVNULL)))
    return (totals[1] - totals[0]) / (MANY - FEW)


def count_work(name, few, many):
    """Instructions of one repetition of a piece of work of `micro-sonde`."""
    totals = []
    for count in (few, many):
        with scratch("callgrind") as folder:
            totals.append(callgrind([BUILT / "micro-sonde", name, count], folder))
    return (totals[1] - totals[0]) / (many - few)
