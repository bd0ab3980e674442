"""What agents may know of automations at clients."""

from typing import Any

from sqlalchemy.orm import Session

from core.domains.automations import queries, rules
from core.domains.automations.queries import ClientUse
from core.domains.delivery import links
from core.kit.dates import midnight, month_before
from core.runtime.agents.facts import FactContext, Section, section
from core.runtime.agents.section_builder import SectionBuilder

LISTED = 5


def use_rows(found: ClientUse) -> list[dict[str, Any]]:
    """A client's automations as the rows behind a fact."""
    return [
        {
            "automation": a.name, "platform": a.platform, "switched on": "yes" if a.active else "no", "runs": a.runs,
            "errors": a.errors, "health": a.health, "last error": a.last_error or "", "id": a.id,
        }
        for a in found.automations
    ]  # fmt: skip


def client_row(found: ClientUse) -> dict[str, Any]:
    """One client's month in a row."""
    return {
        "client": found.client.name, "automations": len(found.automations), "switched on": found.active, "runs": found.runs,
        "errors": found.errors, "assumed hours saved": found.hours_saved, "href": links.client(found.client.name),
        "id": found.client.id,
    }  # fmt: skip


@section("automations.month", "Automations last month", "Runs and errors of deployed automations last month, per client.")
def month(session: Session, when: FactContext) -> Section:
    """The last calendar month: totals, then the busiest clients."""
    period = month_before(when.today)
    found = queries.by_client(session, period.first, period.last, existing_before=midnight(when.today.replace(day=1), when.zone))
    built = SectionBuilder(
        "automations.month", "Automations last month", query="automations.queries.by_client", href=links.CLIENT_EVENTS,
        params={"from": period.first.isoformat(), "to": period.last.isoformat()},
    )  # fmt: skip
    rows = [client_row(c) for c in found]
    served = built.count("clients", "Clients with a deployed automation", len(found), rows, noun="client")
    worked = built.count(
        "worked", "Automations that ran", sum(c.worked for c in found), rows, noun="automation", row_count=len(rows)
    )
    active = built.count("active", "Automations switched on now", sum(c.active for c in found), rows, row_count=len(rows))
    runs = built.count("runs", "Runs last month", sum(c.runs for c in found), rows, noun="run", row_count=len(rows))
    errors = built.count(
        "errors", "Failed runs last month", sum(c.errors for c in found), rows, noun="error", row_count=len(rows)
    )
    tasks = sum(c.tasks for c in found)
    hours = built.duration("hours", "Hours saved last month, assumed", rules.hours_saved(tasks), "hours", rows)
    minutes = built.count("minutes", "Minutes assumed for one task", rules.MINUTES_PER_TASK, (), noun="minute", row_count=0)
    first = built.day("from", "The month began on", period.first)
    built.line(f"In the month from {first}, {worked} ran at {served}: {runs} with {errors}. Switched on now: {active}.")
    built.line(f"That is {hours} saved, assumed at {minutes} a task and not measured.")
    for number, client in enumerate(found[:LISTED], start=1):
        href, label = links.client(client.client.name), f"Client {number}"
        name = built.text(f"client{number}", label, client.client.name, use_rows(client), href=href)
        mine = built.count(
            f"client{number}.runs", f"{label}: runs", client.runs, use_rows(client), noun="run",
            row_count=len(client.automations), href=href,
        )  # fmt: skip
        failed = built.count(
            f"client{number}.errors", f"{label}: failed runs", client.errors, use_rows(client), noun="error",
            row_count=len(client.automations), href=href,
        )  # fmt: skip
        built.line(f"- {name}: {mine}, {failed}.")
    if len(found) > LISTED:
        rest = built.count("client_more", "Clients not named", len(found) - LISTED, (), row_count=0)
        built.line(f"- and {rest} more.")
    return built.build()
