"""What both embedded servers share: free ports, secrets in files, and ending a server that does not want to end."""

import contextlib
import ctypes
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from core.errors import OpsError, Unavailable

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None)


def free_port(preferred: int | None = None) -> int:
    """`preferred` when nobody listens there, else a port the system picks. Loopback only."""
    for port in (preferred, 0):
        if port is None:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OpsError("No free port was found.", "End another program that listens, and start again.")


def secret(path: Path) -> str:
    """The secret kept in this file (mode 0600); made the first time."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        value = secrets.token_urlsafe(24)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(value)
        return value


def die_with_parent() -> None:
    """In a child before exec: end when the thread that started it ends, also on a kill -9 of its process (Linux prctl).

    A change of user or user namespace clears it: those prefixes carry `setpriv --pdeathsig` behind the change.
    """
    with contextlib.suppress(OSError, AttributeError):
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every process below us whose own parent ends (Linux prctl)."""
    with contextlib.suppress(OSError, AttributeError):
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def stop(process: subprocess.Popen[bytes], gentle: signal.Signals, wait_s: float) -> None:
    """Ask a process to end, and kill it when it has not after `wait_s`."""
    if process.poll() is not None:
        return
    process.send_signal(gentle)
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], what: str, log: Path, wait_s: float = 30) -> None:
    """Wait for `ready()`. Raises Unavailable with the end of the log when the process ends or takes too long."""
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        if ready():
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    tail = log.read_text(errors="replace")[-600:].strip() if log.exists() else ""
    raise Unavailable(f"The embedded {what} did not start.", f"Its log {log} ends with: {tail}")
