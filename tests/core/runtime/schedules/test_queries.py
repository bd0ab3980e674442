"""The jobs list, a job's page and the calendar, with a fixed number of queries."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import event, insert

from core.errors import BadInput, NotFound
from core.kit import clock
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs.models import Run
from core.runtime.runs.probes import NOOP
from core.runtime.schedules import queries, service
from tests.core.runtime.schedules.helpers import at, make

pytestmark = pytest.mark.usefixtures("db")
DAVE = Actor("Dave", "user", 1)
NOON = at("2027-06-01T12:00Z")


@contextmanager
def counted() -> Iterator[list[str]]:
    said: list[str] = []

    def listen(_c: Any, _cur: Any, statement: str, *_rest: Any) -> None:
        if "set_config" not in statement:
            said.append(statement)

    event.listen(database.engine(), "before_cursor_execute", listen)
    try:
        yield said
    finally:
        event.remove(database.engine(), "before_cursor_execute", listen)


def run(session: Any, schedule_id: int, age: timedelta, state: str = "succeeded", **values: Any) -> None:
    started = clock.now() - age
    given = {
        "org_id": AGENCY_ID, "kind": NOOP, "name": "x", "queue": "background", "state": state, "schedule_id": schedule_id,
        "created_at": started, "started_at": started, "finished_at": started + timedelta(seconds=3), "cost_microusd": 1000,
    }  # fmt: skip
    session.execute(insert(Run).values(given | values))


def test_the_list() -> None:
    with database.transaction(STAFF) as session:
        busy = make(session, "busy", "0 7 * * 1-5")
        make(session, "idle")
        for day in range(1, 41):
            run(session, busy.id, timedelta(days=day), "failed" if day % 4 == 0 else "succeeded")
        run(session, busy.id, timedelta(days=2), "cancelled", reason="missed", started_at=None, cost_microusd=0)
        run(session, busy.id, timedelta(seconds=1), "running", finished_at=None, cost_microusd=0)
        rows = {r.name: r for r in queries.list_schedules(session)}
    row = rows["busy"]
    assert (row.reading, row.enabled, row.version) == ("Weekdays at 7:00 AM", True, 1)
    assert [o.word for o in row.strip[-2:]] == ["Missed", "Running"]
    assert len(row.strip) == 14
    assert row.last is not None
    assert row.last.run_id == row.running_now
    assert row.success_percent == pytest.approx(100 * 10 / 13)
    assert (row.runs_30d, row.cost_30d_microusd, row.cost_per_run_microusd) == (30, 29_000, 967)
    idle = rows["idle"]
    assert (idle.last, idle.strip, idle.running_now, idle.success_percent, idle.cost_per_run_microusd) == (
        None,
        (),
        0,
        None,
        None,
    )


@pytest.mark.parametrize("jobs", [1, 12])
def test_two_queries_whatever_the_number(jobs: int) -> None:
    with database.transaction(STAFF) as session:
        for number in range(jobs):
            run(session, make(session, f"job-{number}").id, timedelta(days=1))
        with counted() as said:
            assert len(queries.list_schedules(session)) == jobs
    assert len(said) == 2


@pytest.mark.slow
def test_a_jobs_page() -> None:
    with time_machine.travel(NOON, tick=False), database.transaction(STAFF) as session:
        make(session, "brief", "0 7 * * 1-5", time_zone="America/Chicago")
        service.set_enabled(session, "brief", False, DAVE)
        assert queries.schedule_detail(session, "brief").next_times == ()
        service.set_enabled(session, "brief", True, DAVE)
        service.pause_until(session, "brief", NOON + timedelta(days=2), DAVE)
        service.run_now(session, "brief", DAVE)
        with counted() as said:
            page = queries.schedule_detail(session, "brief")
        assert len(said) == 5
        assert page.row.reading == "Weekdays at 7:00 AM"
        assert page.next_times[:2] == (at("2027-06-03T07:00-05:00"), at("2027-06-04T07:00-05:00"))
        assert [r.word for r in page.runs] == ["Queued"]
        assert [e.type for e in page.events] == [
            "job.run_requested", "schedule.paused", "schedule.enabled", "schedule.disabled",
        ]  # fmt: skip
        with pytest.raises(NotFound, match="Did you mean brief"):
            queries.schedule_detail(session, "brif")


def test_the_calendar_has_what_was_and_what_will_be() -> None:
    week = at("2027-05-31T00:00Z"), at("2027-06-07T00:00Z")
    with time_machine.travel(NOON, tick=False), database.transaction(STAFF) as session:
        make(session, "daily", "0 9 * * *", cursor=at("2027-05-30T12:00Z"), catch_up="all", overlap="queue")
        make(session, "weekly", "0 8 * * 1", cursor=NOON, paused_until=NOON + timedelta(days=20))
        make(session, "minutes", "* * * * *", cursor=NOON)
        make(session, "off", enabled=False, cursor=NOON)
        make(session, "broken", "x", cursor=NOON, next_due_at=NOON + timedelta(days=1))
        service.tick(session)
        service.run_now(session, "weekly", DAVE)
        # made by the database's clock, which a test can't move
        session.execute(Run.__table__.update().values(created_at=NOON))
        with counted() as said:
            found = queries.calendar(session, *week)
    assert len(said) == 2
    assert [(e.at, e.word) for e in found.entries if e.name == "daily"] == [
        (at("2027-05-31T09:00Z"), "Queued"),
        (at("2027-06-01T09:00Z"), "Queued"),
        *((at(f"2027-06-0{d}T09:00Z"), "Due") for d in range(2, 7)),
    ]
    assert [(e.word, e.by) for e in found.entries if e.name == "weekly"] == [("Queued", "Dave")]
    assert len([e for e in found.entries if e.name == "minutes"]) == 200
    assert (found.cut, found.now) == (("Minutes",), NOON)
    assert {e.name for e in found.entries} == {"daily", "weekly", "minutes"}
    assert list(found.entries) == sorted(found.entries, key=lambda e: (e.at, e.title))


def test_a_calendar_of_a_year_is_refused() -> None:
    with database.transaction(STAFF) as session, pytest.raises(BadInput, match="62 days"):
        queries.calendar(session, NOON, NOON + timedelta(days=365))
