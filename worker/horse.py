"""A work-horse: a forked process that works off one run, so that the worker survives whatever the run does to it."""

import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable

from core.kit import log
from core.kit.embedded.process import die_with_parent
from core.runtime.runs import execute
from core.runtime.runs.lease import Claim
from core.runtime.runs.outcome import Outcome
from core.runtime.runs.pulse import INTERRUPT, install_interrupt, pulse

_CHUNK = 1 << 16
_POLL_S = 0.05

logger = log.get(__name__)


class Horse:
    """Forks when it is made. `wait` until it has told its outcome or ended; then ask for `outcome` or `how`, and `reap` it."""

    def __init__(self, held: Claim) -> None:
        self._received = bytearray()
        self._status: int | None = None
        self._reader, writer = os.pipe()
        worker = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        with pulse.quiet():
            self.pid = os.fork()
            if self.pid == 0:
                _be_the_horse(held, writer, worker)  # never comes back
        os.close(writer)
        os.set_blocking(self._reader, False)
        self._poll = select.poll()
        self._poll.register(self._reader, select.POLLIN)
        self._pidfd = _pidfd(self.pid)
        if self._pidfd is not None:
            self._poll.register(self._pidfd, select.POLLIN)

    def wait(self, seconds: float) -> bool:
        """Wait until it has told its outcome or ended, at most so long. True when it has.

        Its end is not waited for: the sooner the outcome is in the ledger, the less can come between.
        """
        return self._until(lambda: self._told or self._ended(), seconds)

    def reap(self) -> None:
        """See it off: it has a second to end by itself."""
        if not self._until(self._ended, 1):
            self.kill()

    def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._poll.poll(1000 * (left if self._pidfd is not None else min(left, _POLL_S)))
            self._read()
        return True

    def interrupt(self) -> None:
        """Ask it to stop as cancelled."""
        if self._status is None:
            os.kill(self.pid, INTERRUPT)

    def kill(self) -> None:
        """End it and all it started, at once."""
        if self._status is not None:
            return
        for end in (os.killpg, os.kill):
            try:
                end(self.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):  # not yet a group of its own, or gone
                continue
        self._until(self._ended, 10)

    @property
    def _told(self) -> bool:
        return self._received.endswith(b"\n")

    @property
    def outcome(self) -> Outcome | None:
        """What it told; None when it died without a word, or in the middle of one."""
        return Outcome.load(bytes(self._received)) if self._told else None

    @property
    def how(self) -> str:
        """What ended it, in words: "signal 11, SIGSEGV"."""
        code = os.waitstatus_to_exitcode(self._status or 0)
        if code < 0:
            try:
                return f"signal {-code}, {signal.Signals(-code).name}"
            except ValueError:
                return f"signal {-code}"
        return f"exit code {code}"

    def _ended(self) -> bool:
        if self._status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = self.pid, 1 << 8
            if pid == 0:
                return False
            self._status = status
            self._read()  # what it wrote last
            self._close()
        return True

    def _read(self) -> None:
        while self._reader >= 0:
            try:
                data = os.read(self._reader, _CHUNK)
            except BlockingIOError:
                return
            if not data:
                self._poll.unregister(self._reader)
                os.close(self._reader)
                self._reader = -1
            self._received += data

    def _close(self) -> None:
        if self._reader >= 0:
            os.close(self._reader)
            self._reader = -1
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None  # not Linux, or an old one: `wait` polls


def _be_the_horse(held: Claim, writer: int, worker: int) -> None:
    code = 1
    try:
        os.setpgrp()  # Ctrl-C in a terminal is the worker's business; and killing it kills what it started
        die_with_parent()
        if os.getppid() != worker:
            os._exit(1)  # it died before the line above
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        install_interrupt(as_work_horse=True)
        random.seed()
        told = execute.attempt(held, keep_lease=False).dump() + b"\n"
        while told:
            told = told[os.write(writer, told) :]
        code = 0
    except BaseException as error:  # noqa: BLE001 - nothing may escape into the worker's code
        logger.error("work_horse_failed", run_id=held.id, error=repr(error))
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
