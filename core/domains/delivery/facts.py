"""What agents may know of builds and deployments."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from core.domains.delivery import deployments, links, queries, rules
from core.domains.delivery.models import TicketStatus
from core.domains.delivery.queries import TicketRow
from core.kit.dates import show_local_day, week_before, week_of
from core.runtime.agents.facts import FactContext, Section, section
from core.runtime.agents.section_builder import SectionBuilder

LISTED = 5
"""How many records a section names; the rest are behind the count."""


def ticket_rows(tickets: Sequence[TicketRow], when: FactContext) -> list[dict[str, Any]]:
    """Tickets as the rows behind a fact, in words a person reads."""
    return [
        {
            "ticket": t.title, "client": t.client, "status": t.status_name, "days in status": t.age_days, "assignee": t.assignee,
            "reviewer": t.reviewer, "due": show_local_day(t.due_at, when.zone), "href": links.ticket(t.title), "id": t.id,
        }
        for t in tickets
    ]  # fmt: skip


def _name_tickets(built: SectionBuilder, stem: str, tickets: Sequence[TicketRow], when: FactContext, tail: str) -> None:
    """One list item a ticket. `tail` says more and may hold {age}, {client}, {assignee} and {reviewer}."""
    for number, ticket in enumerate(tickets[:LISTED], start=1):
        rows, href = ticket_rows([ticket], when), links.ticket(ticket.title)
        label = f"{stem.capitalize()} build {number}"
        title = built.text(f"{stem}{number}", label, ticket.title, rows, href=href)
        said = tail
        for field, value in (("client", ticket.client), ("assignee", ticket.assignee), ("reviewer", ticket.reviewer)):
            if "{" + field + "}" in tail:
                said = said.replace(
                    "{" + field + "}", built.text(f"{stem}{number}.{field}", f"{label}: {field}", value, rows, href=href)
                )
        if "{age}" in tail:
            age = built.duration(f"{stem}{number}.age", f"{label}: time in status", ticket.age_days, "days", rows, href=href)
            said = said.replace("{age}", age)
        built.line(f"- {title} {said}")


def _more(built: SectionBuilder, stem: str, total: int, label: str) -> None:
    if total > LISTED:
        rest = built.count(f"{stem}_more", label, total - LISTED, (), row_count=0)
        built.line(f"- and {rest} more.")


@section("delivery.build_queue", "Build queue", "Tickets in each open status, and the builds that are overdue.")
def build_queue(session: Session, when: FactContext) -> Section:
    """Builds in progress and overdue ones, then the rest of the queue."""
    built = SectionBuilder("delivery.build_queue", "Build queue", query="delivery.queries.in_status", href=links.TICKET_EVENTS)
    building = queries.in_status(session, TicketStatus.BUILDING, when.now)
    overdue = queries.in_status(session, TicketStatus.BUILDING, when.now, longer_than=rules.OVERDUE_AFTER)
    in_progress = built.count(
        "building", "Builds in progress", building.total, ticket_rows(building.rows, when), noun="build", row_count=building.total
    )
    late = built.count("overdue", "Overdue builds", overdue.total, ticket_rows(overdue.rows, when), row_count=overdue.total)
    limit = built.duration("overdue_after", "A build is overdue after", rules.OVERDUE_AFTER.days, "days")
    built.line(f"{in_progress} in progress, {late} of them overdue (longer than {limit} in building).")
    _name_tickets(built, "overdue", overdue.rows, when, "for {client}: {age} in building, with {assignee}.")
    _more(built, "overdue", overdue.total, "Overdue builds not named")
    said = []
    for status in (s for s in queries.by_status(session) if s.status in _QUEUE_WORDS):
        row = {"status": status.name, "tickets": status.count, "oldest since": show_local_day(status.oldest_since, when.zone)}
        cited = built.count(
            status.status.value.lower(), f"Tickets {status.name.lower()}", status.count, [row], row_count=1,
            query="delivery.queries.by_status", href=links.status(status.name),
        )  # fmt: skip
        said.append(f"{cited} {_QUEUE_WORDS[status.status]}")
    built.line(f"Around them: {', '.join(said)}.")
    return built.build()


_QUEUE_WORDS = {
    TicketStatus.SUBMITTED: "submitted",
    TicketStatus.ANALYZING: "being analyzed",
    TicketStatus.REVIEW_PENDING: "waiting for review",
    TicketStatus.APPROVED: "approved and not yet deployed",
}


@section("delivery.at_risk", "Builds at risk", "Builds that have been in BUILDING longer than the threshold, oldest first.")
def at_risk(session: Session, when: FactContext) -> Section:
    """Builds in progress, at risk, waiting for review; each build at risk by name."""
    built = SectionBuilder("delivery.at_risk", "Builds at risk", query="delivery.queries.in_status", href=links.TICKET_EVENTS)
    building = queries.in_status(session, TicketStatus.BUILDING, when.now)
    risky = queries.in_status(session, TicketStatus.BUILDING, when.now, longer_than=rules.AT_RISK_AFTER)
    review = queries.in_status(session, TicketStatus.REVIEW_PENDING, when.now)
    in_progress = built.count(
        "building", "Builds in progress", building.total, ticket_rows(building.rows, when), noun="build", row_count=building.total
    )
    count = built.count("count", "Builds at risk", risky.total, ticket_rows(risky.rows, when), row_count=risky.total)
    waiting = built.count(
        "review", "Builds waiting for review", review.total, ticket_rows(review.rows, when), row_count=review.total
    )
    limit = built.duration("after", "A build is at risk after", rules.AT_RISK_AFTER.days, "days")
    built.line(f"{in_progress} in progress, {count} at risk (longer than {limit} in building), {waiting} waiting for review.")
    _name_tickets(built, "risk", risky.rows, when, "for {client}: {age} in building, with {assignee}.")
    _more(built, "risk", risky.total, "Builds at risk not named")
    return built.build()


@section(
    "delivery.stuck_submitted", "Not yet analyzed", "Tickets in SUBMITTED that nobody has analyzed, and which of them are stuck."
)
def stuck_submitted(session: Session, when: FactContext) -> Section:
    """Submitted tickets, and those stuck longer than the threshold by name."""
    built = SectionBuilder(
        "delivery.stuck_submitted", "Not yet analyzed", query="delivery.queries.in_status", href=links.TICKET_EVENTS
    )
    waiting = queries.in_status(session, TicketStatus.SUBMITTED, when.now)
    stuck = queries.in_status(session, TicketStatus.SUBMITTED, when.now, longer_than=rules.STUCK_AFTER)
    total = built.count(
        "count", "Tickets not yet analyzed", waiting.total, ticket_rows(waiting.rows, when), noun="ticket",
        row_count=waiting.total,
    )  # fmt: skip
    late = built.count("stuck", "Stuck tickets", stuck.total, ticket_rows(stuck.rows, when), row_count=stuck.total)
    limit = built.duration("after", "A ticket is stuck after", rules.STUCK_AFTER.total_seconds() / 3600, "hours")
    built.line(f"{total} submitted and not yet analyzed, {late} of them stuck (longer than {limit}).")
    _name_tickets(built, "stuck", stuck.rows, when, "for {client} has waited {age}.")
    _more(built, "stuck", stuck.total, "Stuck tickets not named")
    return built.build()


@section("delivery.review_waiting", "Waiting for review", "Tickets in REVIEW_PENDING longer than the threshold, with reviewer.")
def review_waiting(session: Session, when: FactContext) -> Section:
    """Reviews that have waited too long, by name, with whom they wait for."""
    built = SectionBuilder(
        "delivery.review_waiting", "Waiting for review", query="delivery.queries.in_status", href=links.TICKET_EVENTS
    )
    late = queries.in_status(session, TicketStatus.REVIEW_PENDING, when.now, longer_than=rules.REVIEW_AFTER)
    count = built.count(
        "count", "Reviews waiting too long", late.total, ticket_rows(late.rows, when), noun="review", row_count=late.total
    )
    limit = built.duration("after", "A review waits too long after", rules.REVIEW_AFTER.days, "days")
    built.line(f"{count} waiting longer than {limit}.")
    _name_tickets(built, "review", late.rows, when, "for {client} has waited {age} for {reviewer}.")
    _more(built, "review", late.total, "Reviews waiting too long not named")
    return built.build()


@section("delivery.completing", "Completing this week", "Client builds due this week, for scheduling delivery reviews.")
def completing(session: Session, when: FactContext) -> Section:
    """Builds of clients due from Monday to Sunday of this week."""
    start, end = week_of(when.today).bounds(when.zone)
    built = SectionBuilder(
        "delivery.completing", "Completing this week", query="delivery.queries.completing", href=links.TICKET_EVENTS,
        params={"from": start.isoformat(), "to": end.isoformat()},
    )  # fmt: skip
    due = queries.completing(session, start, end, when.now)
    count = built.count(
        "count", "Builds due this week", due.total, ticket_rows(due.rows, when), noun="client build", row_count=due.total
    )
    built.line(f"{count} due this week; each gets a delivery review.")
    for number, ticket in enumerate(due.rows[:LISTED], start=1):
        rows, href = ticket_rows([ticket], when), links.ticket(ticket.title)
        label = f"Build due {number}"
        title = built.text(f"due{number}", label, ticket.title, rows, href=href)
        client = built.text(f"due{number}.client", f"{label}: client", ticket.client, rows, href=href)
        if ticket.due_at is not None:
            day = built.day(f"due{number}.day", f"{label}: due on", ticket.due_at.astimezone(when.zone).date(), rows, href=href)
            built.line(f"- {client}: {title}, due {day}.")
    _more(built, "due", due.total, "Builds due not named")
    return built.build()


@section("delivery.closed_last_week", "Completed last week", "Builds that moved to CLOSED in the last whole week.")
def closed_last_week(session: Session, when: FactContext) -> Section:
    """Completed builds by name."""
    start, end = week_before(when.today).bounds(when.zone)
    built = SectionBuilder(
        "delivery.closed_last_week", "Completed last week", query="delivery.queries.entered", href=links.status("closed"),
        params={"status": "CLOSED", "from": start.isoformat(), "to": end.isoformat()},
    )  # fmt: skip
    done = queries.entered(session, TicketStatus.CLOSED, start, end, when.now)
    rows = ticket_rows(done.rows, when)
    count = built.count("count", "Builds completed last week", done.total, rows, noun="build", row_count=done.total)
    first = built.day("from", "Last week began on", week_before(when.today).first)
    built.line(f"{count} completed in the week from {first}.")
    _name_tickets(built, "done", done.rows, when, "for {client}.")
    _more(built, "done", done.total, "Completed builds not named")
    return built.build()


def deployment_rows(found: Sequence[deployments.DeploymentRow], when: FactContext) -> list[dict[str, Any]]:
    """Deployments as the rows behind a fact."""
    return [
        {
            "build": d.ticket, "client": d.client, "platform": d.platform, "outcome": d.status.replace("_", " "),
            "error": d.error or "", "day": show_local_day(d.at, when.zone),
            "href": links.ticket(d.ticket) if d.ticket_id else links.DEPLOYMENT_EVENTS, "id": d.id,
        }
        for d in found
    ]  # fmt: skip
