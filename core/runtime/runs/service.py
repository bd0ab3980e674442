"""Commands on the ledger for everybody but the worker: enqueue, cancel, retry, replay."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.kit import db
from core.kit.actor import SYSTEM, Actor
from core.runtime.events import service as events
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs import handlers
from core.runtime.runs.models import ENDED, Queue, Reason, Run, RunState, RunStep, StepState
from core.runtime.runs.outcome import input_json


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The run's id, and whether this call made it (False: its key was already there)."""

    run_id: int
    created: bool


# Written out: building it anew for each of many runs took three times as long as the rest of the enqueue.
# Optimistic on pushed_at: the push follows the commit; when it fails the clock finds the run by its age.
_ENQUEUE = text("""
    INSERT INTO runs (org_id, kind, name, key, queue, priority, payload, max_attempts, timeout_s, cause_kind, cause_id,
        cause_label, schedule_id, due_at, replay_of, run_after, pushed_at)
    VALUES (CAST(:org_id AS uuid), :kind, :name, :key, :queue, :priority, CAST(:payload AS jsonb), :max_attempts, :timeout_s,
        :cause_kind, CAST(:cause_id AS bigint), :cause_label, CAST(:schedule_id AS bigint), CAST(:due_at AS timestamptz),
        CAST(:replay_of AS bigint), coalesce(CAST(:run_after AS timestamptz), clock_timestamp()),
        CASE WHEN CAST(:run_after AS timestamptz) IS NULL THEN clock_timestamp() END)
    ON CONFLICT ON CONSTRAINT runs_key DO NOTHING RETURNING id
""")


def enqueue(
    session: Session,
    kind: str,
    name: str,
    *,
    org_id: UUID = AGENCY_ID,
    payload: Mapping[str, Any] | None = None,
    key: str | None = None,
    by: Actor = SYSTEM,
    queue: Queue | None = None,
    priority: int = 100,
    run_after: datetime | None = None,
    schedule_id: int | None = None,
    due_at: datetime | None = None,
    timeout_s: int | None = None,
    replay_of: int | None = None,
) -> Enqueued:
    """Insert a run in the caller's transaction; after commit it is pushed to a worker at once.

    `key` dedupes: a second run with the same key is not made. A run with a later `run_after` is pushed by the clock.
    """
    handler = handlers.get(kind)
    values = {
        "org_id": org_id,
        "kind": kind,
        "name": name,
        "key": key,
        "queue": (queue or handler.queue).value,
        "priority": priority,
        "payload": input_json(payload),
        "max_attempts": handler.max_attempts,
        "timeout_s": timeout_s or handler.timeout_s,
        "cause_kind": by.kind,
        "cause_id": by.id,
        "cause_label": by.label,
        "schedule_id": schedule_id,
        "due_at": due_at,
        "replay_of": replay_of,
        "run_after": run_after,
    }
    run_id = session.execute(_ENQUEUE, values).scalar_one_or_none()
    if run_id is None:
        return Enqueued(session.execute(select(Run.id).where(Run.key == key)).scalar_one(), created=False)
    if run_after is None:
        _push_after_commit(session, run_id, 0, (queue or handler.queue).value, timeout_s or handler.timeout_s)
    return Enqueued(run_id, created=True)


def _push_after_commit(session: Session, run_id: int, attempts: int, queue: str, timeout_s: int) -> None:
    def push() -> None:
        from core.runtime.runs import wake  # RQ and redis take long to import, and most commands only read

        wake.push(run_id, attempts + 1, queue, timeout_s)

    db.after_commit(session, push)


def get(session: Session, run_id: int) -> Run:
    """The run. Raises NotFound."""
    run = session.get(Run, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id}.", "See `ops runs list` or the Agent jobs page.")
    return run


def cancel(session: Session, run_id: int, by: Actor) -> RunState:
    """Cancel a run: at once when it has not started, at its next step when it runs.

    Returns its state afterwards. Raises Conflict when it has already ended.
    """
    waiting = (RunState.QUEUED, RunState.WAITING)
    changed = session.execute(
        update(Run)
        .where(Run.id == run_id, Run.state.in_(waiting))
        .values(
            state=RunState.CANCELLED,
            reason=Reason.BY_PERSON,
            finished_at=func.clock_timestamp(),
            cancel_requested_at=func.clock_timestamp(),
        )
        .returning(Run.org_id, Run.name)
    ).first()
    state = RunState.CANCELLED
    if changed is None:
        changed = session.execute(
            update(Run)
            .where(Run.id == run_id, Run.state == RunState.RUNNING)
            .values(cancel_requested_at=func.coalesce(Run.cancel_requested_at, func.clock_timestamp()))
            .returning(Run.org_id, Run.name)
        ).first()
        state = RunState.RUNNING
    if changed is None:
        run = get(session, run_id)
        raise Conflict(f"Run {run_id} has already ended ({run.state}).", "There is nothing left to cancel.")
    events.publish(
        session,
        "run.cancelled",
        f"{by.label} cancelled {changed.name} (run {run_id}).",
        org_id=changed.org_id,
        actor=by,
        subject=("run", run_id),
        cause_run_id=run_id,
    )
    return state


def retry(session: Session, run_id: int, by: Actor) -> int:
    """Queue an ended run that did not succeed once more; finished steps are not redone. Returns the run's id.

    Two people retrying at once give one retry; the other gets Conflict.
    """
    run = session.execute(
        update(Run)
        .where(Run.id == run_id, Run.state.in_((RunState.FAILED, RunState.CANCELLED, RunState.QUARANTINED)))
        .values(
            state=RunState.QUEUED,
            reason=None,
            error=None,
            finished_at=None,
            cancel_requested_at=None,
            rescues=0,
            crashes=0,
            max_attempts=Run.attempts + 1,
            run_after=func.clock_timestamp(),
            pushed_at=func.clock_timestamp(),
            progress=0,
            progress_note=None,
        )
        .returning(Run.attempts, Run.queue, Run.timeout_s, Run.org_id, Run.name)
    ).first()
    if run is None:
        state = get(session, run_id).state
        why = "succeeded; replay it instead" if state == RunState.SUCCEEDED else f"is {state}"
        raise Conflict(f"Run {run_id} {why}.", "Only a run that failed or was cancelled can be retried.")
    session.execute(
        update(RunStep).where(RunStep.run_id == run_id, RunStep.state == StepState.RUNNING).values(state=StepState.FAILED)
    )
    events.publish(
        session,
        "run.retried",
        f"{by.label} retried {run.name} (run {run_id}).",
        org_id=run.org_id,
        actor=by,
        subject=("run", run_id),
        cause_run_id=run_id,
    )
    _push_after_commit(session, run_id, run.attempts, run.queue, run.timeout_s)
    return run_id


def replay(session: Session, run_id: int, by: Actor, payload: Mapping[str, Any] | None = None) -> int:
    """Run the same thing again as a new run, with `payload` in place of the old one if given. Returns the new run's id."""
    old = get(session, run_id)
    if old.state not in ENDED:
        raise Conflict(f"Run {run_id} is still {old.state}.", "Cancel it first, or wait until it has ended.")
    edited = dict(old.payload if payload is None else payload)
    if "agent" in old.payload:
        edited["agent"] = old.payload["agent"]  # in whose name it speaks is not up to whoever edits the input
    made = enqueue(
        session,
        old.kind,
        old.name,
        org_id=old.org_id,
        payload=edited,
        by=by,
        queue=Queue.INTERACTIVE,
        priority=10,
        schedule_id=old.schedule_id,
        replay_of=old.id,
        timeout_s=old.timeout_s,
    )
    events.publish(
        session,
        "run.replayed",
        f"{by.label} replayed {old.name} (run {run_id}) as run {made.run_id}.",
        org_id=old.org_id,
        actor=by,
        subject=("run", made.run_id),
        cause_run_id=run_id,
    )
    return made.run_id


_RECORD_SKIPPED = text("""
    INSERT INTO runs (org_id, kind, name, key, queue, state, reason, cause_kind, cause_id, cause_label, schedule_id, due_at,
        finished_at)
    SELECT CAST(:org_id AS uuid), :kind, :name, slot.key, :queue, 'cancelled', :reason, 'schedule', :schedule_id, 'schedule',
        :schedule_id, slot.due_at, clock_timestamp()
    FROM unnest(CAST(:keys AS text[]), CAST(:due_at AS timestamptz[])) AS slot (key, due_at)
    ON CONFLICT ON CONSTRAINT runs_key DO NOTHING
    RETURNING id
""")


def record_skipped(
    session: Session, kind: str, name: str, slots: Mapping[str, datetime], reason: Reason, *, schedule_id: int, org_id: UUID
) -> int:
    """Write down slots (key to due time) that will not run: missed or coalesced. Returns how many were not there already.

    One statement for any number, since after an outage of days there are thousands.
    """
    if not slots:
        return 0
    params = {
        "org_id": org_id,
        "kind": kind,
        "name": name,
        "queue": handlers.get(kind).queue.value,
        "reason": reason.value,
        "schedule_id": schedule_id,
        "keys": list(slots),
        "due_at": list(slots.values()),
    }
    return len(session.execute(_RECORD_SKIPPED, params).all())
