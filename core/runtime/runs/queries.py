"""Read models of the ledger for pages, the API and the CLI. Times are UTC, lengths are seconds by the database's clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select, text
from sqlalchemy.orm import Session

from core.config import get_settings
from core.kit import clock
from core.runtime.runs.detail import CauseLink as CauseLink
from core.runtime.runs.detail import EventRow as EventRow
from core.runtime.runs.detail import LogRow as LogRow
from core.runtime.runs.detail import RunDetail as RunDetail
from core.runtime.runs.detail import StepRow as StepRow
from core.runtime.runs.detail import run_detail as run_detail
from core.runtime.runs.detail import run_logs as run_logs
from core.runtime.runs.detail import run_steps as run_steps
from core.runtime.runs.models import Run
from core.runtime.runs.rows import RunRow as RunRow
from core.runtime.runs.rows import row_columns, to_row
from core.runtime.runs.rules import Word, run_word, states_of
from core.runtime.schedules.models import Schedule

MAX_PAGE = 200


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs. Empty means all; several parts must all hold, several values of one part are alternatives.

    `since` and `until` bound `created_at` (until is exclusive); `text` looks in name, title, cause, error and id;
    `before_id` is the page's key: only runs with a smaller id.
    """

    states: Sequence[str] = ()
    words: Sequence[str] = ()
    names: Sequence[str] = ()
    kinds: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    schedule_id: int | None = None
    late: bool | None = None
    before_id: int | None = None


@dataclass(frozen=True, slots=True)
class RunPage:
    """`next_before_id` asks for the following page; None when this is the last."""

    rows: tuple[RunRow, ...]
    next_before_id: int | None
    as_of: datetime = field(default_factory=clock.now)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many runs stand at each word (every word is there, most are 0), how many of all were late, and all."""

    by_word: dict[str, int]
    late: int
    total: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run in a schedule's strip. `at` is when it was due, or made."""

    run_id: int
    word: str
    late: bool
    at: datetime
    duration_s: float | None
    cost_microusd: int
    error_message: str | None


@dataclass(frozen=True, slots=True)
class DayOutcomes:
    """Runs made on one local day, by word; words with none are left out."""

    day: date
    by_word: dict[str, int]


def _is_word(word: str) -> ColumnElement[bool]:
    try:
        state, reasons, only = states_of(Word(word))
    except ValueError:
        return false()
    values = [r.value for r in reasons]
    if only:
        return and_(Run.state == state, Run.reason.in_(values))
    if not values:
        return Run.state == state
    return and_(Run.state == state, or_(Run.reason.is_(None), Run.reason.not_in(values)))


def _says(words: str) -> ColumnElement[bool]:
    found = [
        Run.name.icontains(words, autoescape=True),
        Run.cause_label.icontains(words, autoescape=True),
        Run.error["message"].astext.icontains(words, autoescape=True),
        Run.schedule_id.in_(select(Schedule.id).where(Schedule.title.icontains(words, autoescape=True))),
    ]
    digits = words.removeprefix("#")
    if digits.isascii() and digits.isdigit() and len(digits) < 18:
        found.append(Run.id == int(digits))
    return or_(*found)


def _conditions(wanted: RunFilter, *, with_words: bool = True) -> list[ColumnElement[bool]]:
    parts: list[ColumnElement[bool] | None] = [
        Run.state.in_(wanted.states) if wanted.states and with_words else None,
        or_(*(_is_word(w) for w in wanted.words)) if wanted.words and with_words else None,
        Run.late.is_(wanted.late) if wanted.late is not None and with_words else None,
        Run.name.in_(wanted.names) if wanted.names else None,
        Run.kind.in_(wanted.kinds) if wanted.kinds else None,
        Run.created_at >= wanted.since if wanted.since else None,
        Run.created_at < wanted.until if wanted.until else None,
        Run.schedule_id == wanted.schedule_id if wanted.schedule_id is not None else None,
        _says(wanted.text.strip()) if wanted.text.strip() else None,
    ]
    return [p for p in parts if p is not None]


def list_runs(session: Session, wanted: RunFilter | None = None, limit: int = 50) -> RunPage:
    """A page of runs, newest first. One query."""
    wanted = wanted or RunFilter()
    limit = max(1, min(limit, MAX_PAGE))
    conditions = _conditions(wanted)
    if wanted.before_id is not None:
        conditions.append(Run.id < wanted.before_id)
    statement: Select[Any] = (
        select(*row_columns())
        .outerjoin(Schedule, Schedule.id == Run.schedule_id)
        .where(*conditions)
        .order_by(Run.id.desc())
        .limit(limit + 1)
    )
    rows = [to_row(tuple(r)) for r in session.execute(statement)]
    more = len(rows) > limit
    return RunPage(tuple(rows[:limit]), rows[limit - 1].id if more else None)


def counts_by_word(session: Session, wanted: RunFilter | None = None) -> Counts:
    """How many runs stand at each word, for chips: the filter's own states, words, lateness and page are left out. One query."""
    statement = (
        select(Run.state, Run.reason, func.count(), func.count().filter(Run.late))
        .where(*_conditions(wanted or RunFilter(), with_words=False))
        .group_by(Run.state, Run.reason)
    )
    by_word, late, total = dict.fromkeys((w.value for w in Word), 0), 0, 0
    for state, reason, many, many_late in session.execute(statement):
        by_word[run_word(state, reason)] += many
        late += many_late
        total += many
    return Counts(by_word, late, total)


_STRIP = text("""
    SELECT wanted.id, r.id, r.state, r.reason, r.late, coalesce(r.due_at, r.created_at),
        extract(epoch FROM coalesce(r.finished_at, clock_timestamp()) - r.started_at), r.cost_microusd, r.error ->> 'message'
    FROM unnest(CAST(:ids AS bigint[])) AS wanted (id)
    CROSS JOIN LATERAL (SELECT * FROM runs WHERE schedule_id = wanted.id ORDER BY id DESC LIMIT :n) AS r
    ORDER BY wanted.id, r.id
""")


def strip(session: Session, schedule_ids: Sequence[int], n: int = 14) -> dict[int, tuple[Outcome, ...]]:
    """The last n runs of each schedule, oldest first. One query."""
    found: dict[int, list[Outcome]] = {i: [] for i in schedule_ids}
    if not found:
        return {}
    for schedule_id, run_id, state, reason, late, at, length, cost, message in session.execute(
        _STRIP, {"ids": list(found), "n": n}
    ):
        seconds = None if length is None else max(0.0, float(length))
        found[schedule_id].append(Outcome(run_id, run_word(state, reason), late, at, seconds, cost, message))
    return {i: tuple(o) for i, o in found.items()}


def daily_outcomes(session: Session, days: int = 14, zone: str | None = None) -> list[DayOutcomes]:
    """Outcomes of the last `days` local days, today last; a day without runs is there with no words. One query."""
    zone = zone or get_settings().time_zone
    today = clock.now().astimezone(clock.zone(zone)).date()
    first = today - timedelta(days=days - 1)
    # the bound is an instant, so that the index on created_at serves it
    start = datetime(first.year, first.month, first.day, tzinfo=clock.zone(zone))
    local_day = func.date(func.timezone(zone, Run.created_at)).label("day")
    statement = (
        select(local_day, Run.state, Run.reason, func.count())
        .where(Run.created_at >= start)
        .group_by("day", Run.state, Run.reason)
    )
    found: dict[date, dict[str, int]] = {first + timedelta(days=i): {} for i in range(days)}
    for day, state, reason, many in session.execute(statement):
        by_word = found.get(day)
        if by_word is not None:
            word = run_word(state, reason)
            by_word[word] = by_word.get(word, 0) + many
    return [DayOutcomes(d, w) for d, w in sorted(found.items())]


_OLDEST = text("""
    SELECT extract(epoch FROM clock_timestamp() - min(run_after)) FROM runs
    WHERE state IN ('queued', 'waiting') AND run_after <= clock_timestamp()
""")


def oldest_runnable_s(session: Session) -> float:
    """For how long the oldest run that could run has been waiting for a worker; 0 when none waits."""
    return float(session.execute(_OLDEST).scalar() or 0.0)


def names(session: Session) -> list[str]:
    """Every name a run has had, for a filter's choices; a loose index scan, so fast at any size."""
    found = session.execute(
        text("""
            WITH RECURSIVE known AS (
                (SELECT name FROM runs ORDER BY name LIMIT 1)
                UNION ALL
                SELECT (SELECT r.name FROM runs r WHERE r.name > known.name ORDER BY r.name LIMIT 1)
                FROM known WHERE known.name IS NOT NULL
            ) SELECT name FROM known WHERE name IS NOT NULL
        """)
    ).scalars()
    return list(found)
