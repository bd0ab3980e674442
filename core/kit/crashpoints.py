"""Named places where a test may kill the process, to prove that nothing is lost or done twice there."""

import os
import signal
from typing import Final

SETTING: Final = "OPS_CRASHPOINT"
"""`name:n` kills the process by SIGKILL at the n-th time one comes by; unset, a crash point does nothing."""
COUNTER: Final = "OPS_CRASHPOINT_FILE"
"""The file that counts, over all processes."""

_names: set[str] = set()


def register(*names: str) -> None:
    """Make crash points known; a test fails for one it has no case for."""
    _names.update(names)


def names() -> tuple[str, ...]:
    """All crash points."""
    return tuple(sorted(_names))


def crashpoint(name: str) -> None:
    """Die here if the environment says so."""
    wanted = os.environ.get(SETTING)
    if wanted is None:
        return
    if name not in _names:
        raise ValueError(f"the crash point {name!r} is not registered")
    which, _, turn = wanted.partition(":")
    if which == name and _count() == int(turn or 1):
        os.kill(os.getpid(), signal.SIGKILL)


def _count() -> int:
    """The how manieth time this is. Appending one byte is atomic, also between processes."""
    counter = os.open(os.environ[COUNTER], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(counter, b".")
        return os.lseek(counter, 0, os.SEEK_CUR)
    finally:
        os.close(counter)
