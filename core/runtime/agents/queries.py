"""Read models of agent runs: their facts, their reports, what the model cost. Costs are millionths of a US dollar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Date, cast, func, select, text
from sqlalchemy.orm import Session, load_only

from core.config import get_settings
from core.errors import NotFound
from core.runtime.agents.models import ModelCall, RunFact
from core.runtime.agents.prose import Block, blocks, first_sentence, plain
from core.runtime.agents.specs import AGENT_JOB
from core.runtime.runs.models import Run, RunState


@dataclass(frozen=True, slots=True)
class FactLine:
    """One fact of a run without its rows."""

    key: str
    section: str
    label: str
    value: Any
    unit: str
    shown: str
    as_of: datetime
    row_count: int
    href: str | None


@dataclass(frozen=True, slots=True)
class FactDetail(FactLine):
    """One fact with what is behind it: the query by name, its parameters, and at most 50 of its rows."""

    query: str
    params: dict[str, Any]
    rows: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Report:
    """A finished report. `blocks` are its lines with every number as a segment that names its fact.

    `composer` is "template" or the model's name; `note` says in a sentence why the template was used, if it was.
    """

    run_id: int
    schedule: str
    composer: str
    note: str | None
    as_of: datetime
    finished_at: datetime | None
    blocks: list[Block]
    headline: str


@dataclass(frozen=True, slots=True)
class CallLine:
    """One model call of a run."""

    id: int
    purpose: str
    model: str
    prompt: str
    outcome: str
    input_tokens: int
    output_tokens: int
    cost_microusd: int
    duration_ms: int
    detail: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ScheduleCost:
    """What the runs of one schedule cost over a period."""

    schedule_id: int | None
    name: str
    runs: int
    tokens: int
    cost_microusd: int


_LINE = (
    RunFact.key, RunFact.section, RunFact.label, RunFact.value, RunFact.unit, RunFact.shown, RunFact.as_of,
    RunFact.row_count, RunFact.href,
)  # fmt: skip


def facts_of_run(session: Session, run_id: int) -> list[FactLine]:
    """All facts of a run in the order they were collected, without their rows."""
    found = session.execute(select(*_LINE).where(RunFact.run_id == run_id).order_by(RunFact.position, RunFact.id))
    return [FactLine(*row) for row in found]


def fact(session: Session, run_id: int, key: str) -> FactDetail:
    """One fact with its rows. Raises NotFound."""
    row = session.execute(
        select(*_LINE, RunFact.query, RunFact.params, RunFact.rows).where(RunFact.run_id == run_id, RunFact.key == key)
    ).first()
    if row is None:
        raise NotFound(f"Run {run_id} has no fact “{key}”.", "Open the run to see the facts it has.")
    return FactDetail(*row)


def report_of_run(session: Session, run_id: int) -> Report:
    """The report a run wrote. Raises NotFound when it wrote none (yet)."""
    run = session.get(Run, run_id)
    if run is None or run.kind != AGENT_JOB or not (run.output or {}).get("text"):
        raise NotFound(f"Run {run_id} has no report.", "Open the run to see how it is going.")
    return _report(session, run)


def report_text(session: Session, run_id: int, output: Mapping[str, Any] | None) -> str | None:
    """What a run's output says as plain text, each citation replaced by what its fact shows. None when it says nothing."""
    written = (output or {}).get("text")
    if not isinstance(written, str):
        return None
    return plain(written, facts_of_run(session, run_id))


def latest_report(session: Session, schedule_name: str) -> Report | None:
    """The newest report of a schedule, or None when it has not written one."""
    run = session.scalars(
        select(Run)
        .options(load_only(Run.id, Run.name, Run.kind, Run.output, Run.finished_at, Run.created_at))
        .where(Run.name == schedule_name, Run.kind == AGENT_JOB, Run.state == RunState.SUCCEEDED)
        .order_by(Run.id.desc())
        .limit(1)
    ).first()
    return _report(session, run) if run is not None and (run.output or {}).get("text") else None


def _report(session: Session, run: Run) -> Report:
    output = run.output or {}
    facts = {f.key: f for f in facts_of_run(session, run.id)}
    written = str(output["text"])
    return Report(
        run.id,
        run.name,
        str(output.get("composer") or "template"),
        output.get("note"),
        max((f.as_of for f in facts.values()), default=run.finished_at or run.created_at),
        run.finished_at,
        blocks(written, facts),
        first_sentence(written, facts),
    )


def calls_of_run(session: Session, run_id: int) -> list[CallLine]:
    """The model calls of a run, oldest first."""
    found = session.execute(
        select(
            ModelCall.id, ModelCall.purpose, ModelCall.model, ModelCall.prompt, ModelCall.outcome, ModelCall.input_tokens,
            ModelCall.output_tokens, ModelCall.cost_microusd, ModelCall.duration_ms, ModelCall.detail, ModelCall.created_at,
        ).where(ModelCall.run_id == run_id).order_by(ModelCall.id)
    )  # fmt: skip
    return [CallLine(*row) for row in found]


DAY_START = text("(date_trunc('day', statement_timestamp() AT TIME ZONE :zone) AT TIME ZONE :zone)")
"""The start of the agency's day as an instant; bind `zone`."""


def cost_today(session: Session) -> int:
    """What the model cost since midnight in the agency's zone, calls under way counted at the most they can cost."""
    zone = get_settings().time_zone
    start = session.scalar(select(DAY_START.bindparams(zone=zone)))
    spent = session.scalar(select(func.coalesce(func.sum(ModelCall.cost_microusd), 0)).where(ModelCall.created_at >= start))
    return int(spent or 0)


def cost_by_schedule(session: Session, days: int = 30) -> list[ScheduleCost]:
    """What each schedule's runs of the last `days` days cost, dearest first."""
    since = func.statement_timestamp() - timedelta(days=days)
    found = session.execute(
        select(
            Run.schedule_id,
            func.max(Run.name),
            func.count(),
            func.coalesce(func.sum(Run.tokens), 0),
            func.coalesce(func.sum(Run.cost_microusd), 0),
        )
        .where(Run.kind == AGENT_JOB, Run.created_at >= since)
        .group_by(Run.schedule_id)
        .order_by(func.sum(Run.cost_microusd).desc(), func.max(Run.name))
    )
    return [ScheduleCost(i, name, int(runs), int(tokens), int(cost)) for i, name, runs, tokens, cost in found]


def cost_by_day(session: Session, days: int = 14) -> Sequence[tuple[Any, int]]:
    """(local day, cost) of each day with model calls, oldest first."""
    zone = get_settings().time_zone
    day = cast(func.timezone(zone, ModelCall.created_at), Date)
    found = session.execute(
        select(day, func.sum(ModelCall.cost_microusd))
        .where(ModelCall.created_at >= func.statement_timestamp() - timedelta(days=days))
        .group_by(day)
        .order_by(day)
    )
    return [(when, int(cost)) for when, cost in found]
