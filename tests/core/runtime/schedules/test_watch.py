"""What the watchdog calls trouble, and that it says so once."""

from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, update

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.events.models import Event, Priority
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs import heartbeats, service
from core.runtime.runs.models import Heartbeat, Run, RunState
from core.runtime.runs.probes import NOOP
from core.runtime.schedules.watch import QueueSigns, Signs, Watch, WatchdogWatch, judge, lasting, look
from tests.core.runtime.schedules.helpers import events_of, make

UP = 10_000.0


def queue(**values: object) -> QueueSigns:
    given = {"queue": "agents", "oldest_s": 200.0, "runnable": 3, "workers": 1, "busy": 0, "started_lately": False}
    return QueueSigns(**(given | values))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("signs", "key", "says", "priority"),
    [
        (Signs(clock_silent_s=31), "clock.silent", "no sign of life for 31 seconds", "urgent"),
        (Signs(overdue={"CEO Morning Brief": 90}), "schedules.overdue", "does not start: CEO Morning Brief.", "urgent"),
        (Signs(ahead=("A", "B", "C", "D", "E")), "schedules.ahead", "A, B, C and 2 more. Switch them off", "urgent"),
        (Signs(missed={"A": 2, "B": 1}), "slots.missed", "3 scheduled runs were missed in the last hour: A, B.", "urgent"),
        (Signs(missed={"A": 1}), "slots.missed", "A scheduled run was missed", "urgent"),
        (Signs(redis_away=True), "redis.away", "Redis does not answer", "urgent"),
        (Signs(queues=(queue(workers=0),)), "queue.dead:agents", "3 runs have been waiting, the oldest for 3 minutes", "urgent"),
        (Signs(queues=(queue(workers=0),)), "queue.dead:agents", "none of its workers gives a sign of life", "urgent"),
        (Signs(queues=(queue(runnable=1),)), "queue.dead:agents", "a run has been waiting", "urgent"),
        (Signs(queues=(queue(),)), "queue.dead:agents", "alive but take nothing", "urgent"),
        (Signs(queues=(queue(busy=1),)), "queue.backed_up:agents", "Its workers are busy; start more", "high"),
        (Signs(queues=(queue(started_lately=True),)), "queue.backed_up:agents", "Its workers are busy", "high"),
    ],
)
def test_trouble_in_words(signs: Signs, key: str, says: str, priority: str) -> None:
    found = judge(signs)
    assert list(found) == [key]
    assert says in found[key].summary
    assert found[key].priority == Priority(priority)


def test_no_trouble() -> None:
    assert judge(Signs(clock_silent_s=29.9)) == {}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(31, "31 seconds"), (119, "119 seconds"), (120, "2 minutes"), (3600, "1 hour"), (90000, "1 day"), (864000, "10 days")],
)
def test_lasting(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


def beat(process: str, age_s: float = 0) -> None:
    with database.transaction(STAFF) as session:
        heartbeats.beat(session, process)
        session.execute(
            update(Heartbeat).where(Heartbeat.process == process).values(at=func.clock_timestamp() - timedelta(seconds=age_s))
        )


def queue_run(age_s: float, **values: object) -> int:
    with database.transaction(STAFF) as session:
        run_id = service.enqueue(session, NOOP, "probe").run_id
        age = func.clock_timestamp() - timedelta(seconds=age_s)
        session.execute(update(Run).where(Run.id == run_id).values({"run_after": age} | values))
        return run_id


def seen(up_s: float = UP) -> Signs:
    with database.transaction(STAFF) as session:
        return look(session, up_s)


def check(watch: Watch, up_s: float = UP, **values: bool) -> list[str]:
    with database.transaction(STAFF) as session:
        return [t.key for t in watch.check(session, up_s, **values)]


@pytest.mark.usefixtures("db")
class TestLook:
    def test_the_clocks_silence_is_no_longer_than_the_watchdog_has_been_up(self) -> None:
        assert seen(up_s=12).clock_silent_s == 12
        beat("clock", 500)
        assert 499 < seen().clock_silent_s < 520
        assert seen(up_s=12).clock_silent_s == 12

    def test_a_queue_without_workers_and_one_that_is_backed_up(self) -> None:
        queue_run(70)
        queue_run(100)
        (found,) = seen().queues
        assert (found.queue, found.runnable, found.workers, found.busy, found.started_lately) == ("background", 2, 0, 0, False)
        assert 100 <= found.oldest_s < 110
        assert seen(up_s=59).queues == ()
        beat("worker-background-1", 5)
        beat("worker-agents-1", 5)
        lease = func.clock_timestamp() + timedelta(seconds=6)
        queue_run(300, state=RunState.RUNNING, lease_until=lease)
        (found,) = seen().queues
        assert (found.runnable, found.workers, found.busy) == (2, 1, 1)

    def test_a_worker_that_took_something_lately_is_not_dead(self) -> None:
        queue_run(70)
        queue_run(300, state=RunState.SUCCEEDED, started_at=func.clock_timestamp() - timedelta(seconds=30))
        assert seen().queues[0].started_lately is True

    def test_runs_that_wait_for_their_time_are_not_waiting_for_a_worker(self) -> None:
        queue_run(-3600)
        queue_run(59)
        assert seen().queues == ()

    def test_missed_overdue_and_ahead(self) -> None:
        now = func.clock_timestamp()
        with database.transaction(STAFF) as session:
            overdue = make(session, "overdue", next_due_at=now - timedelta(seconds=90))
            make(session, "ahead", cursor=now + timedelta(hours=2), next_due_at=now + timedelta(hours=3))
            make(session, "well", next_due_at=now - timedelta(seconds=5))
            make(session, "off", enabled=False, next_due_at=now - timedelta(seconds=90))
            make(session, "pausing", paused_until=now + timedelta(days=1), next_due_at=now - timedelta(seconds=90))
            for age_h, demo in ((0.5, False), (1.5, False), (0.1, True)):
                session.execute(
                    insert(Run).values(
                        org_id=AGENCY_ID, kind=NOOP, name="overdue", queue="background", state="cancelled", reason="missed",
                        schedule_id=overdue.id, created_at=now - timedelta(hours=age_h), demo=demo,
                    )
                )  # fmt: skip
        found = seen()
        assert dict(found.missed) == {"Overdue": 1}
        assert list(found.overdue) == ["Overdue"]
        assert found.ahead == ("Ahead",)
        assert not seen(up_s=30).overdue


@pytest.mark.usefixtures("db")
class TestWatch:
    def test_one_alert_until_it_is_over_also_over_a_restart(self) -> None:
        beat("clock", 45)
        watch = Watch()
        assert check(watch) == ["clock.silent"]
        assert events_of("watchdog.alert") == []
        check(watch)
        check(watch)
        (alert,) = events_of("watchdog.alert")
        assert (alert.priority, alert.actor, alert.payload) == ("urgent", "Watchdog", {"condition": "clock.silent"})
        restarted = Watch()
        for _ in range(3):
            check(restarted)
        assert len(events_of("watchdog.alert")) == 1
        beat("clock")
        check(restarted)
        assert events_of("watchdog.cleared") == []
        check(restarted)
        check(restarted)
        (cleared,) = events_of("watchdog.cleared")
        assert cleared.summary == "Over: " + alert.summary
        beat("clock", 45)
        check(restarted)
        check(restarted)
        assert len(events_of("watchdog.alert")) == 2

    def test_what_is_there_at_one_look_only_is_not_told(self) -> None:
        watch = Watch()
        for age in (45, 0, 45, 0):
            beat("clock", age)
            check(watch)
        assert events_of("watchdog.alert") == []

    def test_it_beats_and_says_what_is_wrong(self) -> None:
        beat("clock")
        check(Watch(), redis_away=True)
        with database.transaction(STAFF) as session:
            detail = session.execute(select(Heartbeat.detail).where(Heartbeat.process == "watchdog")).scalar_one()
        assert list(detail["troubles"]) == ["redis.away"]


@pytest.mark.usefixtures("db")
class TestTheWatchdogItself:
    def look(self, watch: WatchdogWatch, up_s: float = UP) -> bool:
        with database.transaction(STAFF) as session:
            return watch.check(session, up_s)

    def told(self) -> list[str]:
        with database.transaction(STAFF) as session:
            wanted = ("watchdog.silent", "watchdog.back")
            return list(session.scalars(select(Event.type).where(Event.type.in_(wanted)).order_by(Event.id)))

    def test_silent_once_and_back_once(self) -> None:
        beat("watchdog", 61)
        watch, other = WatchdogWatch(), WatchdogWatch()
        for _ in range(3):
            assert self.look(watch)
            assert self.look(other)
        assert self.told() == ["watchdog.silent"]
        beat("watchdog")
        for _ in range(2):
            assert not self.look(watch)
            assert not self.look(other)
        assert self.told() == ["watchdog.silent", "watchdog.back"]

    def test_one_that_never_beat_is_silent_once_the_clock_has_been_up_for_a_minute(self) -> None:
        watch = WatchdogWatch()
        for up_s in (10, 59, 61, 66):
            self.look(watch, up_s)
        assert self.told() == ["watchdog.silent"]
        assert "since the start" in events_of("watchdog.silent")[0].summary

    def test_a_clock_that_just_started_says_neither(self) -> None:
        beat("watchdog", 500)
        watch = WatchdogWatch()
        self.look(watch), self.look(watch)
        fresh = WatchdogWatch()
        for _ in range(3):
            self.look(fresh, 5)
        assert self.told() == ["watchdog.silent"]
