from datetime import timedelta

import pytest
from sqlalchemy import text

from core.domains.clients.rules import UNHAPPY_BELOW
from core.domains.company import queries
from core.domains.crm.models import Deal, DealStatus, Stage
from core.domains.delivery import rules
from core.domains.delivery.models import DeploymentStatus, TicketStatus
from core.domains.drafts import service as drafts
from core.kit import clock
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs.models import Run
from tests.cast import make_cast
from tests.core.domains.delivery.scene import DAY, deployment, ticket
from tests.core.domains.jobs import change_client, run_job
from tests.tools import counting

SECOND = timedelta(seconds=1)


def _run(session, now, **values):
    made = Run(**{"org_id": AGENCY_ID, "kind": "probe.noop", "name": "noop", "queue": "agents", "created_at": now - DAY / 2,
                  "finished_at": now - DAY / 2, **values})  # fmt: skip
    session.add(made)
    session.flush()
    return made.id


def _deal(session, stage, now, **values):
    session.add(
        Deal(**{"org_id": AGENCY_ID, "source": "csv", "external_id": str(values), "title": "A deal", "stage_id": stage,
                "status": DealStatus.OPEN, "value_minor": 100_00, "last_activity_at": now, "currency": "USD", **values})
    )  # fmt: skip
    session.flush()


def test_an_empty_agency_has_nothing_waiting(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        found = queries.today(session, "admin")
        assert found.nothing_waits
        assert found.brief is None


def test_each_thing_that_waits_is_counted_and_its_limits_hold(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        now = clock.now()
        for state, reason, back in (
            ("failed", "error", DAY / 2), ("failed", "timed_out", DAY - SECOND), ("quarantined", "poison", DAY / 2),
            ("cancelled", "missed", DAY / 2),
            # not these: too long ago, a person's own doing, a slot that was folded into another, a good one
            ("failed", "error", DAY + SECOND), ("cancelled", "by_person", DAY / 2), ("cancelled", "coalesced", DAY / 2),
            ("succeeded", None, DAY / 2),
        ):  # fmt: skip
            _run(session, now, state=state, reason=reason, finished_at=now - back, created_at=now - back)
        replayed = _run(session, now, state="failed", reason="error")
        _run(session, now, state="succeeded", replay_of=replayed)
        for limit, status in (
            (rules.OVERDUE_AFTER, "BUILDING"),
            (rules.REVIEW_AFTER, "REVIEW_PENDING"),
            (rules.STUCK_AFTER, "SUBMITTED"),
        ):
            ticket(session, status=TicketStatus(status), since=now - limit, reviewer=cast.users["Brian"])
            ticket(session, status=TicketStatus(status), since=now - limit - SECOND, client=cast.cornerstone)
        deployment(session, cast.cornerstone, at=now - DAY + SECOND)
        deployment(session, cast.cornerstone, at=now - DAY - SECOND)
        deployment(session, cast.cornerstone, at=now, status=DeploymentStatus.SUCCEEDED)
        change_client(session, cast.cornerstone, health_score=UNHAPPY_BELOW - 1, retainer_minor=9_00)
        change_client(session, cast.northwind, health_score=UNHAPPY_BELOW, retainer_minor=5_00)
        found = queries.today(session, "admin", user_id=cast.users["Brian"], now=now)
    assert found.failed_runs == 4
    assert [f.reason for f in found.failures].count("missed") == 1
    assert (found.overdue_builds, found.late_reviews, found.stuck_tickets, found.my_reviews) == (1, 1, 1, 1)
    assert [(b.late, b.client) for b in found.late_builds] == [("overdue", "Cornerstone"), ("review waiting", "Cornerstone")]
    assert found.failed_deployments == 1
    assert (found.unhappy_clients, found.retainers_at_risk_minor) == (1, 9_00)
    assert not found.nothing_waits


def test_money_at_risk_counts_each_deal_once_and_one_currency(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        now = clock.now()
        stage = Stage(org_id=AGENCY_ID, name="Lead", position=0, status="open")
        session.add(stage)
        session.flush()
        today = now.astimezone(clock.zone("America/Chicago")).date()
        quiet = now - 8 * DAY
        _deal(session, stage.id, now)
        _deal(session, stage.id, now, last_activity_at=quiet)
        _deal(session, stage.id, now, expected_close_on=today - DAY)
        _deal(session, stage.id, now, expected_close_on=today)
        _deal(session, stage.id, now, last_activity_at=quiet, expected_close_on=today - DAY, value_minor=7_00)
        _deal(session, stage.id, now, last_activity_at=quiet, currency="EUR")
        _deal(session, stage.id, now, value_minor=None)
        _deal(session, stage.id, now, last_activity_at=quiet, status=DealStatus.WON)
        found = queries.today(session, "sales", now=now)
    assert (found.quiet_deals, found.quiet_minor) == (3, 107_00)
    assert (found.overdue_deals, found.overdue_minor) == (2, 107_00)
    assert (found.deals_at_risk, found.deals_at_risk_minor) == (4, 207_00)
    assert (found.zero_value_deals, found.currency) == (1, "USD")


@pytest.mark.parametrize(("role", "expected"), [("admin", 2), ("sales", 1), ("marketing", 1), ("delivery", 0)])
def test_drafts_are_those_of_the_role(db, role, expected):
    with database.transaction(STAFF) as session:
        make_cast(session)
        for for_role in ("sales", "marketing"):
            drafts.save(session, kind="follow_up", key=for_role, title="t", body="b", for_role=for_role)
        assert queries.today(session, role).drafts == expected


@pytest.mark.slow
def test_it_takes_four_queries_and_points_to_the_brief(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        for _ in range(30):
            ticket(session, status=TicketStatus.BUILDING, since=clock.now() - 9 * DAY)
    run = run_job("ceo-morning-brief")
    with database.transaction(STAFF) as session:
        session.execute(text("SELECT 1"))
        with counting.queries() as asked:
            found = queries.today(session, "admin")
    assert len(asked) == 4
    assert (found.brief.run_id, found.brief.text) == (run.id, run.output["text"])
    assert (found.overdue_builds, len(found.late_builds)) == (30, 5)
