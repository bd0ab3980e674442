"""A run as lists show it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func

from core.runtime.runs.models import Run, RunState
from core.runtime.runs.rules import run_word
from core.runtime.schedules.models import Schedule


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as a list shows it. `title` is the schedule's title or the run's name; `word` is one of `rules.Word`."""

    id: int
    kind: str
    name: str
    title: str
    state: str
    reason: str | None
    word: str
    late: bool
    queue: str
    priority: int
    attempts: int
    max_attempts: int
    rescues: int
    progress: float
    progress_note: str | None
    cause_kind: str
    cause_id: int | None
    cause_label: str | None
    schedule_id: int | None
    replay_of: int | None
    due_at: datetime | None
    created_at: datetime
    run_after: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_s: float | None
    """From its first start to its end, or until now while it runs; None when it never started."""
    cancel_requested: bool
    cost_microusd: int
    tokens: int
    worker: str | None
    error_message: str | None
    error_next_step: str | None
    demo: bool


def duration() -> ColumnElement[Any]:
    """Seconds from a run's start to its end, or until now while it runs."""
    end = func.coalesce(Run.finished_at, case((Run.state == RunState.RUNNING, func.clock_timestamp())))
    return func.extract("epoch", end - Run.started_at)


def row_columns() -> list[ColumnElement[Any]]:
    """The columns behind a RunRow, in the order `to_row` wants them. Needs an outer join to schedules."""
    return [
        Run.id, Run.kind, Run.name, func.coalesce(Schedule.title, Run.name), Run.state, Run.reason, Run.late, Run.queue,
        Run.priority, Run.attempts, Run.max_attempts, Run.rescues, Run.progress, Run.progress_note, Run.cause_kind,
        Run.cause_id, Run.cause_label, Run.schedule_id, Run.replay_of, Run.due_at, Run.created_at, Run.run_after,
        Run.started_at, Run.finished_at, duration(), Run.cancel_requested_at.is_not(None), Run.cost_microusd, Run.tokens,
        Run.worker, Run.error["message"].astext, Run.error["next_step"].astext, Run.demo,
    ]  # fmt: skip


def to_row(values: Sequence[Any]) -> RunRow:
    """A RunRow from the values of `row_columns`."""
    v = list(values)
    length = None if v[24] is None else max(0.0, float(v[24]))
    shown = [*v[:6], run_word(v[4], v[5]), *v[6:24], length, *v[25:]]
    return RunRow(*shown)
