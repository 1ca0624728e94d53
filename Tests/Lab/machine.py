"""How late the machine itself was: a process on each processor that asks to be woken every
millisecond, and keeps the worst that it saw. It is scheduled as the instruments are, so what it
sees (stolen time, other people's work) is what they suffer, and not what they do.
"""

import mmap
import os
import struct
import time

CELL = struct.Struct("=Qdd")  # which measurement, its worst and its whole lateness (seconds)
PERIOD = 0.001
# A sleep that ends this late is an ordinary one.
ORDINARY = 0.0003


class Watch:
    """Start it before anything else: its processes are copies of this one."""

    def __init__(self):
        self.processors = sorted(os.sched_getaffinity(0))
        self.cells = mmap.mmap(-1, CELL.size * len(self.processors))
        self.round = mmap.mmap(-1, 8)
        self.children = [self.start(*each) for each in enumerate(self.processors)]

    def start(self, index, processor):
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            try:
                os.sched_setaffinity(0, {processor})
                self.watch(index, parent)
            finally:
                os._exit(0)
        return child

    def watch(self, index, parent):
        due, current, worst, whole = time.monotonic(), 0, 0.0, 0.0
        while os.getppid() == parent:
            due += PERIOD
            time.sleep(max(0, due - time.monotonic()))
            now = time.monotonic()
            wanted = int.from_bytes(self.round[:8], "little")
            if wanted != current:
                current, worst, whole = wanted, 0.0, 0.0
            elif now - due > ORDINARY:
                worst, whole = max(worst, now - due), whole + now - due
            if now - due > PERIOD:
                due = now  # not one lateness for every period that was missed
            CELL.pack_into(self.cells, index * CELL.size, current, worst, whole)

    def begin(self):
        """Forgets what was, and returns when all have."""
        wanted = int.from_bytes(self.round[:8], "little") + 1
        self.round[:8] = wanted.to_bytes(8, "little")
        while any(cell[0] != wanted for cell in self.seen()):
            time.sleep(PERIOD)

    def seen(self):
        return [CELL.unpack_from(self.cells, index * CELL.size)
                for index in range(len(self.processors))]

    def worst_and_whole(self):
        """Since `begin`, milliseconds: the latest waking, and what all late ones lost in sum."""
        cells = self.seen()
        return max(cell[1] for cell in cells) * 1000, sum(cell[2] for cell in cells) * 1000

    def close(self):
        for child in self.children:
            os.kill(child, 9)
            os.waitpid(child, 0)
        self.children = []


def explains(bar, worst_ms, whole_ms):
    """Whether the machine's lateness is enough to make a figure miss its bar by as much as it did.

    One answer waits for several wakings: of the client, the target and the path between. What is
    counted in seconds is made of many, so there the sum is what matters.
    """
    scale = {"s": 1000, "ms": 1, "µs": 0.001}.get(bar.unit)
    if scale is None:
        return False  # wrong at any speed
    excess = (bar.value - bar.limit) * scale
    return excess <= (whole_ms if bar.unit == "s" else 4 * worst_ms)
