"""Read models of scheduled jobs for pages, the API and the CLI. Costs are millionths of a US dollar, times are UTC."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import BigInteger, String, bindparam, select, text
from sqlalchemy.orm import Session

from core.errors import BadInput
from core.kit import clock
from core.runtime.events.models import Event
from core.runtime.runs.queries import EventRow, Outcome, RunFilter, RunRow, list_runs, strip
from core.runtime.runs.rules import run_word
from core.runtime.schedules import rules
from core.runtime.schedules.models import Schedule
from core.runtime.schedules.service import find
from core.runtime.schedules.words import describe

STRIP = 14
SUCCESS_DAYS, COST_DAYS = 14, 30
MAX_DAYS = 62
MAX_DUE = 200
"""Slots to come that a calendar shows of one job; a job with more is named in `Calendar.cut`."""
DUE = "Due"
"""The word for a slot that is still to come."""
NEXT, RUNS, EVENTS = 3, 30, 20


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A job as lists show it. `state` is on, off, paused or broken; `reading` says the schedule in words.

    `strip` has the last runs, oldest first, `last` is the newest of them. `success_percent` is succeeded of what
    succeeded, failed or was quarantined in 14 days (None: nothing did). `runs_30d` leaves out slots that never ran;
    `running_now` is the id of a run under way, 0 when there is none.
    """

    id: int
    name: str
    title: str
    department: str
    agent: str
    facts: tuple[str, ...]
    cron: str
    reading: str
    time_zone: str
    enabled: bool
    paused_until: datetime | None
    next_due_at: datetime | None
    state: str
    error: dict[str, Any] | None
    builtin: bool
    version: int
    last: Outcome | None
    strip: tuple[Outcome, ...]
    success_percent: float | None
    runs_30d: int
    cost_30d_microusd: int
    cost_per_run_microusd: int | None
    running_now: int


@dataclass(frozen=True, slots=True)
class ScheduleDetail:
    """A job's page: the job with what can be edited, its next due times, its last runs and what was done to it, newest first."""

    row: ScheduleRow
    task: str
    facts: tuple[str, ...]
    payload: dict[str, Any]
    grace_s: int
    overlap: str
    catch_up: str
    timeout_s: int
    created_by: str | None
    updated_at: datetime
    next_times: tuple[datetime, ...]
    runs: tuple[RunRow, ...]
    events: tuple[EventRow, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A run on the calendar, or with the word "Due" a slot still to come. `by` is who or what caused a run.

    Of one job in one hour there is one entry, the worst; `count` says of how many.
    """

    at: datetime
    schedule_id: int
    name: str
    title: str
    word: str
    run_id: int | None = None
    by: str | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Calendar:
    """What was and what will be between two instants, in order of time. `cut` are titles of jobs due too often to show all."""

    entries: tuple[Entry, ...]
    cut: tuple[str, ...]
    now: datetime = field(default_factory=clock.now)


_SUMS = (
    text("""
        SELECT s.id AS schedule_id,
            count(*) FILTER (WHERE r.state = 'succeeded' AND r.created_at > :success_since) AS succeeded,
            count(*) FILTER (WHERE r.state IN ('succeeded', 'failed', 'quarantined') AND r.created_at > :success_since) AS ended,
            count(r.id) FILTER (WHERE r.state <> 'cancelled' OR r.started_at IS NOT NULL) AS runs,
            coalesce(sum(r.cost_microusd), 0)::bigint AS cost,
            coalesce(max(r.id) FILTER (WHERE r.state IN ('queued', 'running', 'waiting')), 0) AS running
        FROM schedules s LEFT JOIN runs r ON r.schedule_id = s.id AND r.created_at > :cost_since
        WHERE CAST(:name AS text) IS NULL OR s.name = :name
        GROUP BY s.id
    """)
    .columns(schedule_id=BigInteger, succeeded=BigInteger, ended=BigInteger, runs=BigInteger, cost=BigInteger, running=BigInteger)
    .bindparams(bindparam("name", type_=String))
)

# a run is never made before it is due, so the index on created_at serves the period as well;
# a job that runs each minute would fill a week with marks nobody can tell apart, so of an hour the worst is kept
_PAST = text("""
    SELECT DISTINCT ON (schedule_id, hour) schedule_id, id, state, reason, at, cause_kind, cause_label,
        count(*) OVER (PARTITION BY schedule_id, hour)
    FROM (
        SELECT schedule_id, id, state, reason, cause_kind, cause_label, coalesce(due_at, created_at) AS at,
            date_trunc('hour', coalesce(due_at, created_at)) AS hour
        FROM runs WHERE schedule_id IS NOT NULL AND created_at >= CAST(:start AS timestamptz) - interval '1 hour'
    ) r WHERE at >= :start AND at < :until
    ORDER BY schedule_id, hour, (state IN ('failed', 'quarantined')) DESC, (reason = 'missed') DESC NULLS LAST, id DESC
""")


def state_of(enabled: bool, paused_until: datetime | None, error: object, now: datetime) -> str:
    """on, off, paused or broken."""
    if error:
        return "broken"
    if not enabled:
        return "off"
    return "paused" if paused_until is not None and paused_until > now else "on"


def titles(session: Session) -> list[tuple[str, str]]:
    """(name, title) of every job, by title. One query."""
    return [(n, t) for n, t in session.execute(select(Schedule.name, Schedule.title).order_by(Schedule.title))]


def list_schedules(session: Session, name: str | None = None) -> list[ScheduleRow]:
    """All jobs by department and title, or the one of that name. Two queries."""
    return [row for _, row in _rows(session, name)]


def _rows(session: Session, name: str | None) -> list[tuple[Schedule, ScheduleRow]]:
    now = clock.now()
    sums = _SUMS.bindparams(
        name=name, success_since=now - timedelta(days=SUCCESS_DAYS), cost_since=now - timedelta(days=COST_DAYS)
    ).subquery("sums")
    found = session.execute(
        select(Schedule, sums.c.succeeded, sums.c.ended, sums.c.runs, sums.c.cost, sums.c.running)
        .join(sums, sums.c.schedule_id == Schedule.id)
        .order_by(Schedule.department, Schedule.title)
    ).all()
    strips = strip(session, [s.id for s, *_ in found], STRIP)
    return [(s, _row(s, strips[s.id], now, *more)) for s, *more in found]


def _row(
    s: Schedule, last: tuple[Outcome, ...], now: datetime, succeeded: int, ended: int, runs: int, cost: int, running: int
) -> ScheduleRow:
    return ScheduleRow(
        s.id, s.name, s.title, s.department, s.agent, tuple(s.facts), s.cron, describe(s.cron), s.time_zone, s.enabled,
        s.paused_until, s.next_due_at, state_of(s.enabled, s.paused_until, s.error, now), s.error, s.builtin, s.version,
        last[-1] if last else None, last, 100 * succeeded / ended if ended else None, runs, cost,
        round(cost / runs) if runs else None, running,
    )  # fmt: skip


def schedule_detail(session: Session, name: str) -> ScheduleDetail:
    """One job. Raises NotFound, with the nearest names. Five queries."""
    find(session, name)
    s, row = _rows(session, name)[0]
    runs = list_runs(session, RunFilter(schedule_id=s.id), RUNS)
    events = session.execute(
        select(Event.id, Event.type, Event.summary, Event.actor, Event.priority, Event.created_at)
        .where(Event.subject_type == "schedule", Event.subject_id == s.id)
        .order_by(Event.id.desc())
        .limit(EVENTS)
    )
    due: tuple[datetime, ...] = ()
    if row.state in ("on", "paused"):
        after = rules.start_of(clock.now(), s.paused_until)
        due = tuple(islice(rules.occurrences(s.cron, s.time_zone, after), NEXT))
    return ScheduleDetail(
        row, s.task, tuple(s.facts), dict(s.payload), s.grace_s, s.overlap, s.catch_up, s.timeout_s, s.created_by,
        s.updated_at, due, runs.rows, tuple(EventRow(*e) for e in events),
    )  # fmt: skip


def calendar(session: Session, start: datetime, until: datetime) -> Calendar:
    """What ran and what is due in [start, until). Raises BadInput for more than 62 days. Two queries."""
    if until - start > timedelta(days=MAX_DAYS):
        raise BadInput(f"A calendar shows at most {MAX_DAYS} days.", "Choose a shorter period.")
    now = clock.now()
    schedules = {s.id: s for s in session.scalars(select(Schedule))}
    entries, cut = [], []
    for schedule_id, run_id, state, reason, at, kind, label, count in session.execute(_PAST, {"start": start, "until": until}):
        job = schedules[schedule_id]
        by = "schedule" if kind == "schedule" else label
        entries.append(Entry(at, job.id, job.name, job.title, run_word(state, reason), run_id, by, count))
    for job in schedules.values():
        if state_of(job.enabled, job.paused_until, job.error, now) in ("off", "broken"):
            continue
        after = max(rules.start_of(now, job.paused_until), start - timedelta(microseconds=1))
        try:
            due = rules.slots(job.cron, job.time_zone, after, until - timedelta(microseconds=1), MAX_DUE + 1)
        except BadInput:
            continue  # the clock has not come to it yet and will say what is wrong with it
        if len(due) > MAX_DUE:
            cut.append(job.title)
        entries += [Entry(at, job.id, job.name, job.title, DUE) for at in due[:MAX_DUE]]
    entries.sort(key=lambda e: (e.at, e.title))
    return Calendar(tuple(entries), tuple(sorted(cut)), now)
