"""What agents may know of the agency as a whole: last week's wins, and what may go wrong next."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from core.config import get_settings
from core.domains.clients import queries as clients
from core.domains.clients import rules as client_rules
from core.domains.clients.facts import client_rows
from core.domains.crm.queries import attention, deals
from core.domains.crm.queries.deals import DealRow
from core.domains.crm.queries.filters import DealFilter
from core.domains.delivery import deployments, links
from core.domains.delivery import queries as delivery
from core.domains.delivery.facts import ticket_rows
from core.kit import money
from core.kit.dates import show_local_day, week_before
from core.runtime.agents.facts import FactContext, Section, section
from core.runtime.agents.section_builder import SectionBuilder

LISTED = 3
"""How many deals, builds and clients each list names."""


def _deal_rows(found: Sequence[DealRow], when: FactContext) -> list[dict[str, Any]]:
    return [
        {
            "deal": d.title, "account": d.account or "–", "stage": d.stage, "owner": d.owner or "nobody",
            "value": money.show(d.value_minor, d.currency), "closed": show_local_day(d.closed_at, when.zone),
            "days quiet": "–" if d.days_quiet is None else d.days_quiet, "href": f"/deal?deal={d.id}", "id": d.id,
        }
        for d in found
    ]  # fmt: skip


@section("company.wins", "Wins", "What went well last week: deals won, builds completed and deployed.")
def wins(session: Session, when: FactContext) -> Section:
    """Deals won, builds completed and deployments that worked in the last whole week."""
    week = week_before(when.today)
    start, end = week.bounds(when.zone)
    built = SectionBuilder(
        "company.wins", "Wins", query="crm.queries.deals.list_of", href=f"/pipeline?status=won&closed={week.first}..{week.last}",
        params={"from": week.first.isoformat(), "to": week.last.isoformat()},
    )  # fmt: skip
    currency = get_settings().currency
    won = deals.list_of(session, DealFilter(status="won", closed_from=week.first, closed_to=week.last), now=when.now)
    rows = _deal_rows(won.deals, when)
    count = built.count("deals", "Deals won last week", won.total, rows, noun="deal", row_count=won.total)
    worth = built.money("deals_value", "Value won last week", won.value_minor, rows, currency=currency, row_count=won.total)
    built.line(f"{count} won last week, worth {worth}.")
    for place, (deal, row) in enumerate(zip(won.deals[:LISTED], rows, strict=False), start=1):
        title = built.text(f"deal{place}", f"Won deal {place}", deal.title, [row], href=row["href"])
        value = built.text(f"deal{place}.value", f"Won deal {place}: value", row["value"], [row], href=row["href"])
        built.line(f"- {title}, {value}.")
    done = delivery.closed(session, start, end, when.now)
    done_rows = ticket_rows(done.rows, when)
    completed = built.count(
        "builds", "Builds completed last week", done.total, done_rows, noun="build", row_count=done.total,
        query="delivery.queries.closed", href=links.status("closed"),
    )  # fmt: skip
    worked = deployments.counts(session, start, end)
    outcome = {"succeeded": worked.succeeded, "failed": worked.failed, "rolled back": worked.rolled_back}
    deployed = built.count(
        "deployments", "Deployments that worked last week", worked.succeeded, [outcome], noun="deployment", row_count=1,
        query="delivery.deployments.counts", href=links.DEPLOYMENT_EVENTS,
    )  # fmt: skip
    built.line(f"{completed} completed, and {deployed} that worked.")
    for place, (ticket, row) in enumerate(zip(done.rows[:LISTED], done_rows, strict=False), start=1):
        title = built.text(f"build{place}", f"Completed build {place}", ticket.title, [row], href=row["href"])
        client = built.text(f"build{place}.client", f"Completed build {place}: client", ticket.client, [row], href=row["href"])
        built.line(f"- {title} for {client}.")
    return built.build()


@section("company.risks", "Risks", "Stalled deals, overdue builds and unhappy clients.")
def risks(session: Session, when: FactContext) -> Section:
    """What may go wrong next: deals that stand still, builds that are late, clients who may leave."""
    built = SectionBuilder("company.risks", "Risks", query="crm.queries.attention.stuck", href="/pipeline?show=quiet")
    _stalled_deals(session, built, when)
    late = delivery.overdue(session, when.now)
    rows = ticket_rows(late.rows, when)
    builds = built.count(
        "builds", "Overdue builds", late.total, rows, noun="build", row_count=late.total, query="delivery.queries.overdue",
        href=links.TICKET_EVENTS,
    )  # fmt: skip
    built.line(f"{builds} overdue.")
    for place, (ticket, row) in enumerate(zip(late.rows[:LISTED], rows, strict=False), start=1):
        title = built.text(f"build{place}", f"Overdue build {place}", ticket.title, [row], href=row["href"])
        client = built.text(f"build{place}.client", f"Overdue build {place}: client", ticket.client, [row], href=row["href"])
        age = built.duration(
            f"build{place}.age", f"Overdue build {place}: in building", ticket.age_days, "days", [row], href=row["href"]
        )
        built.line(f"- {title} for {client}: {age} in building.")
    _unhappy_clients(session, built)
    return built.build()


def _stalled_deals(session: Session, built: SectionBuilder, when: FactContext) -> None:
    found = attention.stuck(session, now=when.now)
    rows = _deal_rows([s.deal for s in found.deals], when)
    count = built.count("deals", "Stalled deals", found.total, rows, noun="deal", row_count=found.total)
    worth = built.money(
        "deals_value", "Value of stalled deals", found.value_minor, rows, currency=get_settings().currency, row_count=found.total
    )
    built.line(f"{count} stalled, worth {worth}.")
    for place, (stuck, row) in enumerate(zip(found.deals[:LISTED], rows, strict=False), start=1):
        title = built.text(f"deal{place}", f"Stalled deal {place}", stuck.deal.title, [row], href=row["href"])
        why = built.text(f"deal{place}.why", f"Stalled deal {place}: why", "; ".join(stuck.why_now), [row], href=row["href"])
        built.line(f"- {title}: {why}.")


def _unhappy_clients(session: Session, built: SectionBuilder) -> None:
    worried = clients.needing_attention(session)
    rows = client_rows(worried.rows)
    count = built.count(
        "clients", "Unhappy clients", worried.total, rows, noun="client", row_count=worried.total,
        query="clients.queries.needing_attention", href=links.CLIENT_EVENTS,
    )  # fmt: skip
    built.line(f"{count} who may be unhappy.")
    for place, (client, row) in enumerate(zip(worried.rows[:LISTED], rows, strict=False), start=1):
        name = built.text(f"client{place}", f"Unhappy client {place}", client.name, [row], href=row["href"])
        built.line(f"- {name}: {client_rules.why_attention(client.status, client.health_score)}.")
