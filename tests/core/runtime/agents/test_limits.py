"""Budgets by organisation, warnings in time, one alert on a stop, and chains of events that end."""

import pytest
from sqlalchemy import select

from core.config import get_settings
from core.errors import BudgetExceeded
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.agents import budgets, costs, limits
from core.runtime.alerts.models import Alert
from core.runtime.events import service as events
from core.runtime.orgs.models import AGENCY_ID, Organisation, OrgKind
from core.runtime.runs.models import Run, RunState
from tests.cast import CORNERSTONE_ORG
from tests.core.runtime.agents import lab
from tests.gates import set_numbers


@pytest.fixture
def agency(agency):
    with database.transaction(STAFF) as session:
        session.add(Organisation(id=CORNERSTONE_ORG, name="Cornerstone", kind=OrgKind.CLIENT))
    return agency


def reserve(run_id: int, org_id=AGENCY_ID) -> budgets.Reservation:
    """A call that costs 12,000 millionths at most."""
    return budgets.reserve(
        run_id, org_id, purpose="test", model="claude-sonnet-5", prompt="test@1", input_tokens=1000, max_tokens=1000
    )


def change(org_id=AGENCY_ID, **values) -> None:
    with database.transaction(STAFF) as session:
        set_numbers(session, limits.KEY, org_id=org_id, **values)


def alerts() -> list[Alert]:
    with database.transaction(STAFF) as session:
        return list(session.scalars(select(Alert).order_by(Alert.id)))


def test_one_organisation_cannot_use_what_is_for_all(agency):
    change(org_day_cents=3, day_cents=100)
    reserve(lab.enqueue(), CORNERSTONE_ORG)
    reserve(lab.enqueue(), CORNERSTONE_ORG)
    with pytest.raises(BudgetExceeded, match="organisation's day budget"):
        reserve(lab.enqueue(), CORNERSTONE_ORG)
    reserve(lab.enqueue())
    [warned, stopped] = alerts()
    assert warned.org_id == CORNERSTONE_ORG
    assert "80 %" in warned.title
    assert warned.title.startswith("Cornerstone")
    assert (stopped.title, stopped.count) == ("A model budget is used up", 1)


def test_a_persons_number_wins_over_the_environment_and_a_clients_over_the_agencys(agency):
    with database.transaction(STAFF) as session:
        assert limits.of(session).org_day_microusd == get_settings().org_day_budget_usd * 1_000_000
    change(org_day_cents=2, run_calls=7)
    change(CORNERSTONE_ORG, org_day_cents=4)
    with database.transaction(STAFF) as session:
        assert limits.of(session).org_day_microusd == 20_000
        assert limits.of(session, CORNERSTONE_ORG).org_day_microusd == 40_000
        assert limits.of(session, CORNERSTONE_ORG).run_calls == 7
    reserve(lab.enqueue())
    with pytest.raises(BudgetExceeded, match="organisation's"):
        reserve(lab.enqueue())


def test_what_is_for_all_together_is_the_agencys_to_say(agency):
    change(day_cents=2, warn_percent=100)
    change(CORNERSTONE_ORG, day_cents=1_000, warn_percent=10)
    with database.transaction(STAFF) as session:
        found = limits.of(session, CORNERSTONE_ORG)
    assert (found.day_microusd, found.warn_percent) == (20_000, 100)
    reserve(lab.enqueue())
    with pytest.raises(BudgetExceeded, match="day budget is used up"):
        reserve(lab.enqueue(), CORNERSTONE_ORG)


def test_the_warning_comes_in_time_and_once_a_day(agency):
    change(day_cents=6, org_day_cents=10_000)
    for _ in range(3):
        reserve(lab.enqueue())
    assert alerts() == []
    reserve(lab.enqueue())
    reserve(lab.enqueue())
    [warned] = alerts()
    assert (warned.severity, warned.count) == ("warning", 1)
    assert warned.title == "All agents together: 80 % of today's model budget is used"


def test_a_run_that_calls_the_model_for_ever_is_stopped_with_one_alert(agency):
    change(run_calls=3)
    run_id = lab.enqueue()
    for _ in range(3):
        reserve(run_id)
    for _ in range(4):
        with pytest.raises(BudgetExceeded, match="3 model calls, which is all it may"):
            reserve(run_id)
    [stopped] = alerts()
    assert (stopped.title, stopped.count) == ("lab-brief was stopped by a limit", 4)
    assert stopped.href == f"/run?run={run_id}"


def caused_by_event(hop: int) -> int:
    with database.transaction(STAFF) as session:
        event_id = events.publish(session, "lab.echo", "An echo.", hop=hop)
    return lab.enqueue(by=Actor("Echo", "event", event_id))


def test_agents_that_answer_each_other_come_to_an_end(agency):
    lab.schedule()
    for hop in range(5):
        with database.transaction(STAFF) as session:
            assert limits.check_hops(session, caused_by_event(hop)) == hop + 1
    far = caused_by_event(5)
    with database.transaction(STAFF) as session, pytest.raises(BudgetExceeded, match="chain of more than 5 events"):
        limits.check_hops(session, far)
    with database.transaction(STAFF) as session:
        retried = lab.enqueue(by=Actor("lab-brief", "run", far))
        assert limits.hop_of(session, retried) == 6  # a run of a run does not start anew
        assert limits.hop_of(session, lab.enqueue()) == 0


def test_costs_by_job_agent_and_client(agency):
    schedule = lab.schedule()
    mine = lab.enqueue(schedule_id=schedule)
    for org_id, tokens in ((AGENCY_ID, 500), (CORNERSTONE_ORG, 100)):
        budgets.settle(reserve(mine, org_id), "ok", spent=(tokens, tokens), duration_ms=5)
    with database.transaction(STAFF) as session:
        session.execute(costs.text("UPDATE model_calls SET created_at = created_at - interval '8 days' WHERE input_tokens = 500"))
        by_client, by_agent = costs.costs(session, "client"), costs.costs(session, "agent")
        by_job = costs.costs(session, "job")
    assert [(c.name, c.this_week, c.last_week, c.calls) for c in by_client.lines] == [
        ("Cornerstone", 1_200, 0, 1),
        ("ManageAI", 0, 6_000, 0),
    ]
    assert [(c.name, c.this_week, c.last_week) for c in by_agent.lines] == [("Lab AI", 1_200, 6_000)]
    assert [(c.key, c.name, c.tokens) for c in by_job.lines] == [("lab-brief", "Lab brief", 200)]
    assert (by_job.this_week, by_job.last_week, by_job.dearest) == (1_200, 6_000, 6_000)
    with database.transaction(STAFF) as session:
        assert session.get(Run, mine).state == RunState.QUEUED
