"""Read models of clients."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session

from core.domains.clients import rules
from core.domains.clients.models import Client, ClientStatus
from core.domains.users import queries as users
from core.errors import NotFound


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One client. `retainer_minor` is per month, in minor units of `currency`; `owner` is a name."""

    id: int
    org_id: UUID
    name: str
    industry: str | None
    status: str
    plan: str | None
    health_score: int
    owner_user_id: int | None
    owner: str | None
    retainer_minor: int
    currency: str
    contact_name: str | None
    contact_email: str | None
    since: date | None
    demo: bool


@dataclass(frozen=True, slots=True)
class ClientPage:
    """The first rows of a list, and how many there are in all."""

    rows: tuple[ClientRow, ...]
    total: int


def _select() -> Select[*tuple[Any, ...]]:
    return select(
        Client.id, Client.org_id, Client.name, Client.industry, Client.status, Client.plan, Client.health_score,
        Client.owner_user_id, Client.retainer_minor, Client.currency, Client.contact_name, Client.contact_email,
        Client.since, Client.demo, func.count().over().label("total"),
    )  # fmt: skip


def _page(session: Session, statement: Select[*tuple[Any, ...]]) -> ClientPage:
    found = session.execute(statement).all()
    owners = users.names(session) if found else {}
    rows = tuple(
        ClientRow(
            r.id, r.org_id, r.name, r.industry, r.status, r.plan, r.health_score, r.owner_user_id,
            owners.get(r.owner_user_id) if r.owner_user_id else None, r.retainer_minor, r.currency, r.contact_name,
            r.contact_email, r.since, r.demo,
        )
        for r in found
    )  # fmt: skip
    return ClientPage(rows, found[0].total if found else 0)


def list_clients(session: Session, *, statuses: Collection[str] = (), limit: int = 200) -> ClientPage:
    """Clients by name. Two queries, however many."""
    statement = _select().order_by(Client.name, Client.id).limit(limit)
    if statuses:
        statement = statement.where(Client.status.in_(list(statuses)))
    return _page(session, statement)


def needing_attention(session: Session, limit: int = 50) -> ClientPage:
    """Clients for whom `rules.needs_attention` holds, unhealthiest first."""
    unhappy = or_(
        Client.status == ClientStatus.AT_RISK,
        and_(Client.status == ClientStatus.ACTIVE, Client.health_score < rules.UNHAPPY_BELOW),
    )
    return _page(session, _select().where(unhappy).order_by(Client.health_score, Client.name).limit(limit))


def retainer_clients(session: Session, limit: int = 50) -> ClientPage:
    """Clients we serve on a retainer, the largest first."""
    wanted = _select().where(Client.retainer_minor > 0, Client.status.in_(rules.SERVED))
    return _page(session, wanted.order_by(Client.retainer_minor.desc(), Client.name).limit(limit))


@dataclass(frozen=True, slots=True)
class RetainerTotal:
    """Monthly retainers in one currency."""

    currency: str
    clients: int
    minor: int


def retainer_totals(session: Session) -> list[RetainerTotal]:
    """Monthly retainers of the clients we serve, by currency, largest first. Currencies are never added up."""
    total = func.sum(Client.retainer_minor)
    statement = (
        select(Client.currency, func.count(), total)
        .where(Client.retainer_minor > 0, Client.status.in_(rules.SERVED))
        .group_by(Client.currency)
        .order_by(total.desc())
    )
    return [RetainerTotal(currency, number, int(minor)) for currency, number, minor in session.execute(statement)]


def by_ids(session: Session, ids: Collection[int | None]) -> dict[int, ClientRow]:
    """Clients by id, for lists of things that belong to clients."""
    wanted = {i for i in ids if i is not None}
    if not wanted:
        return {}
    return {r.id: r for r in _page(session, _select().where(Client.id.in_(wanted))).rows}


def served(session: Session) -> list[ClientRow]:
    """Every client we work for now, by name."""
    return list(list_clients(session, statuses=[s.value for s in rules.SERVED], limit=100_000).rows)


def get(session: Session, client_id: int) -> ClientRow:
    """One client. Raises NotFound."""
    found = by_ids(session, [client_id])
    if client_id not in found:
        raise NotFound(f"There is no client {client_id}.", "It may have been cleared; reload the list.")
    return found[client_id]
