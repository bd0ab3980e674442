from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from core.domains.delivery import checks, rules
from core.domains.delivery.models import Ticket, TicketStatus
from core.kit import clock
from core.kit import db as database
from core.kit.actor import SYSTEM
from core.kit.dates import week_of
from core.kit.db import STAFF
from core.runtime.events.models import Event
from core.runtime.runs.models import RunStep
from tests.cast import make_cast
from tests.core.domains.delivery.scene import DAY, ticket
from tests.core.domains.jobs import actions_of, events_of, run_job, text_of


@pytest.mark.slow
def test_the_build_queue_check_starts_stuck_analyses_and_nudges(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        stuck = ticket(session, since=clock.now() - timedelta(hours=30), title="stuck")
        fresh = ticket(session, since=clock.now() - timedelta(hours=3), title="fresh")
        late = ticket(
            session, status=TicketStatus.REVIEW_PENDING, since=clock.now() - 3 * DAY, reviewer=cast.users["Dan"],
            client=cast.cornerstone, title="waits",
        )  # fmt: skip
        ticket(session, status=TicketStatus.BUILDING, since=clock.now() - 4 * DAY, title="risky")
    run = run_job("build-queue-check")
    assert run.output["produced"] == {"analyses": 1, "nudges": 1, "actions": 1}
    assert "1 build in progress, 1 at risk" in text_of(run)
    with database.transaction(STAFF) as session:
        assert session.get(Ticket, stuck).status == "ANALYZING"
        assert session.get(Ticket, fresh).status == "SUBMITTED"
    moved = events_of(run.id, "ticket.analyzing")[0]
    assert (moved.actor, moved.subject_id) == ("Engineering AI", stuck)
    nudge = events_of(run.id, "review.nudged")[0]
    assert (nudge.summary, nudge.subject_id) == ("Dan, please review “waits” for Cornerstone.", late)
    assert [a.payload["channel"] for a in actions_of(run.id)] == ["#builds"]
    assert events_of(run.id, "build_queue_check")
    again = run_job("build-queue-check")
    assert again.output["produced"] == {"analyses": 0, "nudges": 0, "actions": 1}


def test_a_reviewer_is_nudged_again_the_next_day(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        ticket(session, status=TicketStatus.REVIEW_PENDING, since=clock.now() - 3 * DAY)
        assert checks.nudge_reviewers(session, clock.now(), SYSTEM) == 1
        assert checks.nudge_reviewers(session, clock.now(), SYSTEM) == 0
        assert checks.nudge_reviewers(session, clock.now() + rules.NUDGE_AGAIN_AFTER + timedelta(minutes=1), SYSTEM) == 1


@pytest.mark.slow
def test_the_health_check_schedules_a_review_once_a_week(db):
    zone = clock.zone("America/Chicago")
    now = clock.now()
    start, _ = week_of(now.astimezone(zone).date()).bounds(zone)
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        ticket(session, status=TicketStatus.BUILDING, client=cast.northwind, due=start + timedelta(hours=9), title="nearly done")
    run = run_job("delivery-health-check")
    assert run.output["produced"] == {"reviews": 1, "actions": 1}
    event = events_of(run.id, "review.scheduled")[0]
    assert event.summary.startswith("Delivery review with Northwind for “nearly done”, due ")
    assert events_of(run.id, "health_check")
    assert run_job("delivery-health-check").output["produced"] == {"reviews": 0, "actions": 1}
    with database.transaction(STAFF) as session:
        assert checks.schedule_reviews(session, now + 7 * DAY, zone, SYSTEM) == 0  # it is not due next week


@pytest.mark.slow
@pytest.mark.parametrize("cut_at", ["start_analyses", "nudge_reviewers", "act", "report"])
def test_a_run_that_is_cut_off_redoes_nothing(db, monkeypatch, cut_at):
    with database.transaction(STAFF) as session:
        make_cast(session)
        ticket(session, since=clock.now() - timedelta(hours=30))
        ticket(session, status=TicketStatus.REVIEW_PENDING, since=clock.now() - 3 * DAY)
    from core.runtime.runs.context import RunContext

    end = RunContext._end

    def die(self, session, name, *args, **kwargs):
        end(self, session, name, *args, **kwargs)
        if name == cut_at:
            monkeypatch.setattr(RunContext, "_end", end)
            raise ConnectionError("the worker is gone")

    monkeypatch.setattr(RunContext, "_end", die)
    from core.runtime.agents.specs import AGENT_JOB
    from core.runtime.runs import execute, service
    from core.runtime.runs.models import Run, RunState

    with database.transaction(STAFF) as session:
        run_id = service.enqueue(session, AGENT_JOB, "build-queue-check", payload={"agent": "Engineering AI"}).run_id
    assert execute.execute(run_id, "w1") == RunState.WAITING
    with database.transaction(STAFF) as session:
        session.execute(text("UPDATE runs SET run_after = clock_timestamp()"))
    assert execute.execute(run_id, "w2") == RunState.SUCCEEDED
    with database.transaction(STAFF) as session:
        assert session.get(Run, run_id).output["produced"] == {"analyses": 1, "nudges": 1, "actions": 1}
        for type_ in ("ticket.analyzing", "review.nudged", "action.proposed", "build_queue_check"):
            assert session.scalar(select(func.count()).select_from(Event).where(Event.type == type_)) == 1, type_
        assert session.scalar(select(func.count()).where(RunStep.run_id == run_id, RunStep.state != "succeeded")) == 0


def test_a_ticket_a_person_moves_meanwhile_is_left_to_them(db, monkeypatch):
    with database.transaction(STAFF) as session:
        make_cast(session)
        mine = ticket(session, since=clock.now() - timedelta(hours=30))
        found = checks.queries.in_status(session, TicketStatus.SUBMITTED, clock.now())
    with database.transaction(STAFF) as session:
        checks.service.move(session, mine, TicketStatus.FAILED, SYSTEM)
    monkeypatch.setattr(checks.queries, "in_status", lambda *_args, **_more: found)  # what the check saw a moment ago
    with database.transaction(STAFF) as session:
        assert checks.start_stuck_analyses(session, clock.now(), SYSTEM) == 0
        assert session.get(Ticket, mine).status == "FAILED"
