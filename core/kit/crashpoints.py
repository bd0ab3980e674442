"""Named places where a test may kill the process, to prove that nothing is lost or done twice there."""

import os
import signal
from pathlib import Path
from typing import Final

SETTING: Final = "OPS_CRASHPOINT"
"""`name:n` kills the process by SIGKILL at the n-th time one comes by, `name:1,2` at the first and the second.

Unset, a crash point does nothing."""
COUNTER: Final = "OPS_CRASHPOINT_FILE"
"""The file that counts, over all processes. A folder counts each key by itself."""

_names: set[str] = set()


def register(*names: str) -> None:
    """Make crash points known; a test fails for one it has no case for."""
    _names.update(names)


def names() -> tuple[str, ...]:
    """All crash points."""
    return tuple(sorted(_names))


def crashpoint(name: str, key: object = "all") -> None:
    """Die here if the environment says so. `key` is what is under way, e.g. an action's id."""
    wanted = os.environ.get(SETTING)
    if wanted is None:
        return
    if name not in _names:
        raise ValueError(f"the crash point {name!r} is not registered")
    which, _, turns = wanted.partition(":")
    if which == name and str(_count(str(key))) in (turns or "1").split(","):
        os.kill(os.getpid(), signal.SIGKILL)


def _count(key: str) -> int:
    """The how manieth time this is. Appending one byte is atomic, also between processes."""
    counter = Path(os.environ[COUNTER])
    handle = os.open(counter / key if counter.is_dir() else counter, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, b".")
        return os.lseek(handle, 0, os.SEEK_CUR)
    finally:
        os.close(handle)
