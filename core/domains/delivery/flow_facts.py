"""What agents may know of deployments, of who carries what, and of how the week went."""

from typing import Any

from sqlalchemy.orm import Session

from core.domains.delivery import deployments, links, queries, rules
from core.domains.delivery.facts import LISTED, deployment_rows, ticket_rows
from core.domains.delivery.models import TicketStatus
from core.kit.dates import show_day, week_before
from core.runtime.agents.facts import FactContext, Section, section
from core.runtime.agents.section_builder import SectionBuilder


@section("delivery.deploy_health", "Deployment health", "Deployments that failed in the last day, and in the last month.")
def deploy_health(session: Session, when: FactContext) -> Section:
    """Failed and rolled back deployments of the last 24 hours and 30 days, the latest by name."""
    built = SectionBuilder(
        "delivery.deploy_health", "Deployment health", query="delivery.deployments.between", href=links.DEPLOYMENT_EVENTS
    )
    everything = deployments.between(session, when.now - rules.DEPLOY_WINDOW, when.now)
    trouble = deployments.between(session, when.now - rules.DEPLOY_WINDOW, when.now, troubled_only=True)
    recent = deployments.between(session, when.now - rules.RECENT_DEPLOYS, when.now, troubled_only=True)
    day = built.duration("recent", "Recent means the last", rules.RECENT_DEPLOYS.total_seconds() / 3600, "hours")
    month = built.duration("window", "The month is the last", rules.DEPLOY_WINDOW.days, "days")
    last_day = built.count(
        "failed_recent", "Deployments that failed in the last day", recent.total, deployment_rows(recent.rows, when),
        noun="deployment", row_count=recent.total,
    )  # fmt: skip
    total = built.count(
        "total", "Deployments in the last month", everything.total, deployment_rows(everything.rows, when), noun="deployment",
        row_count=everything.total,
    )  # fmt: skip
    failed = built.count(
        "failed", "Deployments that failed in the last month", trouble.total, deployment_rows(trouble.rows, when),
        row_count=trouble.total,
    )  # fmt: skip
    built.line(f"Failed or rolled back in the last {day}: {last_day}.")
    built.line(f"Of {total} in the last {month}, {failed} failed or had to be rolled back.")
    for number, found in enumerate(trouble.rows[:LISTED], start=1):
        rows = deployment_rows([found], when)
        href = links.ticket(found.ticket) if found.ticket_id else None
        label = f"Failed deployment {number}"
        build = built.text(f"trouble{number}", label, found.ticket, rows, href=href)
        client = built.text(f"trouble{number}.client", f"{label}: client", found.client, rows, href=href)
        on = built.day(f"trouble{number}.day", f"{label}: day", found.at.astimezone(when.zone).date(), rows, href=href)
        why = built.text(f"trouble{number}.error", f"{label}: error", found.error or "no reason given", rows, href=href)
        built.line(f"- {build} for {client} on {on}: {why}")
    return built.build()


@section(
    "delivery.capacity",
    "Team capacity",
    "Open tickets per person, who is busiest and who has room for new work.",
    untrusted=False,
)
def capacity(session: Session, when: FactContext) -> Section:
    """Open tickets per person, the busiest first, and the room for new work."""
    built = SectionBuilder("delivery.capacity", "Team capacity", query="delivery.queries.capacity", href=links.TICKET_EVENTS)
    loads = queries.capacity(session, when.now)
    rows = [_load_row(load) for load in loads]
    people = [load for load in loads if load.user_id is not None]
    total = built.count("open", "Open tickets", sum(load.open for load in loads), rows, noun="open ticket", row_count=len(rows))
    room = built.count("room", "More tickets the team can take", sum(load.room for load in people), rows, row_count=len(rows))
    full = built.count("full_load", "A full load for one person", rules.FULL_LOAD, (), noun="ticket", row_count=0)
    built.line(f"{total} in all, and room for {room} more at {full} a person.")
    for number, load in enumerate(people[: LISTED + 1], start=1):
        row = [_load_row(load)]
        name = built.text(f"person{number}", f"Person {number}", load.name, row)
        carried = built.count(
            f"person{number}.open", f"Person {number}: open tickets", load.open, row, noun="ticket", row_count=1
        )
        reviews = built.count(
            f"person{number}.reviews", f"Person {number}: reviews waiting", load.reviewing, row, noun="review", row_count=1
        )
        tail = "" if load.room or not load.open else ", which is a full load"
        built.line(f"- {name} has {carried} and {reviews} to give{tail}.")
    nobody = next((load for load in loads if load.user_id is None), None)
    if nobody is not None:
        orphans = built.count(
            "unassigned", "Open tickets without an assignee", nobody.open, [_load_row(nobody)], noun="ticket", row_count=1
        )
        built.line(f"- Nobody has been given {orphans}.")
    return built.build()


def _load_row(load: queries.Load) -> dict[str, Any]:
    return {
        "person": load.name, "open": load.open, "in building": load.building, "overdue": load.overdue,
        "reviews waiting": load.reviewing, "room for": load.room,
    }  # fmt: skip


@section("delivery.week", "Builds last week", "Tickets created, completed and deployed last week, against the week before.")
def week(session: Session, when: FactContext) -> Section:
    """The last whole week, Monday to Sunday, beside the one before it."""
    period = week_before(when.today)
    start, end = period.bounds(when.zone)
    before, _ = week_before(period.first).bounds(when.zone)
    built = SectionBuilder(
        "delivery.week", "Builds last week", query="delivery.queries.flow", href=links.TICKET_EVENTS,
        params={"from": start.isoformat(), "to": end.isoformat(), "compared from": before.isoformat()},
    )  # fmt: skip
    now_flow, then_flow = queries.flow(session, before, start, end)
    lists = {
        "created": queries.created_between(session, start, end, when.now),
        "completed": queries.entered(session, TicketStatus.CLOSED, start, end, when.now),
        "deployed": queries.entered(session, TicketStatus.DEPLOYED, start, end, when.now),
    }
    first, last = built.day("from", "Last week began on", period.first), built.day("to", "Last week ended on", period.last)
    built.line(f"From {first} to {last}:")
    for word, noun in (("created", "ticket"), ("completed", "build"), ("deployed", "build")):
        this, that = getattr(now_flow, word), getattr(then_flow, word)
        now_said = built.count(
            word, f"Tickets {word} last week", this, ticket_rows(lists[word].rows, when), noun=noun, row_count=this
        )
        then_said = built.count(f"{word}_before", f"Tickets {word} the week before", that, (), row_count=0)
        trend = "up from" if this > that else "down from" if this < that else "the same as"
        built.line(f"- {now_said} {word}, {trend} {then_said} the week before.")
    return built.build()


@section("delivery.value", "Deployed value", "What the work deployed so far is worth, and what last week added.")
def value(session: Session, when: FactContext) -> Section:
    """Value of deployed builds by currency, each build once."""
    period = week_before(when.today)
    start, end = period.bounds(when.zone)
    built = SectionBuilder("delivery.value", "Deployed value", query="delivery.deployments.value", href=links.DEPLOYMENT_EVENTS)
    totals = deployments.value(session, start, end)
    if not totals:
        built.line("Nothing has been deployed yet.")
    for total in totals:
        row = {
            "currency": total.currency, "builds deployed": total.tickets, "week from": show_day(period.first),
            "href": links.DEPLOYMENT_EVENTS,
        }  # fmt: skip
        code = total.currency.lower()
        everything = built.money(
            f"total_{code}", f"Value deployed so far ({total.currency})", total.minor, [row], currency=total.currency, row_count=1
        )
        added = built.money(
            f"week_{code}", f"Value deployed last week ({total.currency})", total.minor_in_period, [row],
            currency=total.currency, row_count=1,
        )  # fmt: skip
        builds = built.count(
            f"builds_{code}", f"Builds deployed ({total.currency})", total.tickets, [row], noun="build", row_count=1
        )
        built.line(f"{builds} worth {everything} deployed so far; last week added {added}.")
    return built.build()
