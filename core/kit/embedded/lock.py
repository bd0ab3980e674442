"""One program at a time on one state folder."""

import fcntl
import json
import os
from pathlib import Path

from core.config import RUNTIME_FILE
from core.errors import Conflict, OpsError


def hold(folder: Path) -> int:
    """Hold the folder until the returned file is closed; it is not inherited by children.

    Raises OpsError when the folder can't be written, Conflict when another program holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        for name in ("postgres", "valkey"):
            if (folder / name).exists() and not os.access(folder / name, os.W_OK | os.X_OK):
                raise PermissionError(1, f"{name} in it belongs to another user")
    except OSError as error:
        raise OpsError(
            f"The state folder {folder} can't be written ({(error.strerror or 'not allowed').lower()}).",
            "Set OPS_STATE_DIR to a folder you may write, or start as the user who owns it.",
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise Conflict(
            f"ManageAI Ops already runs on the state folder {folder}{_who(folder)}.",
            "Stop it with Ctrl-C where it runs, or set OPS_STATE_DIR to another folder.",
        ) from None
    return lock


def _who(folder: Path) -> str:
    try:
        data = json.loads((folder / RUNTIME_FILE).read_text())
        return f" (process {data['pid']}, http://127.0.0.1:{data['web_port']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
