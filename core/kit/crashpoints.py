"""Named places where a test may kill the process, to prove that nothing is lost or done twice there."""

import os
import signal
from typing import Final

SETTING: Final = "OPS_CRASHPOINT"
"""`name:n` kills the process by SIGKILL at the n-th time it comes by; unset, a crash point does nothing."""

_names: set[str] = set()
_seen: dict[str, int] = {}


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
    if which == name:
        _seen[name] = _seen.get(name, 0) + 1
        if _seen[name] == int(turn or 1):
            os.kill(os.getpid(), signal.SIGKILL)
