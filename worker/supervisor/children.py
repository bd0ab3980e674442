"""One supervised process: how it is started, what it is doing, and when it is started again."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

from core.errors import OpsError
from core.kit.embedded.process import die_with_parent
from worker.supervisor import guardian
from worker.supervisor.nursery import Forked, Nursery, can_bear

FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 10.0
HEALTHY_AFTER_S = 30.0

CHILD_MARK = "OPS_SUPERVISED_AS"
"""Environment variable of one supervised process and all it forks: state folder and name."""

Process = Union["subprocess.Popen[bytes]", Forked]
Start = Callable[[], Process]


@dataclass(slots=True)
class Child:
    """A process and its history. `state` is starting, running, restarting or stopped; `since` is wall-clock seconds."""

    name: str
    start: Start
    mark: str = ""
    is_store: bool = False
    stop_signal: signal.Signals = signal.SIGTERM
    process: Process | None = None
    state: str = "stopped"
    since: float = field(default_factory=time.time)
    started: float = 0.0
    restarts: int = 0
    backoff_s: float = 0.0
    restart_at: float | None = None
    last_pid: int = 0

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self.process.pid if self.process else None

    def spawn(self) -> str | None:
        """Start it. Must be called from the main thread: a parent-death signal follows the thread. Returns what went wrong."""
        self.restart_at = None
        self.started = time.monotonic()
        try:
            self.process = self.start()
        except (OSError, OpsError) as error:
            self.process = None
            self.plan_restart()
            return str(error)
        self.last_pid = self.process.pid
        self._enter("starting")
        return None

    def ready(self) -> None:
        """It has shown that it works."""
        self._enter("running")

    def ended(self) -> int | None:
        """Its exit code when it has ended since we last looked, else None."""
        if self.process is None:
            return None
        code = self.process.poll()
        if code is not None:
            self.process = None
        return code

    def plan_restart(self) -> float:
        """Decide when it is started again: 0.2 s, then twice as long each time up to 10 s; anew after 30 s of health."""
        if time.monotonic() - self.started >= HEALTHY_AFTER_S or not self.backoff_s:
            self.backoff_s = FIRST_BACKOFF_S
        else:
            self.backoff_s = min(LONGEST_BACKOFF_S, self.backoff_s * 2)
        self.restarts += 1
        self.restart_at = time.monotonic() + self.backoff_s
        self._enter("restarting")
        return self.backoff_s

    def signal(self, how: signal.Signals) -> None:
        """Send a signal to it alone, or SIGKILL to its whole group."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if how == signal.SIGKILL:
                os.killpg(self.process.pid, how)
            self.process.send_signal(how)

    def kill_leftovers(self) -> None:
        """End what it forked and left behind, such as the work-horse of a worker that was killed."""
        if self.mark and self.last_pid:
            for pid in guardian.left_by(self.last_pid, CHILD_MARK, self.mark):
                guardian.kill(pid, signal.SIGKILL)

    def _enter(self, state: str) -> None:
        self.state, self.since = state, time.time()


def starter(
    argv: list[str], env: Mapping[str, str], cwd: Path, on_output: Callable[[int], None], nursery: Nursery | None = None
) -> Start:
    """How to start a program: its own session, no inherited files, its output into a pipe handed to `on_output`.

    Our own modules are forked from the nursery, which has imported everything already.
    """

    def start() -> Process:
        reader, writer = os.pipe()
        try:
            process: Process | None = nursery.bear(argv, env, writer) if nursery and can_bear(argv) else None
            process = process or subprocess.Popen(
                argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer,
                start_new_session=True, preexec_fn=die_with_parent,
            )  # fmt: skip
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        on_output(reader)
        return process

    return start
