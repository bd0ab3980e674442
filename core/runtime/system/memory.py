"""Resident memory of the processes, read from the operating system."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil

_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes. `rss_mb` counts pages that processes share once for each; `pss_mb` once in all, None where unreadable."""

    rss_mb: float
    pss_mb: float | None


def of_trees(pids: Mapping[str, int]) -> dict[str, Memory]:
    """Memory of each process with everything it started. `pids` by name; those that are gone are left out."""
    parents: dict[int, list[int]] = {}
    known: dict[int, psutil.Process] = {}
    for process in psutil.process_iter(["ppid"]):
        known[process.pid] = process
        parents.setdefault(process.info["ppid"], []).append(process.pid)
    taken = set(pids.values())
    found: dict[str, Memory] = {}
    for name, pid in pids.items():
        tree, waiting = [], [pid]
        while waiting:
            one = waiting.pop()
            tree.append(one)
            # a child with a line of its own is counted there
            waiting += [child for child in parents.get(one, ()) if child not in taken]
        memories = [m for m in (_of(known[p]) for p in tree if p in known) if m]
        if memories:
            found[name] = total(memories)
    return found


def total(memories: Iterable[Memory]) -> Memory:
    """Their sum; PSS is unknown when one of them is."""
    each = list(memories)
    pss = [m.pss_mb for m in each]
    known = [p for p in pss if p is not None]
    return Memory(round(sum(m.rss_mb for m in each), 1), round(sum(known), 1) if len(known) == len(pss) else None)


def _of(process: psutil.Process) -> Memory | None:
    try:
        rss = process.memory_info().rss / _MB
    except psutil.Error:
        return None
    try:
        with open(f"/proc/{process.pid}/smaps_rollup") as file:
            pss = next((int(line.split()[1]) / 1024 for line in file if line.startswith("Pss:")), None)
    except (OSError, ValueError):
        pss = None
    return Memory(rss, pss)
