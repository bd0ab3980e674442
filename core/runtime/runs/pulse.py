"""Keeps the lease of the run this process is working on, and stops it when it is cancelled or lost."""

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty
from sqlalchemy.exc import SQLAlchemyError

from core.config import get_settings
from core.errors import OpsError
from core.kit import db, log
from core.kit.db import STAFF
from core.runtime.runs.lease import Claim, LeaseLost, RunCancelled, renew

INTERRUPT = signal.SIGUSR1
_TIMEOUT_GRACE_S = 5.0

logger = log.get(__name__)


class Pulse:
    """Watches over one run at a time. Where the run has no process above it, a thread here renews its lease."""

    def __init__(self) -> None:
        self._pid = 0
        self._lock = threading.Lock()
        self._wakeup = threading.Event()
        self._held: Claim | None = None
        self._deadline = math.inf
        self._open = False
        self.stopped: type[OpsError] | None = None

    @contextmanager
    def watch(self, held: Claim, *, keep_lease: bool = True) -> Iterator[None]:
        """While inside, the run is stopped when it takes too long, is cancelled or lost: an exception in the main thread.

        `keep_lease` is False in a work-horse, whose worker renews the lease and sends it a signal to stop.
        """
        self._begin(held, keep_lease)
        try:
            # alarms exist in the main thread only; elsewhere `check` is what notices
            if threading.current_thread() is threading.main_thread():
                with UnixSignalDeathPenalty(max(1, held.timeout_s), JobTimeoutException):  # type: ignore[no-untyped-call]
                    self._open = True
                    yield
            else:
                yield
        finally:
            self._open = False
            with self._lock:
                self._held = None

    def _begin(self, held: Claim, keep_lease: bool) -> None:
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._lock, self._wakeup = threading.Lock(), threading.Event()
            if keep_lease:
                threading.Thread(target=self._beat, name="pulse", daemon=True).start()
        with self._lock:
            self.stopped = None
            self._deadline = time.monotonic() + held.timeout_s
            self._held = held

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """While inside, the thread does nothing, so that a fork finds no lock of the database or the log taken."""
        with self._lock:
            yield

    def _beat(self) -> None:
        while True:
            self._wakeup.wait(get_settings().heartbeat_s)
            # the lock is held meanwhile: see `quiet`; a run that has ended waits at most one statement for it
            with self._lock:
                held = self._held
                if held is None or time.monotonic() > self._deadline + _TIMEOUT_GRACE_S:
                    continue  # an overdue run loses its lease, so that the sweeper takes it back
                why = self._renew(held)
                if why is None or self.stopped is not None:
                    continue
                self.stopped = why
            signal.pthread_kill(threading.main_thread().ident or 0, INTERRUPT) if self._can_interrupt() else None

    def _renew(self, held: Claim) -> type[OpsError] | None:
        try:
            with db.transaction(STAFF) as session:
                return RunCancelled if renew(session, held) else None
        except LeaseLost:
            return LeaseLost
        except (SQLAlchemyError, OpsError) as error:
            logger.warning("heartbeat_failed", run_id=held.id, error=type(error).__name__)
        return None

    @staticmethod
    def _can_interrupt() -> bool:
        return signal.getsignal(INTERRUPT) not in (signal.SIG_DFL, signal.SIG_IGN, None)

    def interrupted(self) -> None:
        """What the signal does, in the main thread: raise, but only once and only inside the handler's own code."""
        if self._open and self.stopped is not None:
            self._open = False
            self.check()

    def why_stopped(self) -> Exception | None:
        """Why the run should stop, or had to: RunCancelled, LeaseLost, or RQ's timeout when its time is up; else None."""
        if self.stopped is not None:
            return self.stopped("The run was stopped.")
        if time.monotonic() > self._deadline:
            return JobTimeoutException("The run took too long.")
        return None

    def check(self) -> None:
        """Raise when the run should stop. A handler that swallowed the first exception meets it again here."""
        why = self.why_stopped()
        if why is not None:
            raise why


pulse = Pulse()


def install_interrupt(*, as_work_horse: bool = False) -> None:
    """Let a cancelled or lost run be interrupted wherever it is. Main thread of a worker only.

    In a work-horse the signal comes from its worker, and means that a person cancelled the run.
    """

    def stop(_signal: int, _frame: object) -> None:
        if as_work_horse and pulse.stopped is None:
            pulse.stopped = RunCancelled
        pulse.interrupted()

    signal.signal(INTERRUPT, stop)
