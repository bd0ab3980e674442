"""The watchdog: an independent timer that asks every five seconds whether the clock and the workers do their work.

The timer is rq-scheduler, and it is only that. It keeps one job under one fixed id in Redis, registers it anew at every
start and whenever Redis has lost it, and runs in UTC. Three of its habits are left out on purpose:

- The job is not put on a queue for a worker. A check of the workers that needs a worker says nothing on the day it
  matters, so this process runs the (idempotent) check itself, where rq-scheduler would have pushed it.
- rq-scheduler takes a job off its list before it puts it back, and a kill in between loses it for good. Here the next
  time is written over the old one in a single call.
- It reads only its own job. Others on the list are pickles, and reading a pickle runs what is in it.

While Redis is away the check goes on by a plain timer, and being away is itself a trouble it reports.
"""

import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import RedisError
from rq.job import Job
from rq.serializers import JSONSerializer
from rq_scheduler import Scheduler

from core.errors import Unavailable
from core.kit import db, log, redis
from core.kit.db import STAFF
from core.runtime.schedules.watch import Trouble, Watch
from worker.steady import Steady, end_at_once_on_signals

INTERVAL_S = 5
JOB_ID = "watchdog-check"
QUEUE = "watchdog"

logger = log.get(__name__)


class Checker:
    """The check, with the log's memory of what was wrong: the log says it also when the database can't take an event."""

    def __init__(self) -> None:
        self.steady = Steady()
        self._started = time.monotonic()
        self._watch = Watch()
        self._known: set[str] = set()

    def check(self, *, redis_away: bool = False) -> None:
        """Look once. Never raises."""
        self.steady.call("check", lambda: self._check(redis_away))

    def _check(self, redis_away: bool) -> None:
        with db.transaction(STAFF) as session:
            troubles = self._watch.check(session, time.monotonic() - self._started, redis_away=redis_away)
        self._log(troubles)

    def _log(self, troubles: Iterable[Trouble]) -> None:
        now = {t.key: t.summary for t in troubles}
        for key in now.keys() - self._known:
            logger.warning("trouble", condition=key, summary=now[key])
        for key in self._known - now.keys():
            logger.info("trouble_over", condition=key)
        self._known = set(now)


class JsonJob(Job):
    """An RQ job that is never a pickle."""

    @classmethod
    def create(cls, *args: Any, **kwargs: Any) -> Job:
        return super().create(*args, **(kwargs | {"serializer": JSONSerializer}))


class Timer(Scheduler):  # type: ignore[misc]
    """rq-scheduler as a timer of one job, see above."""

    job_class = JsonJob

    def __init__(self, checker: Checker) -> None:
        super().__init__(queue_name=QUEUE, interval=INTERVAL_S, connection=redis.client())
        self._checker = checker

    def register(self) -> None:
        """Put the job on the list, due now. Over an old one of the same id, also when that is half gone."""
        self.schedule(datetime.now(UTC), "worker.watchdog.check_now", interval=INTERVAL_S, id=JOB_ID, queue_name=QUEUE)

    def enqueue_jobs(self) -> list[Any]:
        """Called by rq-scheduler at each round under its lock: do the check when its time has come."""
        due_at = self.connection.zscore(self.scheduled_jobs_key, JOB_ID)
        if due_at is None:
            logger.warning("registered_again")
            self.register()
            due_at = 0.0
        if due_at <= time.time():
            self.connection.zadd(self.scheduled_jobs_key, {JOB_ID: int(time.time()) + INTERVAL_S})
            self._checker.check()
        return []

    def _install_signal_handlers(self) -> None:
        """Ours end the process at once; rq-scheduler's want to tell Redis first, which hangs when Redis does."""


def check_now() -> None:
    """One check, for whoever runs the registered job by hand, e.g. an RQ worker on the queue `watchdog`."""
    Checker().check()


def main() -> None:
    """Run until ended: by rq-scheduler while Redis answers, by a plain timer while it does not."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    log.configure("watchdog")
    end_at_once_on_signals()
    checker = Checker()
    checker.check()  # the first sign of life, before Redis is asked
    logger.info("started", interval_s=INTERVAL_S)
    while True:
        # returns only when Redis goes away; a hung one is asked once a round, not once for each thing the timer wants
        if not _redis_is_away():
            checker.steady.call("timer", lambda: _run(checker))
        checker.check(redis_away=_redis_is_away())
        time.sleep(INTERVAL_S)


def _run(checker: Checker) -> None:
    timer = Timer(checker)
    timer.register()
    timer.run()


def _redis_is_away() -> bool:
    try:
        redis.client().ping()
    except (RedisError, OSError, Unavailable):
        return True
    return False


if __name__ == "__main__":
    main()
