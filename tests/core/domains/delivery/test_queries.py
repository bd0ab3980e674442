from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.domains.delivery import deployments, queries, rules
from core.domains.delivery.models import DeploymentStatus, TicketStatus
from core.domains.delivery.queries import TicketFilter
from core.kit import db as database
from core.kit.dates import Period, month_before, week_before, week_of
from core.kit.db import STAFF
from tests.cast import make_cast
from tests.core.domains.delivery.scene import DAY, deployment, entered, ticket
from tests.tools import counting

NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
CHICAGO = ZoneInfo("America/Chicago")
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("status", "limit", "word"),
    [
        (TicketStatus.BUILDING, rules.OVERDUE_AFTER, "overdue"),
        (TicketStatus.BUILDING, rules.AT_RISK_AFTER, "at risk"),
        (TicketStatus.REVIEW_PENDING, rules.REVIEW_AFTER, "review waiting"),
        (TicketStatus.SUBMITTED, rules.STUCK_AFTER, "stuck"),
    ],
)
def test_a_ticket_is_late_after_the_limit_and_not_at_it(db, status, limit, word):
    with database.transaction(STAFF) as session:
        make_cast(session)
        ticket(session, status=status, since=NOW - limit, title="at the limit")
        ticket(session, status=status, since=NOW - limit - TICK, title="past it")
        page = queries.in_status(session, status, NOW, longer_than=limit)
        assert [t.title for t in page.rows] == ["past it"]
    assert rules.lateness(status, NOW - limit - TICK, NOW) == word
    assert rules.lateness(status, NOW - limit, NOW) != word
    assert rules.lateness("CLOSED", NOW - 99 * DAY, NOW) is None


def test_the_thresholds_are_those_of_the_task():
    assert (rules.OVERDUE_AFTER, rules.AT_RISK_AFTER, rules.REVIEW_AFTER) == (5 * DAY, 3 * DAY, 2 * DAY)
    assert (rules.RECENT_DEPLOYS, rules.DEPLOY_WINDOW) == (DAY, 30 * DAY)


def test_tickets_carry_names_and_count_all_of_them(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        for i in range(3):
            ticket(
                session, status=TicketStatus.BUILDING, since=NOW - (i + 1) * DAY, client=cast.cornerstone,
                assignee=cast.users["Brian"], reviewer=cast.users["Dan"], title=f"t{i}",
            )  # fmt: skip
        page = queries.in_status(session, TicketStatus.BUILDING, NOW, limit=2)
        assert ([t.title for t in page.rows], page.total) == (["t2", "t1"], 3)
        oldest = page.rows[0]
        assert (oldest.client, oldest.assignee, oldest.reviewer, oldest.age_days) == ("Cornerstone", "Brian", "Dan", 3.0)
        assert queries.in_status(session, TicketStatus.CLOSED, NOW).total == 0


def test_by_status_names_every_status_once(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        ticket(session, status=TicketStatus.BUILDING, since=NOW)
        found = queries.by_status(session)
        assert [c.status for c in found] == list(TicketStatus)
        assert {c.status: c.count for c in found}[TicketStatus.BUILDING] == 1
        assert sum(c.count for c in found) == 1


def test_capacity_counts_what_each_person_carries(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        brian, dan = cast.users["Brian"], cast.users["Dan"]
        for _ in range(rules.FULL_LOAD + 1):
            ticket(session, status=TicketStatus.BUILDING, since=NOW - 6 * DAY, assignee=brian)
        ticket(session, status=TicketStatus.REVIEW_PENDING, since=NOW, assignee=brian, reviewer=dan)
        ticket(session, status=TicketStatus.CLOSED, since=NOW, assignee=dan)
        ticket(session, since=NOW)
        loads = {load.name: load for load in queries.capacity(session, NOW)}
        assert (loads["Brian"].open, loads["Brian"].overdue, loads["Brian"].room) == (rules.FULL_LOAD + 2, rules.FULL_LOAD + 1, 0)
        assert (loads["Dan"].open, loads["Dan"].reviewing, loads["Dan"].room) == (0, 1, rules.FULL_LOAD)
        assert loads["nobody"].open == 1
        assert set(loads) == {"Brian", "Dan", "nobody"}


def test_flow_counts_a_week_beside_the_one_before(db):
    week = week_before(date(2026, 11, 18))
    start, end = week.bounds(CHICAGO)
    before, _ = week_before(week.first).bounds(CHICAGO)
    with database.transaction(STAFF) as session:
        make_cast(session)
        inside = ticket(session, since=start)
        ticket(session, since=end)
        ticket(session, since=start - TICK)
        for at in (start, end - TICK, end - 2 * TICK):
            entered(session, inside, TicketStatus.CLOSED, at)
        entered(session, ticket(session, since=before - DAY), TicketStatus.DEPLOYED, end - TICK)
        now_flow, then_flow = queries.flow(session, before, start, end)
        assert (now_flow.created, now_flow.completed, now_flow.deployed) == (1, 1, 1)
        assert (then_flow.created, then_flow.completed, then_flow.deployed) == (1, 0, 0)
        assert queries.closed(session, start, end, NOW).total == 1
        assert queries.created_between(session, start, end, NOW).total == 1


def test_completing_takes_monday_to_sunday_of_clients_open_builds(db):
    start, end = week_of(date(2026, 11, 18)).bounds(CHICAGO)
    assert start == datetime(2026, 11, 16, 6, tzinfo=UTC)
    with database.transaction(STAFF) as session:
        cast = make_cast(session)

        def due(title, at, **more):
            ticket(session, **{"status": TicketStatus.BUILDING, "client": cast.northwind, "due": at, "title": title, **more})

        due("first", start)
        due("last", end - TICK)
        due("next week", end)
        due("last week", start - TICK)
        due("done", start, status=TicketStatus.CLOSED)
        due("internal", start, client=None)
        assert [t.title for t in queries.completing(session, start, end, NOW).rows] == ["first", "last"]


def test_lists_filter_and_page(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        for i in range(3):
            ticket(session, title=f"Invoice 100%_{i}", client=cast.cornerstone)
        ticket(session, title="Other", status=TicketStatus.BUILDING, assignee=cast.users["Brian"])
        found = queries.list_tickets(session, TicketFilter(words="100%_"), NOW, limit=2)
        assert ([t.title for t in found.rows], found.total) == (["Invoice 100%_2", "Invoice 100%_1"], 3)
        rest = queries.list_tickets(session, TicketFilter(words="100%_", before_id=found.rows[-1].id), NOW)
        assert [t.title for t in rest.rows] == ["Invoice 100%_0"]
        assert queries.list_tickets(session, TicketFilter(words="100xx"), NOW).total == 0
        assert queries.list_tickets(session, TicketFilter(statuses=("BUILDING",)), NOW).total == 1
        assert queries.list_tickets(session, TicketFilter(assignee_user_id=cast.users["Brian"]), NOW).total == 1
        assert queries.list_tickets(session, TicketFilter(client_id=cast.northwind), NOW).total == 0


def test_deployments_of_a_window(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        for at in (NOW, NOW - DAY, NOW - DAY - TICK, NOW + TICK):
            deployment(session, cast.cornerstone, at=at)
        deployment(session, cast.cornerstone, at=NOW, status=DeploymentStatus.SUCCEEDED)
        day = deployments.between(session, NOW - DAY, NOW)
        assert (day.total, deployments.between(session, NOW - DAY, NOW, troubled_only=True).total) == (3, 2)
        assert day.rows[0].client == "Cornerstone"
        counts = deployments.counts(session, NOW - DAY, NOW)
        assert (counts.total, counts.failed, counts.succeeded) == (1, 1, 0)


def test_two_failures_flag_a_client_and_one_does_not(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        deployment(session, cast.northwind, at=NOW)
        deployment(session, cast.northwind, at=NOW - 31 * DAY)
        for hours, error in ((5, "older"), (1, "newest")):
            deployment(session, cast.cornerstone, at=NOW - timedelta(hours=hours), error=error)
        found, total = deployments.repeated_failures(session, NOW - 30 * DAY, NOW, 2)
        assert total == 1
        assert (found[0].client, found[0].failures, found[0].last_error) == ("Cornerstone", 2, "newest")


def test_deployed_value_counts_a_ticket_once(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        once = ticket(session, status=TicketStatus.DEPLOYED, client=cast.cornerstone)
        for back in (20, 1):
            deployment(
                session, cast.cornerstone, at=NOW - back * DAY, status=DeploymentStatus.SUCCEEDED, ticket_id=once, value=100_00
            )
        deployment(session, cast.cornerstone, at=NOW, status=DeploymentStatus.SUCCEEDED, value=7_00)
        deployment(session, cast.cornerstone, at=NOW, status=DeploymentStatus.FAILED, value=999_00)
        found = deployments.value(session, NOW - 7 * DAY, NOW + DAY)
        assert [(v.currency, v.tickets, v.minor, v.minor_in_period) for v in found] == [("USD", 2, 107_00, 7_00)]


@pytest.mark.slow
@pytest.mark.parametrize("tickets", [1, 40])
def test_the_number_of_queries_does_not_grow(db, tickets):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        for i in range(tickets):
            ticket(session, status=TicketStatus.BUILDING, client=(cast.cornerstone, cast.northwind)[i % 2])
            deployment(session, cast.cornerstone, at=NOW)
        session.flush()
        with counting.queries() as asked:
            queries.in_status(session, TicketStatus.BUILDING, NOW)
        assert len(asked) == 4  # tickets, clients with their owners' names, names
        with counting.queries() as asked:
            queries.capacity(session, NOW)
        assert len(asked) == 3
        with counting.queries() as asked:
            deployments.between(session, NOW - DAY, NOW)
        assert len(asked) == 3


def test_periods_of_the_calendar():
    sunday = date(2026, 11, 22)
    assert week_of(sunday) == Period(date(2026, 11, 16), sunday)
    assert week_before(sunday) == Period(date(2026, 11, 9), date(2026, 11, 15))
    assert month_before(date(2026, 3, 1)) == Period(date(2026, 2, 1), date(2026, 2, 28))
    assert month_before(date(2026, 1, 31)) == Period(date(2025, 12, 1), date(2025, 12, 31))
    start, end = Period(date(2026, 11, 1), date(2026, 11, 1)).bounds(CHICAGO)
    assert end - start == timedelta(hours=25)  # the clocks go back
