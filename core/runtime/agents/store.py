"""A run's facts in the database: collected read-only, saved once, read back the same after a restart."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.config import get_settings
from core.kit import clock
from core.runtime.agents.facts import Fact, FactContext, Section, SectionSpec, from_outside
from core.runtime.agents.models import RunFact
from core.runtime.agents.untrusted import clean_fact, section_line
from core.runtime.orgs.models import Organisation

_READ_ONLY = text("SET LOCAL transaction_read_only = on")
_BATCH = 200


def context_of(session: Session, org_id: UUID, payload: Mapping[str, Any], now: datetime) -> FactContext:
    """What a run with this payload collects its facts for, at `now`: the job's params, what stands beside them, local time."""
    name = session.scalar(select(Organisation.time_zone).where(Organisation.id == org_id)) or get_settings().time_zone
    inner = payload.get("params")
    params = {k: v for k, v in payload.items() if k not in ("agent", "params", "as_of")}
    return FactContext(now, clock.zone(name), org_id, {**params, **(inner if isinstance(inner, Mapping) else {})})


def collect(session: Session, spec: SectionSpec, when: FactContext) -> Section:
    """The section's facts, found by a collector that cannot write.

    The savepoint it runs in is rolled back, which also gives the transaction its right to write back.
    """
    savepoint = session.begin_nested()
    try:
        session.execute(_READ_ONLY)
        return spec.collect(session, when)
    finally:
        savepoint.rollback()


def save(
    session: Session, run_id: int, org_id: UUID, as_of: Any, sections: Sequence[Section], first: int = 0
) -> list[dict[str, Any]]:
    """Save the facts of `sections` and return what of the sections is not in their facts, to be kept with the step.

    A key that comes twice keeps its first fact. Positions start at `first`.
    """
    seen: set[str] = set()
    values: list[dict[str, Any]] = []
    for section in sections:
        for fact in section.facts:
            if fact.key not in seen:
                seen.add(fact.key)
                values.append(
                    {"org_id": org_id, "run_id": run_id, "position": first + len(values), "section": section.key, "as_of": as_of}
                    | clean_fact(fact)
                )
    for at in range(0, len(values), _BATCH):
        statement = insert(RunFact).values(values[at : at + _BATCH])
        changed = {c: getattr(statement.excluded, c) for c in values[0] if c not in ("org_id", "run_id", "key")}
        session.execute(statement.on_conflict_do_update(constraint="run_facts_key", set_=changed))
    return [section_line(s) for s in sections]


def load(session: Session, run_id: int, kept: Sequence[Mapping[str, Any]]) -> tuple[Section, ...]:
    """The sections as they were collected, from the saved facts and what `save` returned."""
    facts = load_facts(session, run_id)
    return tuple(
        Section(s["key"], s["title"], tuple(facts[k] for k in s["facts"] if k in facts), tuple(s["lines"])) for s in kept
    )


def load_facts(session: Session, run_id: int) -> dict[str, Fact]:
    """All facts of the run by key, those looked up by the model included."""
    rows = session.scalars(select(RunFact).where(RunFact.run_id == run_id).order_by(RunFact.position, RunFact.id))
    return {
        r.key: Fact(
            r.key, r.label, r.value, r.unit, r.shown, r.query, tuple(r.rows), r.row_count, r.params, r.href,
            from_outside(r.section, r.unit),
        )
        for r in rows
    }  # fmt: skip


def sections_by_key(session: Session, run_id: int) -> dict[str, str]:
    """Which section each of the run's facts belongs to."""
    found = session.execute(select(RunFact.key, RunFact.section).where(RunFact.run_id == run_id))
    return {r.key: r.section for r in found}


def next_position(session: Session, run_id: int) -> int:
    """Where facts looked up later start."""
    return int(session.scalar(select(func.coalesce(func.max(RunFact.position), -1)).where(RunFact.run_id == run_id)) or 0) + 1
