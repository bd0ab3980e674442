"""What agents may know of clients."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from core.domains.clients import queries, rules
from core.domains.clients.queries import ClientRow
from core.domains.delivery import deployments, links
from core.domains.delivery import queries as delivery
from core.kit import money
from core.kit.dates import days_between, show_local_day
from core.runtime.agents.facts import FactContext, Section, section
from core.runtime.agents.section_builder import SectionBuilder

LISTED = 5
"""How many clients a section names; the rest are behind the count."""


def client_rows(found: Sequence[ClientRow]) -> list[dict[str, Any]]:
    """Clients as the rows behind a fact, in words a person reads."""
    return [
        {
            "client": c.name, "status": c.status.replace("_", " "), "health": c.health_score, "plan": c.plan or "–",
            "owner": c.owner or "nobody", "retainer a month": money.show(c.retainer_minor, c.currency),
            "href": links.client(c.name), "id": c.id,
        }
        for c in found
    ]  # fmt: skip


def _more(built: SectionBuilder, stem: str, total: int, label: str) -> None:
    if total > LISTED:
        rest = built.count(f"{stem}_more", label, total - LISTED, (), row_count=0)
        built.line(f"- and {rest} more.")


@section("clients.alerts", "Client alerts", "Clients marked at risk or with a low health score.")
def alerts(session: Session, when: FactContext) -> Section:
    """Clients who need attention now, unhealthiest first."""
    built = SectionBuilder("clients.alerts", "Client alerts", query="clients.queries.needing_attention", href=links.CLIENT_EVENTS)
    worried = queries.needing_attention(session)
    count = built.count(
        "count", "Clients needing attention", worried.total, client_rows(worried.rows), noun="client", row_count=worried.total
    )
    built.line(f"{count} {'needs' if worried.total == 1 else 'need'} attention at the moment.")
    for number, client in enumerate(worried.rows[:LISTED], start=1):
        rows, href, label = client_rows([client]), links.client(client.name), f"Client {number} needing attention"
        name = built.text(f"client{number}", label, client.name, rows, href=href)
        health = built.count(
            f"client{number}.health", f"{label}: health score", client.health_score, rows, row_count=1, href=href
        )
        owner = built.text(f"client{number}.owner", f"{label}: owner", client.owner or "nobody", rows, href=href)
        why = rules.why_attention(client.status, client.health_score)
        built.line(f"- {name}: {why}; health score {health}, with {owner}.")
    _more(built, "client", worried.total, "Clients needing attention not named")
    return built.build()


@section("clients.quiet", "Quiet clients", "Clients without ticket activity for a month or longer: potential churn.")
def quiet(session: Session, when: FactContext) -> Section:
    """Clients we serve whose tickets have not moved for `rules.QUIET_DAYS`, the quietest first."""
    built = SectionBuilder("clients.quiet", "Quiet clients", query="delivery.queries.last_activity", href=links.CLIENT_EVENTS)
    silent = quiet_clients(session, when)
    rows = [_quiet_row(client, last, when) for client, last in silent]
    count = built.count("count", "Clients without recent activity", len(silent), rows, noun="client")
    limit = built.duration("after", "A client is quiet after", rules.QUIET_DAYS, "days")
    built.line(f"{count} without ticket activity for {limit} or longer.")
    for number, (client, last) in enumerate(silent[:LISTED], start=1):
        row, href, label = [_quiet_row(client, last, when)], links.client(client.name), f"Quiet client {number}"
        name = built.text(f"quiet{number}", label, client.name, row, href=href)
        if last is None:
            built.line(f"- {name} has never had a ticket.")
        else:
            since = built.duration(
                f"quiet{number}.days", f"{label}: quiet for", int(days_between(last, when.now)), "days", row, href=href
            )
            built.line(f"- {name}: no activity for {since}.")
    _more(built, "quiet", len(silent), "Quiet clients not named")
    return built.build()


def quiet_clients(session: Session, when: FactContext) -> list[tuple[ClientRow, datetime | None]]:
    """Clients we serve and when a ticket of theirs last moved, for those quiet long enough; never comes first."""
    moved = delivery.last_activity(session)
    limit = when.now - timedelta(days=rules.QUIET_DAYS)
    silent = [(c, moved.get(c.id)) for c in queries.served(session)]
    silent = [(c, at) for c, at in silent if (at is None and _known_for_long(c, when)) or (at is not None and at <= limit)]
    return sorted(silent, key=lambda pair: (pair[1] is not None, pair[1] or when.now, pair[0].name))


def _known_for_long(client: ClientRow, when: FactContext) -> bool:
    # a client who signed last week has no ticket yet, and is not quiet
    return client.since is None or (when.today - client.since).days >= rules.QUIET_DAYS


def _quiet_row(client: ClientRow, last: datetime | None, when: FactContext) -> dict[str, Any]:
    return {**client_rows([client])[0], "last activity": "never" if last is None else show_local_day(last, when.zone)}


@section("clients.failed_deploys", "Clients with failed deployments", "Clients with two or more failed deployments in a month.")
def failed_deploys(session: Session, when: FactContext) -> Section:
    """Clients whose deployments failed repeatedly, the most first."""
    built = SectionBuilder(
        "clients.failed_deploys", "Clients with failed deployments", query="delivery.deployments.repeated_failures",
        href=links.DEPLOYMENT_EVENTS,
    )  # fmt: skip
    start = when.now - timedelta(days=rules.FAILURE_WINDOW_DAYS)
    troubled, total = deployments.repeated_failures(session, start, when.now, rules.REPEATED_FAILURES)
    rows = [_failure_row(t, when) for t in troubled]
    count = built.count("count", "Clients with repeated failures", total, rows, noun="client", row_count=total)
    limit = built.count("at_least", "Repeated means at least", rules.REPEATED_FAILURES, (), noun="failed deployment", row_count=0)
    window = built.duration("window", "Counted over the last", rules.FAILURE_WINDOW_DAYS, "days")
    built.line(f"{count} with at least {limit} in the last {window}.")
    for number, client in enumerate(troubled[:LISTED], start=1):
        row, href, label = [_failure_row(client, when)], links.client(client.client), f"Client {number} with failures"
        name = built.text(f"client{number}", label, client.client, row, href=href)
        failed = built.count(
            f"client{number}.failures",
            f"{label}: failed deployments",
            client.failures,
            row,
            noun="failure",
            row_count=1,
            href=href,
        )
        why = built.text(f"client{number}.error", f"{label}: last error", client.last_error or "no reason given", row, href=href)
        built.line(f"- {name}: {failed}, the last one: {why}")
    _more(built, "client", total, "Clients with failures not named")
    return built.build()


def _failure_row(found: deployments.TroubledClient, when: FactContext) -> dict[str, Any]:
    return {
        "client": found.client, "failed deployments": found.failures, "last": show_local_day(found.last_at, when.zone),
        "last error": found.last_error or "", "href": links.client(found.client), "id": found.client_id,
    }  # fmt: skip


@section("clients.retainers", "Retainers", "Active retainer clients and what they pay a month.")
def retainers(session: Session, when: FactContext) -> Section:
    """Retainer clients and their monthly value, by currency."""
    built = SectionBuilder("clients.retainers", "Retainers", query="clients.queries.retainer_clients", href=links.CLIENT_EVENTS)
    page = queries.retainer_clients(session)
    rows = client_rows(page.rows)
    count = built.count("count", "Active retainer clients", page.total, rows, noun="retainer client", row_count=page.total)
    totals = queries.retainer_totals(session)
    if not totals:
        built.line(f"{count} on the books at present.")
    for total in totals:
        mine = [r for r, c in zip(rows, page.rows, strict=True) if c.currency == total.currency]
        paid = built.money(
            f"monthly_{total.currency.lower()}", f"Retainers a month ({total.currency})", total.minor, mine,
            currency=total.currency, row_count=total.clients, query="clients.queries.retainer_totals",
        )  # fmt: skip
        built.line(f"{count} active, worth {paid} a month.")
    return built.build()
