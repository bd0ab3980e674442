"""The worker's side of the ledger: claim, renew, finish, fail, sweep. Every write carries the fencing token.

Times are the database's clock, never the worker's.
"""

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.config import get_settings
from core.errors import OpsError
from core.kit.db import STAFF, Scope
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs.models import Reason


class LeaseLost(OpsError):
    """Another worker holds the run now, or it was cancelled; this attempt may write nothing more."""


class RunCancelled(OpsError):
    """A person asked for the run to stop."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker holds: the run as it was claimed, and the token that fences its writes."""

    id: int
    org_id: UUID
    kind: str
    name: str
    payload: dict[str, Any]
    attempt: int
    token: UUID
    timeout_s: int
    schedule_id: int | None
    due_at: datetime | None
    cause_label: str | None
    replay_of: int | None

    @property
    def scope(self) -> Scope:
        """The agency's runs see every organisation; a client's run sees only its own."""
        return STAFF if self.org_id == AGENCY_ID else self.org_id


_CLAIM = text("""
    UPDATE runs SET state = 'running', reason = NULL, attempts = attempts + 1, lease_token = gen_random_uuid(),
        lease_until = clock_timestamp() + make_interval(secs => :lease_s), worker = :worker,
        started_at = coalesce(started_at, clock_timestamp()),
        late = late OR (due_at IS NOT NULL AND attempts = 0 AND clock_timestamp() > due_at + make_interval(secs => coalesce(
            (SELECT s.grace_s FROM schedules s WHERE s.id = runs.schedule_id), 900)))
    WHERE id = :id AND state IN ('queued', 'waiting') AND run_after <= clock_timestamp()
    RETURNING id, org_id, kind, name, payload, attempts, lease_token, timeout_s, schedule_id, due_at, cause_label, replay_of
""")


def claim(session: Session, run_id: int, worker: str) -> Claim | None:
    """Take the run if it is still free. None when somebody else has it, or it is not due."""
    row = session.execute(_CLAIM, {"id": run_id, "worker": worker, "lease_s": get_settings().lease_s}).first()
    return Claim(*row) if row else None


_RENEW = text("""
    UPDATE runs SET lease_until = clock_timestamp() + make_interval(secs => :lease_s)
    WHERE id = :id AND lease_token = :token AND state = 'running'
    RETURNING cancel_requested_at IS NOT NULL
""")


def renew(session: Session, held: Claim) -> bool:
    """Hold on to the run. Returns whether a person asked to cancel it. Raises LeaseLost when it is no longer ours."""
    row = session.execute(_RENEW, {"id": held.id, "token": held.token, "lease_s": get_settings().lease_s}).first()
    if row is None:
        raise LeaseLost(f"Run {held.id} is held by another worker.")
    return bool(row[0])


_FENCE = text("SELECT 1 FROM runs WHERE id = :id AND lease_token = :token AND state = 'running' FOR SHARE")


def fence(session: Session, held: Claim) -> None:
    """Call as the last statement before commit: raises LeaseLost, and so rolls back, when the run is no longer ours."""
    if session.execute(_FENCE, {"id": held.id, "token": held.token}).first() is None:
        raise LeaseLost(f"Run {held.id} is held by another worker.")


_FINISH = text("""
    UPDATE runs SET state = :state, reason = :reason, output = :output, error = :error, progress = :progress,
        progress_note = NULL, finished_at = clock_timestamp(), lease_token = NULL, lease_until = NULL
    WHERE id = :id AND lease_token = :token AND state = 'running'
    RETURNING id
""")


def finish(
    session: Session,
    held: Claim,
    state: str,
    *,
    reason: Reason | None = None,
    output: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> None:
    """End the run. Raises LeaseLost when it is no longer ours."""
    from psycopg.types.json import Jsonb

    row = session.execute(
        _FINISH,
        {
            "id": held.id,
            "token": held.token,
            "state": state,
            "reason": reason.value if reason else None,
            "output": None if output is None else Jsonb(output),
            "error": None if error is None else Jsonb(error),
            "progress": 1.0 if state == "succeeded" else 0.0,
        },
    ).first()
    if row is None:
        raise LeaseLost(f"Run {held.id} is held by another worker.")


_RETRY_LATER = text("""
    UPDATE runs SET state = 'waiting', reason = 'retry', error = :error,
        run_after = clock_timestamp() + make_interval(secs => :wait_s), pushed_at = NULL, lease_token = NULL, lease_until = NULL
    WHERE id = :id AND lease_token = :token AND state = 'running' AND attempts - rescues < max_attempts
    RETURNING id
""")


def retry_later(session: Session, held: Claim, error: dict[str, Any], wait_s: float | None = None) -> bool:
    """Put the run aside for another attempt. False when its attempts are used up."""
    from psycopg.types.json import Jsonb

    pause = wait_s if wait_s is not None else min(300.0, 5.0 * 2 ** (held.attempt - 1)) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
    params = {"id": held.id, "token": held.token, "error": Jsonb(error), "wait_s": pause}
    return session.execute(_RETRY_LATER, params).first() is not None


_RELEASE = """
    UPDATE runs SET
        state = CASE WHEN cancel_requested_at IS NOT NULL THEN 'cancelled'
                     WHEN rescues + 1 > :max_rescues THEN 'quarantined' ELSE 'queued' END,
        reason = CASE WHEN cancel_requested_at IS NOT NULL THEN 'by_person'
                      WHEN rescues + 1 > :max_rescues THEN 'poison' END,
        finished_at = CASE WHEN cancel_requested_at IS NOT NULL OR rescues + 1 > :max_rescues THEN clock_timestamp() END,
        error = CASE WHEN cancel_requested_at IS NULL AND rescues + 1 > :max_rescues
                     THEN jsonb_build_object('type', 'Poison',
                         'message', 'Its worker died ' || (rescues + 1) || ' times while running it, so it was set aside.',
                         'next_step', 'Look at the worker log, then retry it.') ELSE error END,
        rescues = rescues + 1, lease_token = NULL, lease_until = NULL, pushed_at = NULL, run_after = clock_timestamp()
    WHERE state = 'running' AND {which}
    RETURNING id, org_id, name, state, attempts, queue, timeout_s
"""
_EXPIRED = """id IN (SELECT id FROM runs WHERE state = 'running' AND lease_until < clock_timestamp()
    LIMIT 500 FOR UPDATE SKIP LOCKED)"""
_SWEEP = text(_RELEASE.format(which=_EXPIRED))
_ABANDON = text(_RELEASE.format(which="worker = :worker"))
_ABANDON_ONE = text(_RELEASE.format(which="id = :id AND attempts = :attempt"))


@dataclass(frozen=True, slots=True)
class Released:
    """A run taken back from a worker that died."""

    id: int
    org_id: UUID
    name: str
    state: str
    attempts: int
    queue: str
    timeout_s: int


def sweep(session: Session) -> list[Released]:
    """Take back runs whose lease has run out."""
    return [Released(*r) for r in session.execute(_SWEEP, {"max_rescues": get_settings().max_rescues})]


def abandon_worker(session: Session, worker: str) -> list[Released]:
    """Take back what a worker of this name still holds: for its successor, or the supervisor that saw it die."""
    return [Released(*r) for r in session.execute(_ABANDON, {"max_rescues": get_settings().max_rescues, "worker": worker})]


def abandon_attempt(session: Session, run_id: int, attempt: int) -> list[Released]:
    """Take back one attempt whose process is known to be dead."""
    params = {"max_rescues": get_settings().max_rescues, "id": run_id, "attempt": attempt}
    return [Released(*r) for r in session.execute(_ABANDON_ONE, params)]
