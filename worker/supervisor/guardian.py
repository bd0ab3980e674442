"""Ends everything `ops up` started when `ops up` itself is gone, however it went.

A process of its own that only waits for the end of a pipe whose other end the supervisor holds. It is run as a plain
file with the standard library alone (9 MB), ends nothing while the supervisor lives, and holds the cleaning lock, so that
the next `ops up` waits until it is done. Parent-death signals end the direct children sooner; this also finds what those
miss: forked work-horses in their own sessions and a PostgreSQL that changed its user.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

MARK = "OPS_SUPERVISED"
"""Environment variable of everything that `ops up` starts: the absolute state folder."""
_STORES = ("postgres", "initdb", "valkey-server", "redis-server")
_GENTLE_S = 3.0
_TOTAL_S = 8.0


class Found(NamedTuple):
    """A process that belongs to a state folder. Stores hide their environment behind their title: they are known by folder."""

    pid: int
    store: str | None
    parent: int


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _looked_at(pid: int, mark: bytes, folder: str | None) -> Found | None:
    if mark in b"\0" + _read(f"/proc/{pid}/environ"):
        environ_says = True
    elif folder is None:
        return None
    else:
        environ_says = False
    stat = _read(f"/proc/{pid}/stat")
    if not stat:
        return None
    name = stat[stat.index(b"(") + 1 : stat.rindex(b")")].decode(errors="replace")
    parent = int(stat[stat.rindex(b")") + 2 :].split()[1])
    store = name if name in _STORES else None
    if not environ_says:
        if store is None or folder is None:
            return None
        try:
            inside = os.readlink(f"/proc/{pid}/cwd").startswith(folder + os.sep)
        except OSError:
            return None
        if not inside:
            return None
    return Found(pid, store, parent)


def find(variable: str, value: str, folder: str | None = None) -> Iterator[Found]:
    """Processes whose environment has this variable with this value, and database servers that work inside `folder`."""
    mark = f"\0{variable}={value}\0".encode()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            found = _looked_at(int(entry), mark, folder)
            if found:
                yield found


def left_by(pid: int, variable: str, value: str) -> set[int]:
    """What a process that has ended left behind: the rest of its session, and whatever carries its mark."""
    found = {f.pid for f in find(variable, value)}
    for entry in os.listdir("/proc"):
        stat = _read(f"/proc/{entry}/stat") if entry.isdigit() else b""
        fields = stat[stat.rindex(b")") + 2 :].split() if stat else []
        if fields and fields[0] not in (b"Z", b"X") and int(fields[3]) == pid:
            found.add(int(entry))
    return found - {pid, os.getpid()}


def kill(pid: int, how: signal.Signals) -> None:
    """Send a signal; a process that is gone already is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, how)


def sweep(state_dir: str) -> list[int]:
    """End every process of this state folder: the app's at once, the stores gently for 3 s, then at once.

    Returns those that would not end within 8 s.
    """
    start, asked = time.monotonic(), set[int]()
    while True:
        found = list(find(MARK, state_dir, state_dir))
        age = time.monotonic() - start
        if not found or age > _TOTAL_S:
            return [f.pid for f in found]
        servers = {f.pid for f in found if f.store}
        for process in found:
            if not process.store or age > _GENTLE_S:
                kill(process.pid, signal.SIGKILL)
            elif process.parent not in servers and process.pid not in asked:
                # only the server itself: its children take other meanings from the same signals
                asked.add(process.pid)
                kill(process.pid, signal.SIGINT if process.store == "postgres" else signal.SIGTERM)
        time.sleep(0.05)


def main() -> None:
    """Wait for the supervisor's end of standard input to close, then sweep."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    while os.read(0, 4096):
        pass
    sweep(sys.argv[1])


if __name__ == "__main__":
    main()
