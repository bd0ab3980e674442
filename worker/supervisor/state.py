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
from core.errors import Conflict
from core.kit.embedded import lock
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
        self._lock = lock.hold(self.path)

    def guard(self) -> int:
        """End what an earlier `ops up` left behind, then start the guardian. Returns how many processes were left behind."""
        cleaning = os.open(self.path / "guardian.lock", os.O_RDWR | os.O_CREAT, 0o600)
        end = time.monotonic() + _CLEANING_S
        while True:
            with contextlib.suppress(OSError):
                fcntl.flock(cleaning, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
        self.start_guardian(cleaning)
        return left

    def start_guardian(self, cleaning: int | None = None) -> None:
        """Start the guardian, which keeps the cleaning lock as long as it lives."""
        if cleaning is None:
            cleaning = os.open(self.path / "guardian.lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(cleaning, fcntl.LOCK_EX | fcntl.LOCK_NB)
        reader, writer = os.pipe()
        argv = [sys.executable, "-I", "-S", guardian.__file__, str(self.path)]
        try:
            self._guardian = subprocess.Popen(argv, stdin=reader, pass_fds=(cleaning,), env={}, cwd="/", start_new_session=True)
        finally:
            os.close(reader)
            os.close(cleaning)
        if self._pipe >= 0:
            os.close(self._pipe)
        self._pipe = writer

    @property
    def guardian_pid(self) -> int | None:
        """None before it is started."""
        return self._guardian.pid if self._guardian else None

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
