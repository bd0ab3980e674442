from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select

from core.domains.delivery.models import DeploymentStatus
from core.domains.reports import queries
from core.domains.reports.models import ClientReport, ReportStatus
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.events.models import Event
from tests.cast import CORNERSTONE_ORG, NORTHWIND_ORG, make_cast
from tests.core.domains.automations.scene import automation
from tests.core.domains.delivery.scene import deployment
from tests.core.domains.jobs import actions_of, change_client, events_of, run_job, text_of

OCTOBER = date(2026, 10, 15)
JOB = "monthly-client-reports"


def _clients(session):
    cast = make_cast(session)
    automation(session, cast.cornerstone, (OCTOBER, 850, 3), (date(2026, 9, 15), 999, 0))
    automation(session, cast.northwind, (OCTOBER, 10, 10))
    deployment(session, cast.cornerstone, at=datetime(2026, 10, 3, tzinfo=UTC), status=DeploymentStatus.SUCCEEDED)
    deployment(session, cast.cornerstone, at=datetime(2026, 10, 4, tzinfo=UTC))
    return cast


def _reports(session):
    return {r.client: r for r in queries.pending(session)}


def test_the_job_writes_one_report_a_client_for_review(db):
    with database.transaction(STAFF) as session:
        cast = _clients(session)
        change_client(session, cast.cornerstone, contact_name=None)
    run = run_job(JOB, as_of="2026-11-20T09:00")
    assert run.output["produced"] == {"reports": 2, "kept": 0, "no_address": 2, "actions": 1}
    with database.transaction(STAFF) as session:
        found = _reports(session)
        one = found["Cornerstone"]
        assert (one.period_start, one.period_end, one.status) == (date(2026, 10, 1), date(2026, 10, 31), "pending_review")
        assert (one.run_id, one.created_by) == (run.id, "Delivery AI")
        assert dict(one.metrics) == {
            "automations_active": 1, "automations_worked": 1, "automations": 1, "deployments": 1, "runs": 850, "tasks": 847,
            "errors": 3, "error_percent": 0.4, "hours_saved": 28.2, "hours_saved_basis": "assumed", "minutes_per_task": 2,
        }  # fmt: skip
        assert "847 tasks" in one.content
        assert "it assumes 2 minutes a task and was not measured" in one.content
        assert one.email_subject == "Cornerstone: your automations in October 2026"
        assert "847 tasks" in one.email_body
        assert "assuming 2 minutes a task" in one.email_body
        assert "More than we accept" in found["Northwind"].content or "more than we accept" in found["Northwind"].content
        orgs = dict(session.execute(select(ClientReport.client_id, ClientReport.org_id)).all())
        assert orgs == {cast.cornerstone: CORNERSTONE_ORG, cast.northwind: NORTHWIND_ORG}
    [slack] = actions_of(run.id)
    assert (slack.payload["channel"], slack.payload["text"]) == ("#delivery", "2 monthly reports ready for review")
    ready = events_of(run.id, "report.ready")
    assert {e.org_id for e in ready} == {CORNERSTONE_ORG, NORTHWIND_ORG}
    assert "860 runs with 13 errors" in text_of(run)
    with database.transaction(CORNERSTONE_ORG) as session:
        assert [r.client for r in queries.pending(session)] == ["Cornerstone"]


@pytest.mark.slow
def test_a_second_run_replaces_what_waits_and_keeps_what_was_decided(db):
    with database.transaction(STAFF) as session:
        cast = _clients(session)
    run_job(JOB, as_of="2026-11-20T09:00")
    with database.transaction(STAFF) as session:
        mine = _reports(session)
        session.get(ClientReport, mine["Cornerstone"].id).status = ReportStatus.APPROVED
        automation(session, cast.northwind, (OCTOBER, 5, 0), name="Late figures")
        automation(session, cast.cornerstone, (OCTOBER, 5, 0), name="Late figures")
    again = run_job(JOB, as_of="2026-11-20T10:00")
    assert again.output["produced"] == {"reports": 1, "kept": 1, "no_address": 1, "actions": 1}
    with database.transaction(STAFF) as session:
        kept, fresh = queries.get(session, mine["Cornerstone"].id), queries.get(session, mine["Northwind"].id)
        assert (kept.status, kept.content, kept.run_id) == ("approved", mine["Cornerstone"].content, mine["Cornerstone"].run_id)
        assert (fresh.metrics["runs"], fresh.run_id, fresh.status) == (15, again.id, "pending_review")
        assert len(list(session.scalars(select(ClientReport.id)))) == 2
        assert len(list(session.scalars(select(Event.id).where(Event.type == "report.ready")))) == 2


@pytest.mark.parametrize(
    ("as_of", "first"),
    # half past ten at night in Chicago is already November in UTC, and still October for the agency
    [("2026-11-01T03:30:00+00:00", date(2026, 9, 1)), ("2026-11-01T05:30:00+00:00", date(2026, 10, 1))],
)
def test_the_month_is_the_agencys_own(db, as_of, first):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        automation(session, cast.cornerstone)
    run_job(JOB, as_of=as_of)
    with database.transaction(STAFF) as session:
        assert [r.period_start for r in queries.pending(session)] == [first]


def test_clients_without_a_deployed_automation_get_no_report(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        automation(session, cast.cornerstone, active=False)
    run = run_job(JOB, as_of="2026-11-20T09:00")
    assert run.output["produced"] == {"reports": 0, "kept": 0, "no_address": 0, "actions": 1}
    assert actions_of(run.id)[0].payload["text"] == "0 monthly reports ready for review"
