"""Keeps the lease of the run this process is working on, and notices when it is cancelled or lost."""

import os
import signal
import threading
import time

from sqlalchemy.exc import SQLAlchemyError

from core.config import get_settings
from core.errors import OpsError
from core.kit import db, log
from core.runtime.runs.lease import Claim, LeaseLost, RunCancelled, renew

INTERRUPT = signal.SIGUSR1
_TIMEOUT_GRACE_S = 5.0

logger = log.get(__name__)


class Pulse:
    """One background thread per process. It starts with the first run that lasts longer than a heartbeat."""

    def __init__(self) -> None:
        self._pid = 0
        self._lock = threading.Lock()
        self._wakeup = threading.Event()
        self._held: Claim | None = None
        self._deadline = 0.0
        self.stopped: type[OpsError] | None = None

    def hold(self, held: Claim) -> None:
        """Start keeping this run's lease."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._lock, self._wakeup = threading.Lock(), threading.Event()
            threading.Thread(target=self._beat, name="pulse", daemon=True).start()
        with self._lock:
            self.stopped = None
            self._deadline = time.monotonic() + held.timeout_s + _TIMEOUT_GRACE_S
            self._held = held

    def let_go(self) -> None:
        """Stop keeping it."""
        with self._lock:
            self._held = None

    def _beat(self) -> None:
        while True:
            self._wakeup.wait(get_settings().heartbeat_s)
            with self._lock:
                held, overdue = self._held, time.monotonic() > self._deadline
            if held is None or overdue:
                continue  # an overdue run loses its lease, so that the sweeper takes it back
            try:
                with db.transaction(held.scope) as session:
                    cancelled = renew(session, held)
                if cancelled:
                    self._interrupt(held, RunCancelled)
            except LeaseLost:
                self._interrupt(held, LeaseLost)
            except (SQLAlchemyError, OpsError) as error:
                logger.warning("heartbeat_failed", run_id=held.id, error=type(error).__name__)

    def _interrupt(self, held: Claim, why: type[OpsError]) -> None:
        with self._lock:
            if self._held is not held or self.stopped is not None:
                return
            self.stopped = why
        if signal.getsignal(INTERRUPT) not in (signal.SIG_DFL, signal.SIG_IGN, None):
            signal.pthread_kill(threading.main_thread().ident or 0, INTERRUPT)

    def check(self) -> None:
        """Raise RunCancelled or LeaseLost when the run should stop."""
        if self.stopped is not None:
            raise self.stopped("The run was stopped.")


pulse = Pulse()


def install_interrupt() -> None:
    """Let a cancelled or lost run be interrupted wherever it is. Main thread of a worker only."""

    def stop(_signal: int, _frame: object) -> None:
        if pulse.stopped is not None:
            raise pulse.stopped("The run was stopped.")

    signal.signal(INTERRUPT, stop)
