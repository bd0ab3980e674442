"""Read models of policies: their numbers in words, what they decided, and who changed what."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.runtime.events.models import Event
from core.runtime.orgs.models import AGENCY_ID, Organisation
from core.runtime.policies import numbers, registry, rules, settings
from core.runtime.policies.models import PolicySetting, Verdict
from core.runtime.policies.registry import Number, Policy

__all__ = ["Changes", "Line", "NumberLine", "PolicyView", "VerdictRow", "every", "one", "rules", "verdicts"]
DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class NumberLine:
    """One number: what holds, in words, and what would hold without the organisation's own row."""

    number: Number
    value: Any
    base: Any
    shown: str
    own: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One policy in the list. `decided` counts its verdicts of the last days, each action with its last word."""

    key: str
    title: str
    purpose: str
    numbers: tuple[NumberLine, ...]
    decided: dict[Verdict, int]
    edited_by: str | None
    edited_at: datetime | None
    pending_by: str | None
    two_people: bool
    judges: bool
    """False for one that bounds something else than actions."""
    own_clients: int
    """How many clients have numbers of their own."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the numbers, as it is told."""

    at: datetime
    by: str
    summary: str
    org: str
    type: str


Changes = tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class PolicyView:
    """One policy with everything its page shows, for one organisation's numbers."""

    line: Line
    policy: Policy
    org_id: UUID
    values: dict[str, Any]
    version: int
    own: dict[str, Any]
    pending: dict[str, Any] | None
    changes: Changes
    organisations: tuple[tuple[UUID, str], ...]
    by_day: tuple[tuple[datetime, dict[Verdict, int]], ...]


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """The last word of a policy about one action."""

    action_id: int
    title: str
    org: str
    stage: str
    verdict: Verdict
    reason: str
    until: datetime | None
    at: datetime


# statement_timestamp, not clock_timestamp: only what stays the same in a statement bounds the walk of an index
_DECIDED = text("""
    SELECT p.policy, d.verdict, d.n FROM unnest(CAST(:policies AS text[])) AS p (policy) CROSS JOIN LATERAL (
        SELECT verdict, count(*) AS n FROM (
            SELECT DISTINCT ON (action_id) verdict FROM policy_verdicts v
            WHERE v.policy = p.policy AND at > statement_timestamp() - make_interval(days => :days) ORDER BY action_id, id DESC
        ) last GROUP BY verdict
    ) d
""")
_BY_DAY = text("""
    SELECT date_trunc('day', at AT TIME ZONE :zone) AS day, verdict, count(*) AS n FROM (
        SELECT DISTINCT ON (action_id) verdict, at FROM policy_verdicts
        WHERE policy = :policy AND at > statement_timestamp() - make_interval(days => :days) ORDER BY action_id, id DESC
    ) last GROUP BY 1, 2 ORDER BY 1
""")
_VERDICTS = text("""
    SELECT v.action_id, a.title, o.name AS org, v.stage, v.verdict, v.reason, v.until, v.at FROM (
        SELECT DISTINCT ON (action_id) * FROM policy_verdicts
        WHERE policy = :policy AND at > statement_timestamp() - make_interval(days => :days) ORDER BY action_id, id DESC
    ) v JOIN actions a ON a.id = v.action_id JOIN organisations o ON o.id = v.org_id
    WHERE (CAST(:verdict AS text) IS NULL OR v.verdict = CAST(:verdict AS text)) ORDER BY v.at DESC, v.action_id DESC LIMIT :limit
""")


def every(session: Session) -> list[Line]:
    """All policies in order, with the agency's numbers. Four queries however many there are."""
    rows = session.execute(select(PolicySetting)).scalars().all()
    held = settings.everything(session, AGENCY_ID)
    decided: dict[str, dict[Verdict, int]] = {}
    keys = [p.key for p in registry.policies()]
    for r in session.execute(_DECIDED, {"policies": keys, "days": DAYS}):
        decided.setdefault(r.policy, {})[Verdict(r.verdict)] = r.n
    agency = {r.policy: r for r in rows if r.org_id == AGENCY_ID}
    own: dict[str, int] = {}
    for row in rows:
        if row.org_id != AGENCY_ID and row.values:
            own[row.policy] = own.get(row.policy, 0) + 1
    return [
        _line(p, held[p.key], agency.get(p.key), p.defaults, decided.get(p.key, {}), own.get(p.key, 0))
        for p in registry.policies()
    ]


def _line(
    policy: Policy, held: Mapping[str, Any], row: PolicySetting | None, base: Mapping[str, Any], decided: dict[Verdict, int],
    own_clients: int,
) -> Line:  # fmt: skip
    own = row.values if row else {}
    lines = tuple(NumberLine(n, held[n.key], base[n.key], numbers.say(n, held[n.key]), n.key in own) for n in policy.numbers)
    changed = row is not None and (bool(row.values) or row.version > 1)
    return Line(
        policy.key, policy.title, policy.purpose, lines, decided,
        row.edited_by if row and changed else None, row.edited_at if row and changed else None,
        str(row.pending["by"]) if row and row.pending else None, policy.two_people, bool(policy.stages), own_clients,
    )  # fmt: skip


def one(session: Session, key: str, org_id: UUID = AGENCY_ID, *, zone: str = "UTC") -> PolicyView:
    """One policy. Raises NotFound for one that does not exist, or an organisation that does not."""
    policy = next((p for p in registry.policies() if p.key == key), None)
    orgs = session.execute(select(Organisation.id, Organisation.name, Organisation.kind)).all()
    if policy is None or org_id not in {o.id for o in orgs}:
        raise NotFound("There is no such policy.", "Choose one on the Policies page.")
    held = settings.values(session, org_id, key)
    wanted = select(PolicySetting).where(PolicySetting.policy == key)
    rows = {r.org_id: r for r in session.execute(wanted).scalars()}
    row = rows.get(org_id)
    base = policy.defaults if org_id == AGENCY_ID else settings.values(session, AGENCY_ID, key)
    by_day: dict[datetime, dict[Verdict, int]] = {}
    for r in session.execute(_BY_DAY, {"policy": key, "days": DAYS, "zone": zone}):
        by_day.setdefault(r.day, {})[Verdict(r.verdict)] = r.n
    decided: dict[Verdict, int] = {}
    for counts in by_day.values():
        for verdict, n in counts.items():
            decided[verdict] = decided.get(verdict, 0) + n
    clients = sum(1 for o, r in rows.items() if o != AGENCY_ID and r.values)
    names = {o.id: o.name for o in orgs}
    ordered = sorted(orgs, key=lambda o: (o.kind != "agency", o.name.lower()))
    return PolicyView(
        _line(policy, held, row, base, decided, clients), policy, org_id, held, row.version if row else 0,
        dict(row.values) if row else {}, row.pending if row else None, _changes(session, [r.id for r in rows.values()], names),
        tuple((o.id, o.name) for o in ordered), tuple(sorted(by_day.items())),
    )  # fmt: skip


def _changes(session: Session, row_ids: list[int], names: Mapping[UUID, str]) -> Changes:
    if not row_ids:
        return ()
    found = session.execute(
        select(Event.created_at, Event.actor, Event.summary, Event.org_id, Event.type)
        .where(Event.subject_type == "policy", Event.subject_id.in_(row_ids))
        .order_by(Event.id.desc())
        .limit(50)
    )
    return tuple(Change(at, by, summary, names.get(org, ""), type_) for at, by, summary, org, type_ in found)


def verdicts(
    session: Session, key: str, *, verdict: Verdict | None = None, days: int = DAYS, limit: int = 100
) -> list[VerdictRow]:  # fmt: skip
    """What a policy decided lately, newest first, each action with its last word."""
    found = session.execute(
        _VERDICTS, {"policy": key, "days": days, "verdict": verdict.value if verdict else None, "limit": limit}
    )
    return [VerdictRow(r.action_id, r.title, r.org, r.stage, Verdict(r.verdict), r.reason, r.until, r.at) for r in found]
