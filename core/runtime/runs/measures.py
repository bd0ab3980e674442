"""The ledger in numbers, for monitoring: a fixed number of queries, each served by an index or one pass over the states."""

from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from core.runtime.runs.models import Queue, Run, RunState

WINDOW_S = 3600


@dataclass(frozen=True, slots=True)
class Durations:
    """How long the runs of one kind took that ended within the last hour: how many, and quantiles in seconds."""

    kind: str
    count: int
    p50_s: float
    p95_s: float
    max_s: float


@dataclass(frozen=True, slots=True)
class Measures:
    """Every state and every queue is there, most of them 0. `runnable` are runs that could start now."""

    by_state: dict[str, int]
    runnable: dict[str, int]
    oldest_runnable_s: float
    durations: tuple[Durations, ...]


_RUNNABLE = text("""
    SELECT queue, count(*), extract(epoch FROM statement_timestamp() - min(run_after)) FROM runs
    WHERE state IN ('queued', 'waiting') AND run_after <= statement_timestamp() GROUP BY queue
""")
# an hour's runs are found by the day they were made, which the index knows; a run that took longer than a day is left out
_DURATIONS = text("""
    SELECT kind, count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY s), percentile_cont(0.95) WITHIN GROUP (ORDER BY s), max(s)
    FROM (
        SELECT kind, extract(epoch FROM finished_at - started_at) AS s FROM runs
        WHERE created_at > statement_timestamp() - interval '1 day' AND started_at IS NOT NULL
            AND finished_at > statement_timestamp() - make_interval(secs => :window_s)
    ) AS ended GROUP BY kind ORDER BY kind
""")


def measures(session: Session) -> Measures:
    """The ledger as it stands. Three queries."""
    by_state = dict.fromkeys((s.value for s in RunState), 0)
    for state, many in session.execute(select(Run.state, func.count()).group_by(Run.state)):
        by_state[state] = many
    runnable, oldest = dict.fromkeys((q.value for q in Queue), 0), 0.0
    for queue, many, age in session.execute(_RUNNABLE):
        runnable[queue] = many
        oldest = max(oldest, float(age))
    ended = session.execute(_DURATIONS, {"window_s": WINDOW_S})
    durations = tuple(Durations(kind, many, float(a), float(b), float(c)) for kind, many, a, b, c in ended)
    return Measures(by_state, runnable, oldest, durations)
