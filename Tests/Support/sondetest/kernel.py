"""What the kernel says of a process: its memory, its processor time, its descriptors."""

import os
import pathlib


def fields(path):
    """The numbers of a "Name:  123 kB" file, as they stand there."""
    found = {}
    for line in pathlib.Path(path).read_text().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            found[name] = int(words[0])
    return found


def resident(pid):
    """Bytes; cheap enough to be asked while a process is measured."""
    pages = pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def peak(pid):
    """The most that was resident so far, in bytes."""
    return fields(f"/proc/{pid}/status")["VmHWM"] * 1024


def memory(pid, *kinds):
    """Bytes of each kind, summed: Anonymous, Rss, Pss, Private_Dirty, … Walks the page tables."""
    try:
        found = fields(f"/proc/{pid}/smaps_rollup")
    except FileNotFoundError:
        # A kernel without it still knows these two.
        status = fields(f"/proc/{pid}/status")
        found = {"Anonymous": status["RssAnon"], "Rss": status["VmRSS"]}
    return sum(found[kind] for kind in kinds) * 1024


def processor_seconds(pid):
    """Of all its threads that still are, to the nanosecond; else to the tick."""
    try:
        tasks = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except FileNotFoundError:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(int(ticks) for ticks in fields[11:13]) / os.sysconf("SC_CLK_TCK")


def children(pid):
    """The processes that it has started."""
    tasks = pathlib.Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir()
            for child in (task / "children").read_text().split()]


def descriptors(pid):
    # Since Linux 6.2 the folder's size is the count; listing thousands would disturb the run.
    folder = f"/proc/{pid}/fd"
    return os.stat(folder).st_size or len(os.listdir(folder))
