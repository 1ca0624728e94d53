"""A cable that takes its time: packets between two TUN devices, each delayed by a random share.

Stands in for `tc netem delay`, which many kernels come without. Packets may overtake each other,
as they do where a network has several paths. delayline.py FD FD LOW_MS HIGH_MS
"""

import fcntl
import gc
import heapq
import os
import random
import select
import struct
import sys
import time

from network import NotPermitted

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000


def open_tun(namespace, name):
    with namespace:  # where it is opened is where the device appears
        try:
            descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        except OSError as error:
            raise NotPermitted(f"no delayed path here: {error}") from None
        request = struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI)
        fcntl.ioctl(descriptor, TUNSETIFF, request)
    return descriptor


def forward(ends, low, high):
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    on_the_way, count = [], 0  # count keeps packets of one instant in order
    while True:
        wait = max(0, on_the_way[0][0] - time.monotonic()) if on_the_way else None
        ready, _, _ = select.select(ends, [], [], wait)
        now = time.monotonic()
        for end in ready:
            for packet in packets(end):
                count += 1
                due = now + random.uniform(low, high)
                heapq.heappush(on_the_way, (due, count, other[end], packet))
        while on_the_way and on_the_way[0][0] <= now:
            _, _, end, packet = heapq.heappop(on_the_way)
            try:
                os.write(end, packet)
            except OSError:
                pass  # its device is full or not up yet: lost, like on any cable


def packets(end):
    for _ in range(64):  # then the ones that are due get their turn
        try:
            yield os.read(end, 65536)
        except BlockingIOError:
            return


if __name__ == "__main__":
    gc.disable()  # no cycles here, and its pauses would be the cable's
    forward([int(sys.argv[1]), int(sys.argv[2])], *(float(ms) / 1000 for ms in sys.argv[3:5]))
