"""The worker: an RQ worker by name and look (`rq info` shows it), whose orders come from the ledger.

RQ's queue wakes it. What it then does is: claim the most urgent run, work it off, write down the end and claim the next
in the same statement, until the queue is empty. RQ's own bookkeeping for each job is not done: the ledger has it.
Nothing that comes out of Redis is ever deserialised or called, so who can write there can wake a worker and no more;
for the same reason it does not listen to RQ's remote commands (shutdown, kill-horse, stop-job).
"""

import faulthandler
import os
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar
from uuid import uuid4

from redis import Redis
from redis.exceptions import RedisError
from rq import Worker, worker_registration
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus
from sqlalchemy.exc import SQLAlchemyError

from core.config import get_settings
from core.errors import OpsError, Unavailable
from core.kit import log, redis
from core.kit.crashpoints import crashpoint
from core.runtime.runs import dispatch, execute, outcome, wake
from core.runtime.runs.lease import Claim, LeaseLost
from core.runtime.runs.line import Line
from core.runtime.runs.models import RunState
from core.runtime.runs.outcome import Outcome
from core.runtime.runs.pulse import install_interrupt
from worker.horse import Horse

POP_S = 2.0
"""An idle worker looks into the ledger so often even when nobody wakes it: Redis may be empty, away or wrong."""
BEAT_S = 3.0
RQ_INFO_S = 10.0
KILL_AFTER_S = 3.0
"""How long after its time limit, or after a person cancelled it, a work-horse that does not stop is killed."""
STUCK_AFTER_S = 180.0
"""A worker whose own process is stuck for so long, in C code that keeps the interpreter's lock, ends, to be started anew."""
_TICK_S = 0.5
_SAVE_S = 60.0
_REDIS_PAUSE_S = 1.0
_LOST = Outcome(RunState.QUEUED, lost=True)

T = TypeVar("T")
logger = log.get(__name__)


class LedgerWorker(Worker):
    """Works off one queue of the ledger. `name` is its name in the ledger, the same for each incarnation."""

    def __init__(self, queue: str, name: str) -> None:
        super().__init__(
            [queue],
            name=f"{name}.{uuid4().hex[:8]}",
            connection=redis.client(POP_S + 3),
            serializer=JSONSerializer,
            maintenance_interval=10,
            worker_ttl=30,
            job_monitoring_interval=5,
            prepare_for_work=False,  # would ask Redis, which may be away
        )
        self.hostname, self.pid = socket.gethostname(), os.getpid()
        self.ledger_name = name
        self.queue = queue
        self.line = Line(name, queue)
        self.done = 0
        self._held: Claim | None = None
        self._messages: list[str] = []
        self._waiting = False
        self._stop_at: float | None = None
        self._beat_at = self._rq_info_at = 0.0
        self._redis_down_until = 0.0

    def _set_connection(self, connection: Redis) -> Redis:
        return connection  # ours has the timeout it needs; RQ would make it longer

    # -- the loop -----------------------------------------------------------------------------------------------

    def work(self, *_args: Any, **_options: Any) -> bool:
        """Work until told to stop (SIGTERM or SIGINT: finish the run, within the grace). Survives the loss of both stores."""
        for asks in (signal.SIGTERM, signal.SIGINT):
            signal.signal(asks, self.request_stop)
        install_interrupt()
        try:
            while self._stop_at is None:
                try:
                    self._show()
                    held = self._claim()
                    while held is not None:
                        held = self._work_off(held)
                    self._wait()
                except (Unavailable, SQLAlchemyError) as error:
                    self._recover(error)
        except StopRequested:
            pass
        finally:
            self._leave()
        return self.done > 0

    def _wait(self) -> None:
        """Wait for a message of the queue; not for long, and just as long when Redis is away."""
        if self._stop_at is not None:
            return
        self._with_redis(self._forget)
        if self.get_state() == WorkerStatus.BUSY:
            self._tell_rq(None)
        self._waiting = True
        try:
            if (message := wake.wait(self.connection, self.queue, POP_S)) is not None:
                self._messages.append(message)
        except (RedisError, OSError) as error:
            if time.monotonic() > self._redis_down_until + 10:
                logger.warning("redis_away", error=type(error).__name__)
            self._redis_down_until = time.monotonic() + _REDIS_PAUSE_S
            time.sleep(_REDIS_PAUSE_S)
        finally:
            self._waiting = False

    def _claim(self) -> Claim | None:
        """The next run. A message that led to none is stale, and so are most behind it: they are all taken away at once.

        If a run did come with them after all, one is put back: another worker may be needed too.
        """
        held = self.line.claim_next()
        if held is not None or not self._messages:
            return held
        stale: list[str] = []
        self._with_redis(lambda: stale.extend(wake.take_all(self.connection, self.queue)))
        if not stale:
            return None
        held = self.line.claim_next()
        if held is not None:
            self._with_redis(lambda: wake.put_back(self.connection, self.queue, stale.pop()))
        self._messages += stale
        return held

    def _forget(self) -> None:
        """Drop what RQ keeps about the messages that were taken."""
        messages, self._messages = self._messages, []
        known = [m for m in messages if wake.run_id_of(m) is not None]
        if len(known) < len(messages):
            logger.warning("foreign_messages_refused", queue=self.queue, count=len(messages) - len(known))
        wake.forget(self.connection, known)

    def _recover(self, error: Exception) -> None:
        """The database is away. When it is back, what a cut-off statement may have claimed for us is given back."""
        logger.warning("database_away", error=type(error).__name__)
        self._held = None
        while self._stop_at is None:
            time.sleep(_REDIS_PAUSE_S)
            self._not_stuck()
            try:
                dispatch.rescue_worker(self.ledger_name)
                return
            except (OpsError, SQLAlchemyError):
                continue

    # -- one run ------------------------------------------------------------------------------------------------

    def _work_off(self, held: Claim) -> Claim | None:
        """One run from claim to end. Returns the next one, already claimed."""
        self._held = held
        horse = None if execute.inline(held) else Horse(held)
        try:
            ended = self._inline(held) if horse is None else self._watch(horse, held)
            self.done += 1
            following = self._save(held, ended)
        finally:
            self._held = None
            if horse is not None:
                horse.reap()
        if following is None or time.monotonic() > self._beat_at:
            self._show()
        return following

    def _inline(self, held: Claim) -> Outcome:
        if held.timeout_s > STUCK_AFTER_S / 2:
            self._not_stuck(2 * held.timeout_s)
        return execute.attempt(held)

    def _watch(self, horse: Horse, held: Claim) -> Outcome:
        began = renewed = time.monotonic()
        self._tell_rq(held)
        cancelled_at: float | None = None
        while not horse.wait(_TICK_S):
            now = time.monotonic()
            if now - renewed >= get_settings().heartbeat_s:
                renewed = now
                try:
                    if self._renew(held):
                        cancelled_at = cancelled_at or now
                        horse.interrupt()
                except LeaseLost:
                    logger.warning("lease_lost", run_id=held.id, run=held.name)
                    horse.kill()
                    return _LOST
            self._show()
            why = self._overdue(held, now, began, cancelled_at)
            if why is not None:
                horse.kill()
                return horse.outcome or why
        if (told := horse.outcome) is not None:
            return told
        how = horse.how
        logger.error("work_horse_died", run_id=held.id, run=held.name, how=how)
        self._insist(lambda: dispatch.give_back(held, how, crashed=True))
        return _LOST

    def _renew(self, held: Claim) -> bool:
        try:
            return self.line.renew(held)
        except Unavailable:
            return False  # the lease may run out meanwhile; then the next renewal says so

    def _overdue(self, held: Claim, now: float, began: float, cancelled_at: float | None) -> Outcome | None:
        """What becomes of a run that must be ended by force; None while it may go on."""
        if cancelled_at is not None and now > cancelled_at + KILL_AFTER_S:
            return outcome.cancelled()
        if now > began + held.timeout_s + KILL_AFTER_S:
            return outcome.timed_out(held.timeout_s)
        if self._stop_at is not None and now > self._stop_at:
            return Outcome(RunState.QUEUED)
        return None

    def _save(self, held: Claim, ended: Outcome) -> Claim | None:
        """Write down how a run ended, and claim the next one."""
        if ended.state == RunState.QUEUED:
            if not ended.lost:
                self._insist(lambda: dispatch.give_back(held, "its worker was stopped", crashed=False))
        elif ended.state == RunState.SUCCEEDED and self._stop_at is None:
            ours, following = self._insist(lambda: self.line.finish_and_claim(held, ended)) or (True, None)
            crashpoint("run.after_ack", held.payload.get("action_id", held.id))
            if not ours:
                logger.warning("lease_lost", run_id=held.id, run=held.name)
            return following
        else:
            self._insist(lambda: execute.settle(held, ended))
        return self.line.claim_next() if self._stop_at is None else None

    def _insist(self, write: Callable[[], T]) -> T | None:
        """Write to the ledger although the database may be away for a while: the work is done. None when it stays away."""
        end = time.monotonic() + _SAVE_S
        while True:
            try:
                return write()
            except (Unavailable, SQLAlchemyError) as error:
                logger.warning("ledger_not_written", error=type(error).__name__)
                if time.monotonic() > end or self._stop_at is not None:
                    return None  # its lease runs out, and another worker does it again
                time.sleep(_TICK_S)

    # -- signs of life ------------------------------------------------------------------------------------------

    def _show(self) -> None:
        """Beat into the ledger, and now and then into RQ's own list of workers."""
        now = time.monotonic()
        if now >= self._beat_at:
            self._beat_at = now + BEAT_S
            self._not_stuck()
            try:
                held = self._held
                self.line.beat(
                    queue=self.queue, run_id=held.id if held else None, run=held.name if held else None, done=self.done
                )
            except Unavailable:
                logger.warning("heartbeat_failed")
        if now >= self._rq_info_at:
            self._rq_info_at = now + RQ_INFO_S
            self._with_redis(self._register)

    @staticmethod
    def _not_stuck(seconds: float = STUCK_AFTER_S) -> None:
        """From now on this process has so long until the next call. A thread in C watches, which needs no interpreter lock."""
        faulthandler.dump_traceback_later(seconds, exit=True)

    def _register(self) -> None:
        if self.birth_date is None or not self.connection.hexists(self.key, "birth"):
            self.connection.delete(self.key)  # a part of it, written since Redis was emptied, would look like a namesake
            self.register_birth()  # type: ignore[no-untyped-call]
            self.set_state(WorkerStatus.IDLE)
        self.heartbeat()
        worker_registration.clean_worker_registry(self.queues[0])

    def _tell_rq(self, held: Claim | None) -> None:
        """Busy with a run, or idle."""

        def tell() -> None:
            pipeline = self.connection.pipeline(transaction=False)
            self.set_state(WorkerStatus.BUSY if held else WorkerStatus.IDLE, pipeline=pipeline)
            self.set_current_job_id(wake.job_id(held.id, held.attempt) if held else None, pipeline=pipeline)
            pipeline.execute()

        self._with_redis(tell)

    def _with_redis(self, tell: Callable[[], None]) -> None:
        if time.monotonic() < self._redis_down_until:
            return
        try:
            tell()
        except (RedisError, OSError, ValueError):
            self._redis_down_until = time.monotonic() + _REDIS_PAUSE_S

    # -- stopping -----------------------------------------------------------------------------------------------

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """First time: finish the run within the grace. Second time: at once."""
        again = self._stop_at is not None
        self._stop_at = time.monotonic() + (0 if again else get_settings().worker_grace_s)
        if self._waiting:
            self._waiting = False
            raise StopRequested

    def _leave(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        self._with_redis(self.register_death)
        self.line.close()
