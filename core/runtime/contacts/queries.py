"""Read models of who must not be written to, and of who was reached when."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import TEXT, bindparam, case, func, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.orm import Session

from core.errors import BadInput, NotFound
from core.runtime.contacts import rules
from core.runtime.contacts.counting import AT, COUNTS
from core.runtime.contacts.models import Suppression, Why
from core.runtime.orgs.models import Organisation

WEIGHT: Final = (Why.COMPLAINT, Why.OPT_OUT, Why.BOUNCE, Why.MANUAL)
"""The weightiest reason first: the person's own word before a machine's, a machine's before ours."""
heaviest: Final = case({w.value: i for i, w in enumerate(WEIGHT)}, value=Suppression.why, else_=len(WEIGHT))


# made once: each effect asks it
_SUPPRESSED = (
    select(Suppression.person, Suppression.why)
    .where(Suppression.person == func.any(bindparam("people", type_=ARRAY(TEXT))))
    .ext(distinct_on(Suppression.person))
    .order_by(Suppression.person, heaviest)
)


def suppressed(session: Session, people: Collection[str]) -> dict[str, str]:
    """Which of these people must not be written to, with the weightiest reason, whichever organisation learned of it.

    Takes person keys (any spelling of an address works) and answers by what it was given. Needs the scope of staff: an
    organisation on its own sees only what it learned itself. Raises BadInput for an address that can't be read.
    """
    keys = {p: rules.person_key(p) if "@" in p else p for p in people}
    if not keys:
        return {}
    why = {r.person: r.why for r in session.execute(_SUPPRESSED, {"people": sorted(set(keys.values()))})}
    return {given: why[key] for given, key in keys.items() if key in why}


@dataclass(frozen=True, slots=True)
class SuppressionRow:
    """One entry of the list. `others` counts further entries for the same person by other organisations."""

    id: int
    org_id: UUID
    org: str
    person: str
    address: str
    why: Why
    source: str
    note: str | None
    created_at: datetime
    others: int


@dataclass(frozen=True, slots=True)
class SuppressionPage:
    """A page of entries, newest first. `next` goes into `before` for the following page."""

    rows: list[SuppressionRow]
    next: int | None


def _rows(session: Session, where: list[Any], limit: int) -> list[SuppressionRow]:
    other = Suppression.__table__.alias("other")
    others = select(func.count()).where(other.c.person == Suppression.person, other.c.id != Suppression.id).scalar_subquery()
    found = session.execute(
        select(Suppression, Organisation.name, others)
        .join(Organisation, Organisation.id == Suppression.org_id)
        .where(*where)
        .order_by(Suppression.id.desc())
        .limit(limit)
    )
    return [
        SuppressionRow(s.id, s.org_id, org, s.person, s.address, Why(s.why), s.source, s.note, s.created_at, n)
        for s, org, n in found
    ]


def suppressions(
    session: Session, *, search: str = "", why: Why | None = None, before: int | None = None, limit: int = 50
) -> SuppressionPage:
    """The suppression list, newest first. `search` is any part of the address, source or note, or any spelling of it."""
    where: list[Any] = []
    wanted = search.strip()
    if wanted:
        where.append(_matches(wanted))
    if why is not None:
        where.append(Suppression.why == why.value)
    if before is not None:
        where.append(Suppression.id < before)
    rows = _rows(session, where, limit + 1)
    return SuppressionPage(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def _matches(wanted: str) -> Any:
    fields = (Suppression.person, Suppression.address, Suppression.source, Suppression.note)
    parts = [f.icontains(wanted.replace("\x00", ""), autoescape=True) for f in fields]
    with suppress(BadInput):  # a part of an address has no key
        parts.append(Suppression.person == rules.person_key(wanted))
    return or_(*parts)


def of_person(session: Session, address: str) -> list[SuppressionRow]:
    """A person's entries, the weightiest first. Raises BadInput."""
    rows = _rows(session, [Suppression.person == rules.person_key(address)], 100)
    return sorted(rows, key=lambda r: (WEIGHT.index(r.why), r.id))


def suppression(session: Session, suppression_id: int) -> SuppressionRow:
    """One entry. Raises NotFound."""
    rows = _rows(session, [Suppression.id == suppression_id], 1)
    if not rows:
        raise NotFound("That entry is not on the suppression list.", "It may have been lifted meanwhile; reload the list.")
    return rows[0]


def counts(session: Session) -> Mapping[Why, int]:
    """People on the list by reason; a person with two entries counts once, for the weightiest."""
    each = (
        select(Suppression.person, Suppression.why)
        .ext(distinct_on(Suppression.person))
        .order_by(Suppression.person, heaviest)
        .subquery()
    )
    rows = session.execute(select(each.c.why, func.count()).group_by(each.c.why))
    found = {Why(why): n for why, n in rows}
    return {w: found.get(w, 0) for w in WEIGHT}


@dataclass(frozen=True, slots=True)
class Reached:
    """Something that went to a person, or is on its way. Dry runs are left out: they reach nobody."""

    action_id: int
    title: str
    kind: str
    org: str
    requested_by: str
    state: str
    at: datetime


_HISTORY = text(f"""
    WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now)
    SELECT a.id AS action_id, a.title, e.kind, o.name AS org, a.requested_by, e.state, {AT} AS at
    FROM moment, effects e JOIN actions a ON a.id = e.action_id JOIN organisations o ON o.id = e.org_id
    WHERE e.recipients @> ARRAY[CAST(:person AS text)] AND {COUNTS}
    ORDER BY 7 DESC, e.id DESC LIMIT :limit
""")  # noqa: S608


def history(session: Session, person: str, *, limit: int = 50) -> list[Reached]:
    """What reached a person, by every sender and for every organisation, newest first. Raises BadInput."""
    rows = session.execute(_HISTORY, {"person": rules.person_key(person), "limit": limit})
    return [Reached(**r) for r in rows.mappings()]


_CONTACTS = text(f"""
    WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now)
    SELECT count(*) FILTER (WHERE at > now - interval '1 day') AS day,
        count(*) FILTER (WHERE at > now - interval '7 days') AS week,
        count(*) FILTER (WHERE at > now - interval '30 days') AS month, max(at) AS last_at
    FROM (
        SELECT {AT} AS at, moment.now FROM moment, effects e
        WHERE e.recipients @> ARRAY[CAST(:person AS text)] AND {COUNTS}
            AND (e.finished_at IS NULL OR e.finished_at > (SELECT now - interval '31 days' FROM moment))
    ) contact WHERE at > now - interval '31 days'
""")  # noqa: S608


@dataclass(frozen=True, slots=True)
class Contacts:
    """How often a person was reached within the last 1, 7 and 30 days, by every sender. `last_at` within 31 days."""

    day: int
    week: int
    month: int
    last_at: datetime | None


def contacts(session: Session, person: str) -> Contacts:
    """How often a person was reached lately. Raises BadInput."""
    return Contacts(**session.execute(_CONTACTS, {"person": rules.person_key(person)}).mappings().one())
