"""Read models of scheduled jobs for pages, the API and the CLI. Costs are millionths of a US dollar, times are UTC."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.kit import clock
from core.runtime.runs.queries import Outcome, strip
from core.runtime.runs.rules import run_word
from core.runtime.schedules import rules
from core.runtime.schedules.models import Schedule
from core.runtime.schedules.service import find
from core.runtime.schedules.words import describe

STRIP = 14
PERIOD = timedelta(days=30)
MAX_SLOTS = 200


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as lists show it. `state` is on, off, paused or broken; `human` reads the schedule in words.

    `runs`, `succeeded` and `cost_microusd` are of the last 30 days; `ended` leaves out runs under way, cancelled by a
    person, missed or coalesced, so that succeeded / ended is the success rate. `active_run_id` is a run under way.
    """

    id: int
    name: str
    title: str
    department: str
    agent: str
    cron: str
    human: str
    time_zone: str
    task: str
    facts: tuple[str, ...]
    enabled: bool
    paused_until: datetime | None
    next_due_at: datetime | None
    error: dict[str, Any] | None
    builtin: bool
    version: int
    grace_s: int
    overlap: str
    catch_up: str
    timeout_s: int
    created_by: str | None
    updated_at: datetime
    state: str
    strip: tuple[Outcome, ...]
    runs: int
    ended: int
    succeeded: int
    cost_microusd: int
    active_run_id: int | None

    @property
    def last(self) -> Outcome | None:
        """The newest run, if there was one."""
        return self.strip[-1] if self.strip else None

    @property
    def success_percent(self) -> float | None:
        """Succeeded of ended, 0 to 100; None when nothing ended."""
        return 100 * self.succeeded / self.ended if self.ended else None


@dataclass(frozen=True, slots=True)
class Mark:
    """One run on the calendar, or the worst of those of one job in one hour (`count` says of how many)."""

    schedule_id: int
    run_id: int
    word: str
    at: datetime
    count: int


_SUMS = text("""
    SELECT schedule_id, count(*) AS runs, count(*) FILTER (WHERE state IN ('succeeded', 'failed', 'quarantined')) AS ended,
        count(*) FILTER (WHERE state = 'succeeded') AS succeeded, coalesce(sum(cost_microusd), 0)::bigint AS cost,
        max(id) FILTER (WHERE state IN ('queued', 'running', 'waiting')) AS active
    FROM runs WHERE schedule_id = ANY(CAST(:ids AS bigint[])) AND created_at >= :since GROUP BY schedule_id
""")

# a job that runs each minute would fill the week with marks nobody can tell apart
_MARKS = text("""
    SELECT DISTINCT ON (schedule_id, hour) schedule_id, id, state, reason, at, count(*) OVER (PARTITION BY schedule_id, hour)
    FROM (
        SELECT schedule_id, id, state, reason, coalesce(due_at, created_at) AS at,
            date_trunc('hour', coalesce(due_at, created_at)) AS hour
        FROM runs WHERE schedule_id IS NOT NULL AND created_at >= CAST(:start AS timestamptz) - interval '1 day'
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


def list_jobs(session: Session, name: str | None = None) -> list[JobRow]:
    """All jobs by department and title, or the one of that name. Three queries."""
    statement = select(Schedule).order_by(Schedule.department, Schedule.title)
    schedules = session.scalars(statement if name is None else statement.where(Schedule.name == name)).all()
    ids = [s.id for s in schedules]
    if not ids:
        return []
    now = clock.now()
    strips = strip(session, ids, STRIP)
    sums = {row.schedule_id: row for row in session.execute(_SUMS, {"ids": ids, "since": now - PERIOD})}
    return [_row(s, strips.get(s.id, ()), sums.get(s.id), now) for s in schedules]


def job(session: Session, name: str) -> JobRow:
    """One job. Raises NotFound, with the nearest names."""
    found = list_jobs(session, name)
    if not found:
        find(session, name)
        raise NotFound(f"There is no job called “{name}”.", "`ops jobs list` shows all of them.")
    return found[0]


def _row(s: Schedule, last: tuple[Outcome, ...], sums: Any, now: datetime) -> JobRow:
    return JobRow(
        s.id, s.name, s.title, s.department, s.agent, s.cron, describe(s.cron), s.time_zone, s.task, tuple(s.facts),
        s.enabled, s.paused_until, s.next_due_at, s.error, s.builtin, s.version, s.grace_s, s.overlap, s.catch_up,
        s.timeout_s, s.created_by, s.updated_at, state_of(s.enabled, s.paused_until, s.error, now), last,
        sums.runs if sums else 0, sums.ended if sums else 0, sums.succeeded if sums else 0, sums.cost if sums else 0,
        sums.active if sums else None,
    )  # fmt: skip


def marks(session: Session, start: datetime, until: datetime) -> list[Mark]:
    """Runs of jobs in [start, until): at most one a job and hour, the worst of them. One query."""
    rows = session.execute(_MARKS, {"start": start, "until": until})
    return [Mark(sid, rid, run_word(state, reason), at, count) for sid, rid, state, reason, at, count in rows]


def coming(jobs: Sequence[JobRow], until: datetime, now: datetime | None = None) -> dict[int, list[datetime]]:
    """Slots still to come before `until` by schedule id; none for a job that is off or broken. Reads nothing."""
    after = now or clock.now()
    found: dict[int, list[datetime]] = {}
    for one in jobs:
        if one.state in ("off", "broken"):
            continue
        start = rules.start_of(after, one.paused_until)
        found[one.id] = rules.slots(one.cron, one.time_zone, start, until, MAX_SLOTS)
    return found
