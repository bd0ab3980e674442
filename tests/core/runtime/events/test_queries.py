from datetime import timedelta

import pytest
from sqlalchemy import text, update

from core.errors import NotFound
from core.kit import clock
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.events import queries, service
from core.runtime.events.models import Event, Priority
from core.runtime.events.queries import EventFilter
from core.runtime.runs import service as runs
from tests.cast import CORNERSTONE_ORG, make_cast
from tests.tools import counting


def _publish(session, count=7):
    cast = make_cast(session)
    return cast, [service.publish(session, "ticket.created", f"Ticket {i}", actor=cast.actor("Brian")) for i in range(count)]


def test_pages_are_newest_first_and_meet_without_gap_or_overlap(db):
    with database.transaction(STAFF) as session:
        _, ids = _publish(session)
        seen, before = [], None
        for _ in range(4):
            page = queries.list_events(session, EventFilter(before_id=before), limit=3)
            seen += [r.id for r in page.rows]
            before = page.next_before_id
            if before is None:
                break
        assert seen == sorted(ids, reverse=True)
        exact = queries.list_events(session, EventFilter(), limit=7)
        assert exact.next_before_id is None


def test_each_filter_narrows(db):
    with database.transaction(STAFF) as session:
        cast, ids = _publish(session, 2)
        dan = service.publish(
            session, "health_check", "Looks 100% well_done", org_id=CORNERSTONE_ORG, actor=cast.actor("Dan"),
            subject=("client", cast.cornerstone), priority=Priority.HIGH,
        )  # fmt: skip
        old = service.publish(session, "ticket.deployed", "Long ago")
        session.execute(update(Event).where(Event.id == old).values(created_at=clock.now() - timedelta(days=9)))

        def found(**wanted):
            return {r.id for r in queries.list_events(session, EventFilter(**wanted)).rows}

        assert found(types=("health_check",)) == {dan}
        assert found(types=("ticket.",)) == {*ids, old}
        assert found(types=("ticket.", "health_check")) == {*ids, old, dan}
        assert found(actor="Dan") == {dan}
        assert found(subject=("client", cast.cornerstone)) == {dan}
        assert found(org_id=CORNERSTONE_ORG) == {dan}
        assert found(priorities=("high",)) == {dan}
        assert found(until=clock.now() - timedelta(days=1)) == {old}
        assert found(since=clock.now() - timedelta(days=1)) == {*ids, dan}
        assert found(text="100% WELL_") == {dan}
        assert found(text="100x well") == set()
        assert queries.list_events(session, EventFilter(types=("health_check",))).rows[0].org_name == "Cornerstone"
        assert queries.counts_by_type(session) == {"ticket.created": 2, "health_check": 1, "ticket.deployed": 1}
        assert queries.counts_by_type(session, EventFilter(types=("x",), actor="Dan")) == {"health_check": 1}
        assert queries.actors(session, clock.now() - timedelta(days=1)) == ["Brian", "Dan"]


def test_a_cause_chain_goes_through_runs_back_to_the_person(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        first = service.publish(session, "deal.won", "Cornerstone signed", actor=cast.actor("Tony"))
        run = runs.enqueue(session, "probe.noop", "react", by=Actor("deal.won", "event", first)).run_id
        last = service.publish(session, "ticket.created", "A build", actor=Actor("Engineering AI", "run", run), cause_run_id=run)
        chain = queries.cause_chain(session, last)
        assert [(c.kind, c.id) for c in chain] == [("event", first), ("run", run), ("event", last)]
        assert chain[0].by == "Tony"
        assert queries.cause_chain(session, first)[0].id == first
        assert queries.cause_chain(session, last + 99) == []


def test_a_chain_that_bites_its_tail_ends(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        one = service.publish(session, "a", "one")
        two = service.publish(session, "b", "two", cause_event_id=one)
        session.execute(update(Event).where(Event.id == one).values(cause_event_id=two))
        assert [c.id for c in queries.cause_chain(session, two)] == [one, two]


def test_one_query_a_page_however_many_events(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        org = session.scalar(text("SELECT id FROM organisations LIMIT 1"))
        session.execute(
            text("INSERT INTO events (org_id, type, summary, actor) SELECT :org, 'x', 'y', 'z' FROM generate_series(1, 500)"),
            {"org": org},
        )
        with counting.queries() as asked:
            assert len(queries.list_events(session, EventFilter(), limit=200).rows) == 200
        assert len(asked) == 1


def test_an_unknown_event_is_not_found(db):
    with database.transaction(STAFF) as session, pytest.raises(NotFound):
        queries.get(session, 1)
