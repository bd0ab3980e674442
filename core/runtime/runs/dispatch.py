"""The clock's side of the ledger: push what is due and was not pushed, take back what its worker dropped."""

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
from core.runtime.runs.lease import Released, abandon_worker, sweep
from core.runtime.runs.models import RunState

REPUSH_AFTER_S = 5.0
_BATCH = 500

logger = log.get(__name__)

_DUE = text("""
    SELECT id, attempts, queue, timeout_s, pushed_at IS NOT NULL AS was_pushed FROM runs
    WHERE state IN ('queued', 'waiting') AND run_after <= clock_timestamp()
        AND (pushed_at IS NULL OR pushed_at < clock_timestamp() - make_interval(secs => :repush_after_s))
    ORDER BY priority, run_after, id LIMIT :batch
""")
_MARK = text("UPDATE runs SET pushed_at = clock_timestamp() WHERE id = ANY(:ids) AND state IN ('queued', 'waiting')")


def dispatch() -> int:
    """Push due runs that no worker was told of, or whose message was lost. Returns how many were pushed.

    A run whose message still waits in RQ is only backed up: it is left alone and looked at again later.
    """
    with db.transaction(STAFF) as session:
        due = session.execute(_DUE, {"repush_after_s": REPUSH_AFTER_S, "batch": _BATCH}).all()
    if not due:
        return 0
    try:
        waiting = {q: wake.queued_job_ids(q) for q in {r.queue for r in due if r.was_pushed}}
    except (RedisError, OSError, Unavailable):
        return 0
    pushed, looked_at = 0, []
    for row in due:
        if row.was_pushed and wake.job_id(row.id, row.attempts + 1) in waiting[row.queue]:
            looked_at.append(row.id)
        elif wake.push(row.id, row.attempts + 1, row.queue, row.timeout_s):
            looked_at.append(row.id)
            pushed += 1
        else:
            break
    if looked_at:
        with db.transaction(STAFF) as session:
            session.execute(_MARK, {"ids": looked_at})
    return pushed


def rescue() -> int:
    """Take back runs whose lease ran out and push them again. Returns how many."""
    with db.transaction(STAFF) as session:
        released = sweep(session)
        _tell(session, released)
    _push(released)
    return len(released)


def rescue_worker(worker: str) -> int:
    """Take back at once what a dead worker of this name held. Returns how many."""
    with db.transaction(STAFF) as session:
        released = abandon_worker(session, worker)
        _tell(session, released)
    _push(released)
    return len(released)


def _tell(session: Session, released: list[Released]) -> None:
    for run in released:
        logger.warning("run_rescued", run_id=run.id, run=run.name, state=run.state)
        if run.state == RunState.QUARANTINED:
            events.publish(
                session,
                "run.quarantined",
                f"{run.name} was set aside: its worker died each time it ran.",
                org_id=run.org_id,
                actor=Actor("Clock"),
                priority=Priority.URGENT,
                subject=("run", run.id),
                cause_run_id=run.id,
            )


def _push(released: list[Released]) -> None:
    for run in released:
        if run.state == RunState.QUEUED:
            wake.push(run.id, run.attempts + 1, run.queue, run.timeout_s)
