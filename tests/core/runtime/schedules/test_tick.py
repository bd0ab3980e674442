"""The clock's turn on a real database: each slot once, policies, pauses, outages and broken schedules."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, select, update

from core.kit import clock
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.runs.models import Run, RunState
from core.runtime.schedules.models import Schedule
from core.runtime.schedules.service import tick
from tests.cast import CORNERSTONE_ORG, make_cast
from tests.core.runtime.schedules.helpers import at, events_of, get, make, slots_of

pytestmark = pytest.mark.usefixtures("db")
NOON = at("2027-06-01T12:00Z")


def turn(now: datetime) -> int:
    with database.transaction(STAFF) as session:
        return tick(session, now)


def end_all_runs() -> None:
    with database.transaction(STAFF) as session:
        session.execute(update(Run).where(Run.state == RunState.QUEUED).values(state=RunState.SUCCEEDED))


def test_a_due_slot_becomes_a_run_once() -> None:
    with database.transaction(STAFF) as session:
        schedule = make(session, cursor=NOON, payload={"client": 7}, timeout_s=77)
    assert turn(NOON + timedelta(seconds=299)) == 0
    assert turn(NOON + timedelta(seconds=300)) == 1
    assert turn(NOON + timedelta(seconds=300)) == 0
    with database.transaction(STAFF) as session:
        run = session.scalars(select(Run)).one()
    assert run.key == "schedule:five-minutes:2027-06-01T12:05:00+00:00"
    assert (run.due_at, run.schedule_id, run.timeout_s) == (at("2027-06-01T12:05Z"), schedule.id, 77)
    assert (run.cause_kind, run.cause_id, run.cause_label) == ("schedule", schedule.id, "schedule")
    assert run.payload == {"agent": "Engineering AI", "client": 7}
    assert get("five-minutes").next_due_at == at("2027-06-01T12:10Z")


def test_it_reads_the_kits_clock() -> None:
    with database.transaction(STAFF) as session:
        make(session, cursor=NOON)
    with time_machine.travel(NOON + timedelta(minutes=5), tick=False), database.transaction(STAFF) as session:
        assert clock.now() == NOON + timedelta(minutes=5)
        assert tick(session) == 1


def test_the_unique_key_holds_when_the_cursor_is_set_back() -> None:
    with database.transaction(STAFF) as session:
        make(session, cursor=NOON, overlap="queue")
    assert turn(NOON + timedelta(minutes=5)) == 1
    with database.transaction(STAFF) as session:
        session.execute(update(Schedule).values(cursor=NOON, next_due_at=None))
    assert turn(NOON + timedelta(minutes=5)) == 0
    assert len(slots_of("five-minutes")) == 1


def test_the_same_name_in_two_organisations_does_not_collide() -> None:
    with database.transaction(STAFF) as session:
        make_cast(session)
        make(session, cursor=NOON)
        make(session, cursor=NOON, org_id=CORNERSTONE_ORG)
    assert turn(NOON + timedelta(minutes=5)) == 2


@pytest.mark.slow
def test_two_clocks_in_two_threads_make_each_slot_once() -> None:
    with database.transaction(STAFF) as session:
        for number in range(6):
            make(session, f"job-{number}", "* * * * *", cursor=NOON, overlap="queue")
    together = threading.Barrier(2)
    failures: list[BaseException] = []

    def clock_loop() -> None:
        try:
            for minute in range(1, 31):
                together.wait(10)
                turn(NOON + timedelta(minutes=minute))
        except BaseException as error:
            failures.append(error)
            together.abort()

    threads = [threading.Thread(target=clock_loop) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    turn(NOON + timedelta(minutes=30))
    assert not failures
    with database.transaction(STAFF) as session:
        counts = session.execute(select(Run.name, func.count(), func.count(Run.due_at.distinct())).group_by(Run.name)).all()
    assert sorted(tuple(c) for c in counts) == [(f"job-{n}", 30, 30) for n in range(6)]


def test_a_clock_that_is_busy_with_a_schedule_does_not_hold_up_the_other() -> None:
    with database.transaction(STAFF) as session:
        make(session, "first", cursor=NOON)
        make(session, "second", cursor=NOON)
    with database.transaction(STAFF) as slow:
        slow.execute(select(Schedule.id).where(Schedule.name == "first").with_for_update(key_share=True)).all()
        assert turn(NOON + timedelta(minutes=5)) == 1
        assert (slots_of("first"), len(slots_of("second"))) == ({}, 1)
    assert turn(NOON + timedelta(minutes=5)) == 1


@pytest.mark.parametrize("jump", [timedelta(seconds=1), timedelta(minutes=7), timedelta(hours=1), timedelta(hours=25)])
def test_a_clock_set_back_never_fires_again(jump: timedelta) -> None:
    with database.transaction(STAFF) as session:
        make(session, cursor=NOON - timedelta(hours=12), overlap="queue", catch_up="all")
    turn(NOON)
    before = slots_of("five-minutes")
    cursor = get("five-minutes").cursor
    now = NOON - jump
    while now <= NOON:
        assert turn(now) == 0
        now += jump / 5
    # nor when the next due time has to be worked out anew
    with database.transaction(STAFF) as session:
        session.execute(update(Schedule).values(next_due_at=None))
    assert turn(NOON - jump) == 0
    assert slots_of("five-minutes") == before
    assert get("five-minutes").cursor == cursor


def test_a_clock_set_forward_follows_the_policy() -> None:
    with database.transaction(STAFF) as session:
        make(session, "latest", "0 * * * *", cursor=NOON, catch_up="latest")
        make(session, "none", "0 * * * *", cursor=NOON, catch_up="none")
        make(session, "every", "0 * * * *", cursor=NOON, catch_up="all", overlap="queue")
    turn(NOON + timedelta(hours=4, minutes=30))
    hours = [NOON + timedelta(hours=h) for h in range(1, 5)]
    assert slots_of("latest") == dict(zip(hours, ["missed"] * 3 + ["run"], strict=True))
    assert slots_of("none") == dict.fromkeys(hours, "missed")
    assert slots_of("every") == dict.fromkeys(hours, "run")
    missed = {e.payload["name"]: e for e in events_of("schedule.missed")}
    assert missed["none"].summary == "None missed 4 slots: nothing was running when it was due."
    assert (missed["latest"].payload["missed"], missed["latest"].priority) == (3, "high")
    assert "every" not in missed


def test_overlap_skip_is_written_down_as_coalesced_and_queue_queues() -> None:
    with database.transaction(STAFF) as session:
        make(session, "skips", cursor=NOON, overlap="skip")
        make(session, "queues", cursor=NOON, overlap="queue")
    turn(NOON + timedelta(minutes=5))
    turn(NOON + timedelta(minutes=10))
    first, second, third = (NOON + timedelta(minutes=m) for m in (5, 10, 15))
    assert slots_of("skips") == {first: "run", second: "coalesced"}
    assert slots_of("queues") == {first: "run", second: "run"}
    end_all_runs()
    turn(third)
    assert slots_of("skips")[third] == "run"


@pytest.mark.slow
def test_two_days_down_with_a_slot_every_minute() -> None:
    with database.transaction(STAFF) as session:
        make(session, "latest", "* * * * *", cursor=NOON - timedelta(days=2))
        make(session, "all", "* * * * *", cursor=NOON - timedelta(days=2), catch_up="all", overlap="queue")
        make(session, "small", "* * * * *", cursor=NOON)
    turns = 0
    while get("all").cursor < NOON or get("latest").cursor < NOON:
        assert turn(NOON) <= 2300
        turns += 1
        assert turns < 20
    minutes = [NOON - timedelta(days=2) + timedelta(minutes=m) for m in range(1, 2881)]
    # inside the grace of 15 minutes there are 16 slots: one runs, the others are coalesced into it
    assert slots_of("latest") == dict(zip(minutes, ["missed"] * 2864 + ["run"] + ["coalesced"] * 15, strict=True))
    assert slots_of("all") == dict.fromkeys(minutes, "run")
    assert turn(NOON + timedelta(minutes=1)) == 3


def test_only_the_newest_slot_is_caught_up_also_when_it_takes_several_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.runtime.schedules.turn.MAX_SLOTS", 10)
    with database.transaction(STAFF) as session:
        make(session, "hourly", "0 * * * *", cursor=NOON - timedelta(days=1))
    for _ in range(3):
        turn(NOON + timedelta(minutes=30))
    found = slots_of("hourly")
    assert len(found) == 24
    assert [s for s, word in found.items() if word == "run"] == [NOON]


def test_a_pause_has_no_slots_and_ends_without_a_burst() -> None:
    with database.transaction(STAFF) as session:
        make(session, cursor=NOON, paused_until=NOON + timedelta(hours=2))
    assert turn(NOON + timedelta(hours=1)) == 0
    assert turn(NOON + timedelta(hours=1, minutes=59, seconds=59)) == 0
    assert turn(NOON + timedelta(hours=2)) == 1
    assert slots_of("five-minutes") == {NOON + timedelta(hours=2): "run"}
    schedule = get("five-minutes")
    assert (schedule.paused_until, schedule.next_due_at) == (None, NOON + timedelta(hours=2, minutes=5))
    assert [e.summary for e in events_of("schedule.resumed")] == ["Five minutes runs again: its pause is over."]


def test_a_schedule_that_is_off_has_no_slots() -> None:
    with database.transaction(STAFF) as session:
        make(session, cursor=NOON, enabled=False)
    assert turn(NOON + timedelta(days=1)) == 0


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"cron": "every day"}, "“every day” is not a schedule"),
        ({"time_zone": "Mars/Olympus"}, "There is no time zone called “Mars/Olympus”."),
        ({"kind": "no.such.kind"}, "does not know runs of kind"),
    ],
)
def test_a_broken_schedule_is_switched_off_alone(broken: dict[str, str], says: str) -> None:
    with database.transaction(STAFF) as session:
        make(session, "a-good", cursor=NOON)
        make(session, "broken", cursor=NOON, **broken)
        make(session, "z-good", cursor=NOON)
    assert turn(NOON + timedelta(minutes=5)) == 2
    schedule = get("broken")
    assert schedule.enabled is False
    assert schedule.error is not None
    assert says in schedule.error["message"]
    (told,) = events_of("schedule.broken")
    assert told.summary.startswith("Broken was switched off. ")
    assert turn(NOON + timedelta(minutes=5)) == 0
    assert len(events_of("schedule.broken")) == 1
    assert slots_of("broken") == {}


def test_daylight_saving_on_the_database() -> None:
    night = at("2027-11-07T00:00-04:00")
    with database.transaction(STAFF) as session:
        make(session, "nightly", "30 1 * * *", time_zone="America/New_York", cursor=night)
    for quarter in range(24):
        turn(night + timedelta(minutes=15 * quarter))
    assert slots_of("nightly") == {datetime(2027, 11, 7, 5, 30, tzinfo=UTC): "run"}
