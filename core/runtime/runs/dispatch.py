"""The clock's side of the ledger: push what is due and was not pushed, take back what its worker dropped."""

from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.errors import Unavailable
from core.kit import db, log
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.events import service as events
from core.runtime.events.models import Priority
from core.runtime.runs import wake
from core.runtime.runs.lease import Claim, Released, abandon_attempt, abandon_worker, close_steps, sweep
from core.runtime.runs.models import ENDED, Queue, RunState

REPUSH_AFTER_S = 5.0
_AT_ONCE = 32

logger = log.get(__name__)

# a few of each queue are enough: each message wakes a worker, which then empties the queue
_DUE = text("""
    SELECT due.id, due.attempts, wanted.queue, due.timeout_s, due.was_pushed
    FROM unnest(CAST(:queues AS text[])) AS wanted (queue)
    CROSS JOIN LATERAL (
        SELECT id, attempts, timeout_s, pushed_at IS NOT NULL AS was_pushed FROM runs
        WHERE queue = wanted.queue AND state IN ('queued', 'waiting') AND run_after <= clock_timestamp()
            AND (pushed_at IS NULL OR pushed_at < statement_timestamp() - make_interval(secs => :repush_after_s))
        ORDER BY priority, run_after, id LIMIT :at_once
    ) AS due
""")
_MARK = text("UPDATE runs SET pushed_at = clock_timestamp() WHERE id = ANY(:ids) AND state IN ('queued', 'waiting')")


def dispatch() -> int:
    """Push due runs that no worker was told of, or whose message was lost. Returns how many were pushed.

    A queue that still has messages is only backed up: what was pushed to it before is not pushed again.
    """
    with db.transaction(STAFF) as session:
        params = {"queues": [q.value for q in Queue], "repush_after_s": REPUSH_AFTER_S, "at_once": _AT_ONCE}
        due = session.execute(_DUE, params).all()
    if not due:
        return 0
    try:
        depths = wake.depths({r.queue for r in due})
    except (RedisError, OSError, Unavailable):
        return 0
    wanted = [r for r in due if not r.was_pushed or depths[r.queue] == 0]
    if not wanted:
        return 0
    # marked first, and committed: a worker that is woken must not find the rows locked, it would pass them over
    with db.transaction(STAFF) as session:
        session.execute(_MARK, {"ids": [r.id for r in wanted]})
    return len(wanted) if wake.push_all((r.id, r.attempts + 1, r.queue, r.timeout_s) for r in wanted) else 0


def rescue() -> int:
    """Take back runs whose lease ran out and push them again. Returns how many."""
    return len(_take_back(sweep))


def rescue_worker(worker: str) -> int:
    """Take back at once what a dead worker of this name held. Returns how many."""
    return len(_take_back(abandon_worker, worker))


def give_back(held: Claim, how: str, *, crashed: bool) -> None:
    """Take back a run whose own process is known to be gone. `how` is what ended it, in words.

    `crashed`: it died by itself, which counts against the run; False when its worker was told to stop.
    """
    _take_back(abandon_attempt, held, how, crashed=crashed)


def _take_back(statement: Any, *args: Any, **options: Any) -> Sequence[Released]:
    with db.transaction(STAFF) as session:
        released: list[Released] = statement(session, *args, **options)
        ended = [r.id for r in released if r.state in ENDED]
        if ended:
            close_steps(session, ended)
        _tell(session, released)
    wake.push_all((r.id, r.attempts + 1, r.queue, r.timeout_s) for r in released if r.state == RunState.QUEUED)
    return released


def _tell(session: Session, released: list[Released]) -> None:
    for run in released:
        logger.warning("run_taken_back", run_id=run.id, run=run.name, state=run.state)
        if run.state == RunState.QUARANTINED:
            events.publish(
                session,
                "run.quarantined",
                f"{run.name} was set aside: it died each time it ran.",
                org_id=run.org_id,
                actor=Actor("Clock"),
                priority=Priority.URGENT,
                subject=("run", run.id),
                cause_run_id=run.id,
            )
