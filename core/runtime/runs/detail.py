"""Everything about one run, for its page, `ops runs show` and the API: a fixed number of queries whatever its size."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, or_, select, text
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.runtime.agents.models import ModelCall, RunFact
from core.runtime.events.models import Event
from core.runtime.runs.models import Run, RunLog, RunStep, StepState
from core.runtime.runs.rows import RunRow, row_columns, to_row
from core.runtime.schedules.models import Schedule

MAX_LOGS = 500
MAX_EVENTS = 100
MAX_RELATED = 50


@dataclass(frozen=True, slots=True)
class StepRow:
    """A named part of the run. `duration_s` counts on while it runs."""

    name: str
    label: str
    state: str
    attempt: int
    note: str | None
    started_at: datetime
    finished_at: datetime | None
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class LogRow:
    """A line the run wrote; `level` is info, warning or error."""

    id: int
    level: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event the run caused, or that is about it."""

    id: int
    type: str
    summary: str
    actor: str
    priority: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CauseLink:
    """One link of the chain that led to a run. `kind` is schedule, user, event, run, api or system; `id` is the thing's."""

    kind: str
    id: int | None
    label: str


@dataclass(frozen=True, slots=True)
class RunDetail:
    """`causes` go from the nearest cause to the root; `error` may hold a trace, for engineers only."""

    run: RunRow
    org_id: UUID
    key: str | None
    payload: dict[str, Any]
    output: dict[str, Any] | None
    error: dict[str, Any] | None
    timeout_s: int
    cancel_requested_at: datetime | None
    steps: tuple[StepRow, ...]
    logs: tuple[LogRow, ...]
    causes: tuple[CauseLink, ...]
    related: tuple[RunRow, ...]
    """Runs it led to, and its replays; newest first."""
    events: tuple[EventRow, ...]
    facts: int
    model_calls: int


def run_detail(session: Session, run_id: int) -> RunDetail:
    """The run with all that belongs to it. Raises NotFound. Six queries."""
    facts = select(func.count()).where(RunFact.run_id == Run.id).correlate(Run).scalar_subquery()
    calls = select(func.count()).where(ModelCall.run_id == Run.id).correlate(Run).scalar_subquery()
    more = (Run.org_id, Run.key, Run.payload, Run.output, Run.error, Run.timeout_s, Run.cancel_requested_at, facts, calls)
    columns = row_columns()
    found = session.execute(
        select(*columns, *more).outerjoin(Schedule, Schedule.id == Run.schedule_id).where(Run.id == run_id)
    ).first()
    if found is None:
        raise NotFound(f"There is no run {run_id}.", "See `ops runs list` or the Agent jobs page.")
    values = tuple(found)
    org_id, key, payload, output, error, timeout_s, cancel_at, fact_count, call_count = values[len(columns) :]
    return RunDetail(
        run=to_row(values[: len(columns)]),
        org_id=org_id,
        key=key,
        payload=payload,
        output=output,
        error=error,
        timeout_s=timeout_s,
        cancel_requested_at=cancel_at,
        steps=run_steps(session, run_id),
        logs=run_logs(session, run_id),
        causes=_causes(session, run_id),
        related=_related(session, run_id),
        events=_events(session, run_id),
        facts=fact_count,
        model_calls=call_count,
    )


def run_steps(session: Session, run_id: int) -> tuple[StepRow, ...]:
    """The run's steps in the order they began; what a page polls while the run is going."""
    end = func.coalesce(RunStep.finished_at, case((RunStep.state == StepState.RUNNING, func.clock_timestamp())))
    rows = session.execute(
        select(
            RunStep.name, RunStep.label, RunStep.state, RunStep.attempt, RunStep.note, RunStep.started_at,
            RunStep.finished_at, func.extract("epoch", end - RunStep.started_at),
        )
        .where(RunStep.run_id == run_id)
        .order_by(RunStep.id)
    )  # fmt: skip
    return tuple(StepRow(*r[:7], None if r[7] is None else max(0.0, float(r[7]))) for r in rows)


def run_logs(session: Session, run_id: int, after_id: int = 0) -> tuple[LogRow, ...]:
    """The last lines the run wrote after `after_id`, oldest first, at most MAX_LOGS."""
    rows = session.execute(
        select(RunLog.id, RunLog.level, RunLog.message, RunLog.at)
        .where(RunLog.run_id == run_id, RunLog.id > after_id)
        .order_by(RunLog.id.desc())
        .limit(MAX_LOGS)
    ).all()
    return tuple(LogRow(*r) for r in reversed(rows))


def _events(session: Session, run_id: int) -> tuple[EventRow, ...]:
    rows = session.execute(
        select(Event.id, Event.type, Event.summary, Event.actor, Event.priority, Event.created_at)
        .where(or_(Event.cause_run_id == run_id, (Event.subject_type == "run") & (Event.subject_id == run_id)))
        .order_by(Event.id)
        .limit(MAX_EVENTS)
    )
    return tuple(EventRow(*r) for r in rows)


def _related(session: Session, run_id: int) -> tuple[RunRow, ...]:
    rows = session.execute(
        select(*row_columns())
        .outerjoin(Schedule, Schedule.id == Run.schedule_id)
        .where(or_(Run.replay_of == run_id, (Run.cause_kind == "run") & (Run.cause_id == run_id)))
        .order_by(Run.id.desc())
        .limit(MAX_RELATED)
    )
    return tuple(to_row(tuple(r)) for r in rows)


# at most 6 links, since a reaction may be at most 5 hops from its first cause
_CHAIN = text("""
    WITH RECURSIVE chain (hop, kind, id, label) AS (
        SELECT 0, cause_kind, cause_id, cause_label FROM runs WHERE id = :id
        UNION ALL
        SELECT chain.hop + 1, up.kind, up.id, up.label FROM chain CROSS JOIN LATERAL (
            SELECT r.cause_kind AS kind, r.cause_id AS id, r.cause_label AS label FROM runs r
            WHERE chain.kind = 'run' AND r.id = chain.id
            UNION ALL
            SELECT CASE WHEN e.cause_event_id IS NOT NULL THEN 'event' WHEN e.cause_run_id IS NOT NULL THEN 'run'
                        WHEN e.actor_user_id IS NOT NULL THEN 'user' ELSE 'system' END,
                coalesce(e.cause_event_id, e.cause_run_id, e.actor_user_id), e.actor FROM events e
            WHERE chain.kind = 'event' AND e.id = chain.id
        ) AS up
        WHERE chain.hop < 5
    )
    SELECT chain.kind, chain.id, coalesce(s.title, e.summary, r.name, chain.label, chain.kind) FROM chain
    LEFT JOIN schedules s ON chain.kind = 'schedule' AND s.id = chain.id
    LEFT JOIN events e ON chain.kind = 'event' AND e.id = chain.id
    LEFT JOIN runs r ON chain.kind = 'run' AND r.id = chain.id
    ORDER BY chain.hop
""")


def _causes(session: Session, run_id: int) -> tuple[CauseLink, ...]:
    return tuple(CauseLink(*r) for r in session.execute(_CHAIN, {"id": run_id}))
