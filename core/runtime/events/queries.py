"""Read models of events for the Activity page: filtered pages, counts, and what caused what."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.runtime.events.models import Event
from core.runtime.orgs.models import Organisation

MAX_PAGE = 200
_MAX_LINKS = 12


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to show. Empty and None mean: any. `before_id` is where the next page starts.

    A type that ends in "." means the whole family: "ticket." is every event about tickets.
    """

    types: tuple[str, ...] = ()
    actor: str | None = None
    subject: tuple[str, int] | None = None
    org_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    priorities: tuple[str, ...] = ()
    cause_run_id: int | None = None
    before_id: int | None = None


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event as a list shows it. `org_name` is the organisation it belongs to."""

    id: int
    type: str
    summary: str
    payload: Mapping[str, Any]
    actor: str
    actor_user_id: int | None
    to_agents: tuple[str, ...]
    priority: str
    subject_type: str | None
    subject_id: int | None
    cause_event_id: int | None
    cause_run_id: int | None
    hop: int
    at: datetime
    demo: bool
    org_id: UUID
    org_name: str


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events newest first; `next_before_id` is None on the last page."""

    rows: tuple[EventRow, ...]
    next_before_id: int | None


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")


def _type_is(types: tuple[str, ...]) -> ColumnElement[bool]:
    exact = [t for t in types if not t.endswith(".")]
    wanted: ColumnElement[bool] = Event.type.in_(exact)
    for family in (t for t in types if t.endswith(".")):
        wanted = wanted | Event.type.startswith(family, autoescape=True)
    return wanted


def _conditions(wanted: EventFilter) -> list[ColumnElement[bool]]:
    made: list[ColumnElement[bool]] = []
    if wanted.types:
        made.append(_type_is(wanted.types))
    if wanted.subject is not None:
        made += [Event.subject_type == wanted.subject[0], Event.subject_id == wanted.subject[1]]
    if wanted.text.strip():
        pattern = f"%{_escaped(wanted.text.strip())}%"
        made.append(Event.summary.ilike(pattern) | Event.type.ilike(pattern))
    if wanted.priorities:
        made.append(Event.priority.in_(wanted.priorities))
    if wanted.since is not None:
        made.append(Event.created_at >= wanted.since)
    if wanted.until is not None:
        made.append(Event.created_at < wanted.until)
    for column, value in (
        (Event.actor, wanted.actor),
        (Event.org_id, wanted.org_id),
        (Event.cause_run_id, wanted.cause_run_id),
    ):
        if value is not None:
            made.append(column == value)
    if wanted.before_id is not None:
        made.append(Event.id < wanted.before_id)
    return made


_COLUMNS = (
    Event.id, Event.type, Event.summary, Event.payload, Event.actor, Event.actor_user_id, Event.to_agents, Event.priority,
    Event.subject_type, Event.subject_id, Event.cause_event_id, Event.cause_run_id, Event.hop, Event.created_at, Event.demo,
    Event.org_id, Organisation.name,
)  # fmt: skip


def _row(found: Any) -> EventRow:
    values = [*found]
    values[6] = tuple(found.to_agents)
    return EventRow(*values)


def list_events(session: Session, wanted: EventFilter, limit: int = 50) -> EventPage:
    """One page of events, newest first, in one query."""
    limit = max(1, min(limit, MAX_PAGE))
    statement: Any = select(*_COLUMNS).join(Organisation, Organisation.id == Event.org_id)
    found = session.execute(statement.where(*_conditions(wanted)).order_by(Event.id.desc()).limit(limit + 1)).all()
    rows = tuple(_row(r) for r in found[:limit])
    return EventPage(rows, rows[-1].id if len(found) > limit else None)


def get(session: Session, event_id: int) -> EventRow:
    """One event. Raises NotFound."""
    statement: Any = select(*_COLUMNS).join(Organisation, Organisation.id == Event.org_id).where(Event.id == event_id)
    found = session.execute(statement).first()
    if found is None:
        raise NotFound(f"There is no event {event_id}.", "It may have been cleared; reload the list.")
    return _row(found)


def counts_by_type(session: Session, wanted: EventFilter | None = None) -> dict[str, int]:
    """How many events of each type pass the filter (its types and its page aside), most frequent first."""
    where = _conditions(replace(wanted or EventFilter(), types=(), before_id=None))
    number = func.count()
    statement = select(Event.type, number).where(*where).group_by(Event.type).order_by(number.desc(), Event.type)
    return {r[0]: r[1] for r in session.execute(statement)}


def actors(session: Session, since: datetime, limit: int = 50) -> list[str]:
    """Who did something since then, busiest first."""
    statement = select(Event.actor).where(Event.created_at >= since).group_by(Event.actor)
    return list(session.scalars(statement.order_by(func.count().desc(), Event.actor).limit(limit)))


@dataclass(frozen=True, slots=True)
class CauseLink:
    """One link of a chain. `kind` is event or run; `by` says who or what, in words, started it."""

    kind: str
    id: int
    name: str
    summary: str
    by: str
    state: str | None
    at: datetime


_CHAIN = text("""
    WITH RECURSIVE chain(depth, kind, id) AS (
        SELECT 0, 'event', CAST(:event_id AS bigint)
        UNION ALL
        SELECT chain.depth + 1, cause.kind, cause.id
        FROM chain
        LEFT JOIN events e ON chain.kind = 'event' AND e.id = chain.id
        LEFT JOIN runs r ON chain.kind = 'run' AND r.id = chain.id
        CROSS JOIN LATERAL (
            SELECT 'run' AS kind, e.cause_run_id AS id WHERE e.cause_run_id IS NOT NULL
            UNION ALL
            SELECT 'event', e.cause_event_id WHERE e.cause_run_id IS NULL AND e.cause_event_id IS NOT NULL
            UNION ALL
            SELECT 'run', r.replay_of WHERE r.replay_of IS NOT NULL
            UNION ALL
            SELECT r.cause_kind, r.cause_id
            WHERE r.replay_of IS NULL AND r.cause_kind IN ('event', 'run') AND r.cause_id IS NOT NULL
        ) cause
        WHERE chain.depth < :most
    ) CYCLE kind, id SET looped USING path
    SELECT chain.kind, chain.id, coalesce(e.type, r.name), coalesce(e.summary, r.name),
        coalesce(e.actor, r.cause_label, 'System'), r.state, coalesce(e.created_at, r.created_at)
    FROM chain
    LEFT JOIN events e ON chain.kind = 'event' AND e.id = chain.id
    LEFT JOIN runs r ON chain.kind = 'run' AND r.id = chain.id
    WHERE NOT looped AND coalesce(e.id, r.id) IS NOT NULL
    ORDER BY chain.depth DESC
""")


def cause_chain(session: Session, event_id: int) -> list[CauseLink]:
    """What led to an event: its first known cause first, the event itself last. Empty when there is no such event."""
    return [CauseLink(*r) for r in session.execute(_CHAIN, {"event_id": event_id, "most": _MAX_LINKS})]


def subjects_since(session: Session, type: str, subject_type: str, since: datetime) -> set[int]:
    """Ids of the subjects such an event was published about since then, so that nobody is told twice."""
    statement = select(Event.subject_id).where(
        Event.type == type, Event.subject_type == subject_type, Event.created_at >= since, Event.subject_id.is_not(None)
    )
    return {i for i in session.scalars(statement) if i is not None}
