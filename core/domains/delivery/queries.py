"""Read models of tickets: the build queue, what is late, who carries what, and how a week went."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, func, select, text
from sqlalchemy.orm import Session

from core.domains.clients import queries as clients
from core.domains.delivery import rules
from core.domains.delivery.models import OPEN_STATUSES, Ticket, TicketStatus, TicketStatusChange
from core.domains.users import queries as users
from core.errors import NotFound
from core.kit.dates import days_between

_OPEN = [s.value for s in OPEN_STATUSES]


@dataclass(frozen=True, slots=True)
class TicketRow:
    """One ticket as lists show it. `age_days` is how long it has been in its status, to one decimal."""

    id: int
    org_id: UUID
    client_id: int | None
    client: str
    industry: str | None
    title: str
    problem: str | None
    solution: str | None
    platform: str
    status: str
    status_name: str
    status_since: datetime
    age_days: float
    late: str | None
    assignee_user_id: int | None
    assignee: str
    reviewer_user_id: int | None
    reviewer: str
    value_minor: int
    currency: str
    due_at: datetime | None
    created_at: datetime
    closed_at: datetime | None
    demo: bool


@dataclass(frozen=True, slots=True)
class TicketPage:
    """The first rows of a list, and how many tickets there are in all."""

    rows: tuple[TicketRow, ...]
    total: int


_COLUMNS = (
    Ticket.id, Ticket.org_id, Ticket.client_id, Ticket.title, Ticket.problem, Ticket.solution, Ticket.platform, Ticket.status,
    Ticket.status_since, Ticket.assignee_user_id, Ticket.reviewer_user_id, Ticket.value_minor, Ticket.currency, Ticket.due_at,
    Ticket.created_at, Ticket.closed_at, Ticket.demo,
)  # fmt: skip
INTERNAL = "ManageAI (internal)"
NOBODY = "nobody"


def _page(session: Session, statement: Select[*tuple[Any, ...]], now: datetime) -> TicketPage:
    found = session.execute(statement.add_columns(func.count().over().label("total"))).all()
    if not found:
        return TicketPage((), 0)
    companies = clients.by_ids(session, [r.client_id for r in found])
    people = users.names(session)
    return TicketPage(tuple(_row(r, companies, people, now) for r in found), found[0].total)


def _row(r: Any, companies: Mapping[int, clients.ClientRow], people: Mapping[int, str], now: datetime) -> TicketRow:
    company = companies.get(r.client_id)
    return TicketRow(
        id=r.id, org_id=r.org_id, client_id=r.client_id, client=company.name if company else INTERNAL,
        industry=company.industry if company else None, title=r.title, problem=r.problem, solution=r.solution,
        platform=r.platform, status=r.status, status_name=rules.NAMES[r.status], status_since=r.status_since,
        age_days=days_between(r.status_since, now), late=rules.lateness(r.status, r.status_since, now),
        assignee_user_id=r.assignee_user_id, assignee=people.get(r.assignee_user_id, NOBODY),
        reviewer_user_id=r.reviewer_user_id, reviewer=people.get(r.reviewer_user_id, NOBODY), value_minor=r.value_minor,
        currency=r.currency, due_at=r.due_at, created_at=r.created_at, closed_at=r.closed_at, demo=r.demo,
    )  # fmt: skip


def in_status(
    session: Session, status: TicketStatus, now: datetime, *, longer_than: timedelta | None = None, limit: int = 50
) -> TicketPage:
    """Tickets in a status, oldest first; `longer_than` keeps those that have been in it strictly longer."""
    statement = select(*_COLUMNS).where(Ticket.status == status.value)
    if longer_than is not None:
        statement = statement.where(Ticket.status_since < now - longer_than)
    return _page(session, statement.order_by(Ticket.status_since, Ticket.id).limit(limit), now)


def overdue(session: Session, now: datetime, limit: int = 50) -> TicketPage:
    """Builds that are overdue, the oldest first."""
    return in_status(session, TicketStatus.BUILDING, now, longer_than=rules.OVERDUE_AFTER, limit=limit)


@dataclass(frozen=True, slots=True)
class TicketFilter:
    """Which tickets a list shows; None and empty mean any."""

    statuses: tuple[str, ...] = ()
    client_id: int | None = None
    assignee_user_id: int | None = None
    words: str = ""
    before_id: int | None = None


def list_tickets(session: Session, wanted: TicketFilter, now: datetime, limit: int = 50) -> TicketPage:
    """Tickets newest first; the next page starts `before_id` the last row's id. `total` counts from this page on."""
    statement = select(*_COLUMNS)
    if wanted.statuses:
        statement = statement.where(Ticket.status.in_(wanted.statuses))
    if wanted.client_id is not None:
        statement = statement.where(Ticket.client_id == wanted.client_id)
    if wanted.assignee_user_id is not None:
        statement = statement.where(Ticket.assignee_user_id == wanted.assignee_user_id)
    if wanted.words.strip():
        statement = statement.where(Ticket.title.icontains(wanted.words.strip(), autoescape=True))
    if wanted.before_id is not None:
        statement = statement.where(Ticket.id < wanted.before_id)
    return _page(session, statement.order_by(Ticket.id.desc()).limit(min(limit, 200)), now)


@dataclass(frozen=True, slots=True)
class StatusCount:
    """How many tickets are in a status, and since when the oldest is."""

    status: TicketStatus
    name: str
    count: int
    oldest_since: datetime | None


def by_status(session: Session) -> list[StatusCount]:
    """Every status in the machine's order, with zeros, in one query."""
    statement = select(Ticket.status, func.count(), func.min(Ticket.status_since)).group_by(Ticket.status)
    found = {r[0]: r for r in session.execute(statement)}
    return [StatusCount(s, rules.NAMES[s], *(found[s][1:] if s in found else (0, None))) for s in TicketStatus]


@dataclass(frozen=True, slots=True)
class Load:
    """What one person carries now. `room` is how many more tickets fit under `rules.FULL_LOAD`."""

    user_id: int | None
    name: str
    open: int
    building: int
    reviewing: int
    overdue: int
    room: int


def capacity(session: Session, now: datetime) -> list[Load]:
    """Open tickets per person, busiest first: everybody who builds, whoever else has some, and nobody's last.

    `reviewing` counts the tickets that wait for this person's review; `open` those assigned to them.
    """
    overdue = and_(Ticket.status == TicketStatus.BUILDING, Ticket.status_since < now - rules.OVERDUE_AFTER)
    assigned = session.execute(
        select(
            Ticket.assignee_user_id, func.count(), func.count().filter(Ticket.status == TicketStatus.BUILDING),
            func.count().filter(overdue),
        ).where(Ticket.status.in_(_OPEN)).group_by(Ticket.assignee_user_id)
    )  # fmt: skip
    carried: dict[int | None, tuple[int, int, int]] = {r[0]: (r[1], r[2], r[3]) for r in assigned}
    reviews = session.execute(
        select(Ticket.reviewer_user_id, func.count())
        .where(Ticket.status == TicketStatus.REVIEW_PENDING)
        .group_by(Ticket.reviewer_user_id)
    )
    waiting: dict[int | None, int] = {r[0]: r[1] for r in reviews}
    loads = []
    for person in users.users(session):
        if not (person.id in carried or person.id in waiting or (person.enabled and person.role in rules.BUILD_ROLES)):
            continue
        mine = carried.get(person.id, (0, 0, 0))
        room = max(0, rules.FULL_LOAD - mine[0]) if person.enabled and person.role in rules.BUILD_ROLES else 0
        loads.append(Load(person.id, person.name, mine[0], mine[1], waiting.get(person.id, 0), mine[2], room))
    loads.sort(key=lambda load: (-load.open, -load.reviewing, load.name))
    if None in carried:
        loads.append(Load(None, NOBODY, *carried[None][:2], waiting.get(None, 0), carried[None][2], 0))
    return loads


@dataclass(frozen=True, slots=True)
class Flow:
    """Tickets that entered a status in a period: created, completed (closed), deployed, failed."""

    created: int
    completed: int
    deployed: int
    failed: int


_FLOW = text("""
    SELECT period, count(DISTINCT ticket_id) FILTER (WHERE to_status = 'SUBMITTED' AND from_status IS NULL),
        count(DISTINCT ticket_id) FILTER (WHERE to_status = 'CLOSED'),
        count(DISTINCT ticket_id) FILTER (WHERE to_status = 'DEPLOYED'),
        count(DISTINCT ticket_id) FILTER (WHERE to_status = 'FAILED')
    FROM (
        SELECT ticket_id, from_status, to_status, CASE WHEN at >= :start THEN 1 ELSE 0 END AS period
        FROM ticket_status_changes
        WHERE at >= :before AND at < :end AND to_status IN ('SUBMITTED', 'CLOSED', 'DEPLOYED', 'FAILED')
    ) changes GROUP BY period
""")


def flow(session: Session, before: datetime, start: datetime, end: datetime) -> tuple[Flow, Flow]:
    """What moved in [start, end), and in the period [before, start) it is compared with."""
    found = {r[0]: Flow(*r[1:]) for r in session.execute(_FLOW, {"before": before, "start": start, "end": end})}
    nothing = Flow(0, 0, 0, 0)
    return found.get(1, nothing), found.get(0, nothing)


def entered(session: Session, status: TicketStatus, start: datetime, end: datetime, now: datetime, limit: int = 50) -> TicketPage:
    """Tickets that entered a status in [start, end), the latest first, whatever they are now."""
    changes = (
        select(TicketStatusChange.ticket_id, func.max(TicketStatusChange.at).label("at"))
        .where(TicketStatusChange.to_status == status.value, TicketStatusChange.at >= start, TicketStatusChange.at < end)
        .group_by(TicketStatusChange.ticket_id)
        .subquery()
    )
    statement = select(*_COLUMNS).join(changes, changes.c.ticket_id == Ticket.id)
    return _page(session, statement.order_by(changes.c.at.desc(), Ticket.id).limit(limit), now)


def closed(session: Session, start: datetime, end: datetime, now: datetime, limit: int = 50) -> TicketPage:
    """Builds completed in [start, end), the latest first."""
    return entered(session, TicketStatus.CLOSED, start, end, now, limit)


def created_between(session: Session, start: datetime, end: datetime, now: datetime, limit: int = 50) -> TicketPage:
    """Tickets submitted in [start, end), the latest first."""
    statement = select(*_COLUMNS).where(Ticket.created_at >= start, Ticket.created_at < end)
    return _page(session, statement.order_by(Ticket.created_at.desc(), Ticket.id).limit(limit), now)


def completing(session: Session, start: datetime, end: datetime, now: datetime, limit: int = 50) -> TicketPage:
    """Open builds of clients that are due in [start, end), the earliest first."""
    statement = select(*_COLUMNS).where(
        Ticket.status.in_(_OPEN), Ticket.client_id.is_not(None), Ticket.due_at >= start, Ticket.due_at < end
    )
    return _page(session, statement.order_by(Ticket.due_at, Ticket.id).limit(limit), now)


def last_activity(session: Session) -> dict[int, datetime]:
    """When a ticket of each client last changed its status, by client id; clients without tickets are absent."""
    moved = func.max(func.greatest(Ticket.status_since, Ticket.created_at))
    statement = select(Ticket.client_id, moved).where(Ticket.client_id.is_not(None)).group_by(Ticket.client_id)
    return {r[0]: r[1] for r in session.execute(statement) if r[0] is not None}


def by_ids(session: Session, ids: Collection[int], now: datetime) -> dict[int, TicketRow]:
    """Tickets by id."""
    if not ids:
        return {}
    return {r.id: r for r in _page(session, select(*_COLUMNS).where(Ticket.id.in_(ids)), now).rows}


@dataclass(frozen=True, slots=True)
class StatusStep:
    """A ticket entered a status."""

    status: str
    at: datetime
    actor: str
    note: str | None


def history(session: Session, ticket_id: int) -> list[StatusStep]:
    """How a ticket got where it is, oldest first."""
    statement = (
        select(TicketStatusChange.to_status, TicketStatusChange.at, TicketStatusChange.actor, TicketStatusChange.note)
        .where(TicketStatusChange.ticket_id == ticket_id)
        .order_by(TicketStatusChange.at, TicketStatusChange.id)
    )
    return [StatusStep(*r) for r in session.execute(statement)]


def get(session: Session, ticket_id: int, now: datetime) -> TicketRow:
    """One ticket. Raises NotFound."""
    found = by_ids(session, [ticket_id], now)
    if ticket_id not in found:
        raise NotFound(f"There is no ticket {ticket_id}.", "It may have been cleared; reload the list.")
    return found[ticket_id]
