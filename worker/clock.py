"""The clock: due slots become runs, what was not pushed is pushed, what dead workers held is taken back, actions expire.

Any number of clocks may run at once. Everything it does is in the database, so it may end anywhere.
"""

import time
from collections.abc import Callable

from core import registry
from core.config import get_settings
from core.kit import db, log
from core.kit.db import STAFF
from core.runtime.actions import sweep as actions
from core.runtime.agents import staleness
from core.runtime.alerts import checks as alerts
from core.runtime.notifications import sending
from core.runtime.retention import jobs as retention
from core.runtime.runs import dispatch, heartbeats
from core.runtime.schedules import service as schedules
from core.runtime.schedules.watch import WatchdogWatch
from core.runtime.switches import service as switches
from worker.steady import Steady, end_at_once_on_signals

DATABASE = "database"
BEAT_S = 2.0
WATCH_S = 5.0
DAILY_S = 300.0
ACTIONS_S = 2.0
FORGOTTEN_AFTER_S = 86_400.0
MAX_PAUSE_S = 5.0

logger = log.get(__name__)


class Clock:
    """The loop. `steady` keeps one part's trouble from stopping the others."""

    def __init__(self) -> None:
        self.steady = Steady()
        self._started = time.monotonic()
        self._beat_at = self._watch_at = self._actions_at = self._daily_at = self._minute_at = 0.0
        self._synced = False
        self._watchdog = WatchdogWatch()
        self._pause_s = 0.0

    def turn(self) -> float:
        """Do everything that is due once. Returns for how many seconds to rest: longer and longer without a database."""
        if self.steady.call(DATABASE, self._beat) and self._parts():
            self._pause_s = 0.0
            return get_settings().clock_tick_s
        self._beat_at = 0.0  # the beat is also the question whether the database is back
        self._pause_s = min(MAX_PAUSE_S, max(get_settings().clock_tick_s, self._pause_s * 2))
        return self._pause_s

    def _parts(self) -> bool:
        """Each part, whatever became of the others. False as soon as the database is away."""
        parts: list[tuple[str, Callable[[], object]]] = [
            ("schedules", self._tick),
            ("dispatch", dispatch.dispatch),
            ("rescue", dispatch.rescue),
        ]
        if not self._synced:
            parts.insert(0, ("built-in schedules", self._sync))
        if time.monotonic() >= self._watch_at:
            parts.append(("watchdog", self._watch))
        if time.monotonic() >= self._actions_at:
            parts.append(("actions", self._actions))
        if time.monotonic() >= self._daily_at:
            parts.append(("tidying up", self._daily))
        if time.monotonic() >= self._minute_at:
            parts += [("alerts", self._alerts), ("digests", self._digests), ("held actions", self._held)]
            parts.append(("facts under what waits", self._stale))
            self._minute_at = time.monotonic() + alerts.EVERY_S
        for name, work in parts:
            self.steady.call(name, work, away=DATABASE)
            if DATABASE in self.steady.failing:
                return False
        return True

    def _beat(self) -> None:
        if time.monotonic() < self._beat_at:
            return
        with db.transaction(STAFF) as session:
            heartbeats.beat(session, "clock", failing=self.steady.failing)
        self._beat_at = time.monotonic() + BEAT_S

    def _sync(self) -> None:
        with db.transaction(STAFF) as session:
            schedules.sync_builtin(session)
        self._synced = True

    def _tick(self) -> None:
        with db.transaction(STAFF) as session:
            made = schedules.tick(session)
        if made:
            logger.info("slots_turned", slots=made)

    def _watch(self) -> None:
        with db.transaction(STAFF) as session:
            self._watchdog.check(session, time.monotonic() - self._started)
            heartbeats.forget_older_than(session, FORGOTTEN_AFTER_S)
        self._watch_at = time.monotonic() + WATCH_S

    def _actions(self) -> None:
        actions.sweep()
        self._actions_at = time.monotonic() + ACTIONS_S

    def _daily(self) -> None:
        with db.transaction(STAFF) as session:
            retention.ask(session)
        self._daily_at = time.monotonic() + DAILY_S

    def _alerts(self) -> None:
        with db.transaction(STAFF) as session:
            alerts.check(session)

    def _digests(self) -> None:
        with db.transaction(STAFF) as session:
            sending.queue_digests(session)

    def _held(self) -> None:
        with db.transaction(STAFF) as session:
            switches.release_unstopped(session)

    def _stale(self) -> None:
        with db.transaction(STAFF) as session:
            staleness.enqueue(session)


def main() -> None:
    """Run until ended."""
    log.configure("clock")
    end_at_once_on_signals()
    registry.load()
    clock = Clock()
    logger.info("started", tick_s=get_settings().clock_tick_s)
    while True:
        time.sleep(clock.turn())


if __name__ == "__main__":
    main()
