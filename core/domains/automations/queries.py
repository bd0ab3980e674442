"""Read models of automations: what ran at clients, and how often it failed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from core.domains.automations import rules
from core.domains.automations.models import Automation, AutomationDay
from core.domains.clients import queries as clients


@dataclass(frozen=True, slots=True)
class AutomationUse:
    """One automation and its runs in a period."""

    id: int
    client_id: int
    ticket_id: int | None
    name: str
    platform: str
    active: bool
    health: str
    runs: int
    errors: int
    last_run_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class ClientUse:
    """One client's automations in a period. `active` counts those switched on."""

    client: clients.ClientRow
    automations: tuple[AutomationUse, ...]
    active: int
    runs: int
    errors: int

    @property
    def worked(self) -> int:
        """Automations that ran in the period, whether or not they are switched on today."""
        return sum(a.runs > 0 for a in self.automations)

    @property
    def tasks(self) -> int:
        """Runs that ended well."""
        return rules.tasks_done(self.runs, self.errors)

    @property
    def hours_saved(self) -> float:
        """Assumed, see `rules.MINUTES_PER_TASK`."""
        return rules.hours_saved(self.tasks)

    @property
    def error_percent(self) -> float | None:
        """Share of runs that failed."""
        return rules.error_percent(self.runs, self.errors)


def use(session: Session, first: date, last: date, *, existing_before: datetime | None = None) -> list[AutomationUse]:
    """Every automation that is switched on or ran from `first` to `last` (UTC days, inclusive), with its runs then.

    `existing_before` leaves out those deployed at that instant or later.
    """
    runs, errors = func.coalesce(func.sum(AutomationDay.runs), 0), func.coalesce(func.sum(AutomationDay.errors), 0)
    inside = and_(AutomationDay.automation_id == Automation.id, AutomationDay.day >= first, AutomationDay.day <= last)
    statement: Any = (
        select(
            Automation.id, Automation.client_id, Automation.ticket_id, Automation.name, Automation.platform, Automation.active,
            Automation.health, runs, errors, Automation.last_run_at, Automation.last_error,
        )
        .outerjoin(AutomationDay, inside)
        .group_by(Automation.id)
        .having(or_(Automation.active, runs > 0))
        .order_by(runs.desc(), Automation.name, Automation.id)
    )  # fmt: skip
    if existing_before is not None:
        statement = statement.where(Automation.created_at < existing_before)
    return [
        AutomationUse(r[0], r[1], r[2], r[3], r[4], r[5], r[6], int(r[7]), int(r[8]), r[9], r[10])
        for r in session.execute(statement)
    ]


def by_client(session: Session, first: date, last: date, *, existing_before: datetime | None = None) -> list[ClientUse]:
    """The clients we serve that have a deployed automation, busiest first. A fixed number of queries."""
    mine: dict[int, list[AutomationUse]] = {}
    for automation in use(session, first, last, existing_before=existing_before):
        mine.setdefault(automation.client_id, []).append(automation)
    found = [
        ClientUse(
            client, tuple(mine[client.id]), sum(a.active for a in mine[client.id]), sum(a.runs for a in mine[client.id]),
            sum(a.errors for a in mine[client.id]),
        )
        for client in clients.served(session)
        if client.id in mine
    ]  # fmt: skip
    return sorted(found, key=lambda c: (-c.runs, c.client.name))


def runs_of_tickets(session: Session, ticket_ids: Collection[int], first: date, last: date) -> dict[int, tuple[int, int]]:
    """(runs, errors) in the period of the automations that came out of these tickets, by ticket id."""
    if not ticket_ids:
        return {}
    statement = (
        select(Automation.ticket_id, func.sum(AutomationDay.runs), func.sum(AutomationDay.errors))
        .join(AutomationDay, AutomationDay.automation_id == Automation.id)
        .where(Automation.ticket_id.in_(ticket_ids), AutomationDay.day >= first, AutomationDay.day <= last)
        .group_by(Automation.ticket_id)
    )
    return {r[0]: (int(r[1]), int(r[2])) for r in session.execute(statement) if r[0] is not None}


def by_health(session: Session) -> dict[str, int]:
    """How many switched-on automations are in each health."""
    statement = select(Automation.health, func.count()).where(Automation.active).group_by(Automation.health)
    return {r[0]: r[1] for r in session.execute(statement)}
