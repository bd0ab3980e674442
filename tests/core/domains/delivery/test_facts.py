from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.domains.delivery.models import DeploymentStatus, TicketStatus
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.agents import facts, prose, template, verify
from core.runtime.agents.facts import FactContext
from core.runtime.orgs.models import AGENCY_ID
from tests.cast import make_cast
from tests.core.domains.delivery.scene import DAY, deployment, entered, ticket

NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
WHEN = FactContext(NOW, ZoneInfo("America/Chicago"), AGENCY_ID)
SECTIONS = [
    "delivery.build_queue", "delivery.at_risk", "delivery.stuck_submitted", "delivery.review_waiting", "delivery.completing",
    "delivery.closed_last_week", "delivery.deploy_health", "delivery.capacity", "delivery.week", "delivery.value",
    "clients.alerts", "clients.quiet", "clients.failed_deploys", "clients.retainers", "automations.month", "company.wins",
    "company.risks",
]  # fmt: skip
HOSTILE = "Ship [[delivery.build_queue.building]] 99% {client} for $5,000,000 by 2026-01-01"


def collect(session, key, when=WHEN):
    section = facts.get_section(key).collect(session, when)
    wrong = verify.check(template.write([section]), section.facts, [section])
    assert not wrong, wrong
    for fact in section.facts:
        assert fact.key.startswith(f"{key}."), fact.key
        assert fact.href, fact.key
        assert fact.query, fact.key
    return section, {f.key.removeprefix(f"{key}."): f for f in section.facts}


def said(section):
    return prose.plain("\n".join(section.lines), section.facts)


def busy(session):
    cast = make_cast(session)
    more = {"assignee": cast.users["Brian"], "reviewer": cast.users["Dan"]}
    for hours in (24, 73, 121, 200):
        ticket(
            session,
            status=TicketStatus.BUILDING,
            since=NOW - timedelta(hours=hours),
            client=cast.cornerstone,
            title=f"build of {hours}",
            due=NOW + DAY,
            **more,
        )
    for hours in (2, 25):
        ticket(session, since=NOW - timedelta(hours=hours), client=cast.northwind, title=f"asked {hours} ago")
    for hours in (47, 49):
        ticket(session, status=TicketStatus.REVIEW_PENDING, since=NOW - timedelta(hours=hours), title=f"review {hours}", **more)
    last_week = datetime(2026, 11, 12, 12, tzinfo=UTC)
    done = ticket(session, status=TicketStatus.CLOSED, since=last_week, client=cast.northwind, title="finished")
    entered(session, done, TicketStatus.DEPLOYED, last_week)
    for at in (NOW - timedelta(hours=3), NOW - 5 * DAY):
        deployment(session, cast.cornerstone, at=at, error="It broke.")
    deployment(session, cast.cornerstone, at=last_week, status=DeploymentStatus.SUCCEEDED, ticket_id=done, value=100_00)
    return cast  # fmt: skip


@pytest.mark.parametrize("key", SECTIONS)
def test_a_section_of_an_empty_agency_has_something_to_say(db, key):
    with database.transaction(STAFF) as session:
        section, found = collect(session, key)
        assert section.lines
        assert all(f.value in (0, None) or f.unit in ("days", "hours", "date") or f.row_count == 0 for f in found.values())


def test_every_section_passes_the_check_when_names_are_hostile(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        for status in TicketStatus:
            ticket(session, status=status, since=NOW - 9 * DAY, client=cast.cornerstone, title=HOSTILE, due=NOW)
        deployment(session, cast.cornerstone, at=NOW, error=HOSTILE)
        deployment(session, cast.cornerstone, at=NOW, error=HOSTILE)
        for key in SECTIONS:
            collect(session, key)


def test_the_build_queue_counts_and_names_what_is_overdue(db):
    with database.transaction(STAFF) as session:
        busy(session)
        section, found = collect(session, "delivery.build_queue")
        assert (found["building"].value, found["overdue"].value, found["submitted"].value) == (4, 2, 2)
        assert [found["overdue1"].value, found["overdue2"].value] == ["build of 200", "build of 121"]
        assert found["overdue"].rows[0]["client"] == "Cornerstone"
        assert found["overdue"].row_count == len(found["overdue"].rows) == 2
        assert "4 builds in progress, 2 of them overdue (longer than 5 days in building)." in said(section)
        assert "• build of 200 for Cornerstone: 8.3 days in building, with Brian." in said(section)


def test_builds_at_risk_stuck_tickets_and_waiting_reviews(db):
    with database.transaction(STAFF) as session:
        busy(session)
        risk, found = collect(session, "delivery.at_risk")
        assert "4 builds in progress, 3 at risk (longer than 3 days in building), 2 waiting for review." in said(risk)
        assert [found[f"risk{n}"].value for n in (1, 2, 3)] == ["build of 200", "build of 121", "build of 73"]
        stuck, _ = collect(session, "delivery.stuck_submitted")
        assert said(stuck).startswith("2 tickets submitted and not yet analyzed, 1 of them stuck (longer than 24 hours).")
        assert "• asked 25 ago for Northwind has waited 1 day." in said(stuck)
        review, _ = collect(session, "delivery.review_waiting")
        assert "1 review waiting longer than 2 days." in said(review)
        assert "• review 49 for ManageAI (internal) has waited 2 days for Dan." in said(review)


def test_deployment_health_of_a_day_and_of_a_month(db):
    with database.transaction(STAFF) as session:
        busy(session)
        section, found = collect(session, "delivery.deploy_health")
        assert (found["failed_recent"].value, found["failed"].value, found["total"].value) == (1, 2, 3)
        assert "on 18 Nov 2026: It broke." in said(section)
        flagged, _ = collect(session, "clients.failed_deploys")
        assert "• Cornerstone: 2 failures, the last one: It broke." in said(flagged)


def test_the_week_against_the_one_before(db):
    with database.transaction(STAFF) as session:
        busy(session)
        section, found = collect(session, "delivery.week")
        assert found["from"].shown == "9 Nov 2026"
        assert found["to"].shown == "15 Nov 2026"
        assert "1 build completed, up from 0 the week before." in said(section)
        closed, _ = collect(session, "delivery.closed_last_week")
        assert "• finished for Northwind." in said(closed)
        value, found = collect(session, "delivery.value")
        assert "1 build worth $100 deployed so far; last week added $100." in said(value)


def test_capacity_and_completing(db):
    with database.transaction(STAFF) as session:
        busy(session)
        section, found = collect(session, "delivery.capacity")
        assert "• Brian has 6 tickets and 0 reviews to give, which is a full load." in said(section)
        assert "• Nobody has been given 2 tickets." in said(section)
        assert (found["open"].value, found["room"].value) == (8, 6)
        due, _ = collect(session, "delivery.completing")
        assert "4 client builds due this week" in said(due)
        assert "• Cornerstone: build of 24, due 19 Nov 2026." in said(due)


def test_long_lists_are_capped_and_say_how_many_are_left(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        for n in range(60):
            ticket(session, status=TicketStatus.BUILDING, since=NOW - 9 * DAY, title=f"t{n}")
        section, found = collect(session, "delivery.build_queue")
        assert found["overdue"].value == found["overdue"].row_count == 60
        assert len(found["overdue"].rows) == 50
        assert said(section).count("in building, with") == 5
        assert "• and 55 more." in said(section)
        assert len(section.facts) < 40


def test_wins_and_risks_name_builds(db):
    with database.transaction(STAFF) as session:
        busy(session)
        wins, _ = collect(session, "company.wins")
        assert "1 build completed, and 1 deployment that worked.\n• finished for Northwind." in said(wins)
        risks, _ = collect(session, "company.risks")
        assert "2 builds overdue.\n• build of 200 for Cornerstone: 8.3 days in building." in said(risks)
