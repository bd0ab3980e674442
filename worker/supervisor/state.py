"""The state folder: who may use it, and what a running `ops up` says of itself there."""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from core.config import RUNTIME_FILE, started_at_tick
from core.errors import Conflict, OpsError
from worker.supervisor import guardian

_CLEANING_S = 12.0


class StateFolder:
    """One state folder, held by one `ops up` at a time. Files we hold locks on are never inherited, but for the guardian's."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock = -1
        self._guardian: subprocess.Popen[bytes] | None = None
        self._pipe = -1

    def take(self) -> None:
        """Make it ours. Raises Conflict when another `ops up` runs on it, OpsError when it can't be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o755)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            for name in ("postgres", "valkey"):
                folder = self.path / name
                if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
                    raise PermissionError(folder)
        except (OSError, ValueError) as error:
            raise OpsError(
                f"The state folder {self.path} can't be written ({_reason(error)}).",
                "Set OPS_STATE_DIR to a folder you may write, or start as the user who owns it.",
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict(
                f"ManageAI Ops already runs on the state folder {self.path}{self._who()}.",
                "Stop it with Ctrl-C where it runs, or set OPS_STATE_DIR to another folder.",
            ) from None

    def guard(self) -> int:
        """End what an earlier `ops up` left behind, then start the guardian. Returns how many processes were left behind."""
        lock = os.open(self.path / "guardian.lock", os.O_RDWR | os.O_CREAT, 0o600)
        end = time.monotonic() + _CLEANING_S
        while True:
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > end:
                raise Conflict("The last run is still being ended.", "Wait a few seconds and start again.")
            time.sleep(0.05)
        left = len(list(guardian.find(guardian.MARK, str(self.path), str(self.path))))
        stubborn = guardian.sweep(str(self.path)) if left else []
        if stubborn:
            raise Conflict(
                f"Processes of an earlier start would not end: {', '.join(map(str, stubborn))}.",
                "End them as the user who started them, and start again.",
            )
        self.start_guardian(lock)
        return left

    def start_guardian(self, lock: int | None = None) -> None:
        """Start the guardian, which keeps the cleaning lock as long as it lives."""
        if lock is None:
            lock = os.open(self.path / "guardian.lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        reader, writer = os.pipe()
        argv = [sys.executable, "-I", "-S", guardian.__file__, str(self.path)]
        try:
            self._guardian = subprocess.Popen(argv, stdin=reader, pass_fds=(lock,), env={}, cwd="/", start_new_session=True)
        finally:
            os.close(reader)
            os.close(lock)
        if self._pipe >= 0:
            os.close(self._pipe)
        self._pipe = writer

    def keep_guarded(self) -> None:
        """Start the guardian again when somebody ended it."""
        if self._guardian and self._guardian.poll() is not None:
            with contextlib.suppress(OSError):
                self.start_guardian()

    def write(self, data: dict[str, Any]) -> None:
        """Leave word for `ops` in other shells: readable by its owner only, never half-written."""
        temp = self.path / f"{RUNTIME_FILE}.new"
        handle = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump({**data, "pid": os.getpid(), "pid_tick": started_at_tick(os.getpid())}, file)
        temp.replace(self.path / RUNTIME_FILE)

    def remembered_ports(self) -> dict[str, int]:
        """The ports the stores had last time, so that addresses stay the same between starts when they can."""
        try:
            found = json.loads((self.path / "ports.json").read_text())
            return {k: int(v) for k, v in found.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def remember_ports(self, ports: dict[str, int]) -> None:
        """Keep the stores' ports for the next start."""
        (self.path / "ports.json").write_text(json.dumps(ports))

    def release(self) -> None:
        """A clean end: take back our word and let the guardian go."""
        with contextlib.suppress(OSError):
            (self.path / RUNTIME_FILE).unlink()
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        if self._guardian:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._guardian.wait(2)

    def _who(self) -> str:
        try:
            data = json.loads((self.path / RUNTIME_FILE).read_text())
            return f" (process {data['pid']}, http://127.0.0.1:{data['web_port']})"
        except (OSError, ValueError, KeyError, TypeError):
            return ""


def _reason(error: Exception) -> str:
    return (error.strerror or "not allowed").lower() if isinstance(error, OSError) else str(error)
