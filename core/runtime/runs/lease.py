"""The worker's side of the ledger: claim, renew, finish, put off, take back. Every write carries the fencing token.

Times are the database's clock, never the worker's.
"""

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from core.config import get_settings
from core.errors import OpsError
from core.kit.db import STAFF, Scope
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs.models import Reason

MAX_TAKEN_BACK = 20
"""Take-backs after which a run is set aside although its own process never died: whole workers keep dying around it."""

FREE_TAKE_BACKS = 2


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
    rescues: int = 0

    @property
    def scope(self) -> Scope:
        """The agency's runs see every organisation; a client's run sees only its own."""
        return STAFF if self.org_id == AGENCY_ID else self.org_id


# The parts below are shared with `line.py`, whose statements do the same in one round trip. `{}` stands for a value.
TAKE = """state = 'running', reason = NULL, attempts = attempts + 1, lease_token = gen_random_uuid(),
    lease_until = clock_timestamp() + make_interval(secs => {lease_s}), worker = {worker},
    started_at = coalesce(started_at, clock_timestamp()),
    late = late OR (due_at IS NOT NULL AND attempts = 0 AND clock_timestamp() > due_at + make_interval(secs => coalesce(
        (SELECT s.grace_s FROM schedules s WHERE s.id = runs.schedule_id), 900)))"""
FREE = "state IN ('queued', 'waiting') AND run_after <= clock_timestamp()"
CLAIMED = (
    "runs.id, org_id, kind, name, payload, attempts, lease_token, timeout_s, schedule_id, due_at, cause_label, replay_of, rescues"
)
END = """state = {state}, reason = {reason}, output = {output}, error = {error}, progress = {progress},
    progress_note = NULL, finished_at = clock_timestamp(), lease_token = NULL, lease_until = NULL"""
HELD = "id = {id} AND lease_token = {held} AND state = 'running'"

_CLAIM = text(
    f"UPDATE runs SET {TAKE.format(lease_s=':lease_s', worker=':worker')} WHERE id = :id AND {FREE} RETURNING {CLAIMED}"  # noqa: S608
)


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
        raise lost(held)
    return bool(row[0])


def lost(held: Claim) -> LeaseLost:
    """The error that says this attempt no longer holds its run."""
    return LeaseLost(f"Run {held.id} is held by another worker.")


_FENCE = text("SELECT 1 FROM runs WHERE id = :id AND lease_token = :token AND state = 'running' FOR SHARE")


def fence(session: Session, held: Claim) -> None:
    """Call as the last statement before commit: raises LeaseLost, and so rolls back, when the run is no longer ours.

    The lock it takes keeps the run from being taken back between this check and the commit.
    """
    if session.execute(_FENCE, {"id": held.id, "token": held.token}).first() is None:
        raise lost(held)


_FINISH = text(
    "UPDATE runs SET "  # noqa: S608 - built from the constants above
    + END.format(
        state=":state",
        reason=":reason",
        output="CAST(:output AS jsonb)",
        error="CAST(:error AS jsonb)",
        progress="CASE WHEN :whole THEN 1 ELSE progress END",
    )
    + " WHERE "
    + HELD.format(id=":id", held=":token")
    + " RETURNING id"
)


def finish(
    session: Session,
    held: Claim,
    state: str,
    *,
    reason: Reason | None = None,
    output: str | None = None,
    error: str | None = None,
) -> None:
    """End the run; `output` and `error` are JSON texts. Raises LeaseLost when it is no longer ours."""
    params = {
        "id": held.id,
        "token": held.token,
        "state": str(state),
        "whole": state == "succeeded",
        "reason": reason.value if reason else None,
        "output": output,
        "error": error,
    }
    if session.execute(_FINISH, params).first() is None:
        raise lost(held)


_CLOSE_STEPS = text("""
    UPDATE run_steps SET state = 'failed', finished_at = clock_timestamp(), note = coalesce(note, 'It was cut off.')
    WHERE run_id = ANY(:ids) AND state = 'running'
""")


def close_steps(session: Session, run_ids: list[int]) -> None:
    """Mark the steps that ended runs left open; call it in the transaction that ends them."""
    session.execute(_CLOSE_STEPS, {"ids": run_ids})


_RETRY_LATER = text("""
    UPDATE runs SET
        state = CASE WHEN cancel_requested_at IS NULL THEN 'waiting' ELSE 'cancelled' END,
        reason = CASE WHEN cancel_requested_at IS NULL THEN 'retry' ELSE 'by_person' END,
        finished_at = CASE WHEN cancel_requested_at IS NOT NULL THEN clock_timestamp() END,
        error = CAST(:error AS jsonb), run_after = clock_timestamp() + make_interval(secs => :wait_s),
        pushed_at = NULL, lease_token = NULL, lease_until = NULL
    WHERE id = :id AND lease_token = :token AND state = 'running' AND attempts - rescues < max_attempts
    RETURNING id
""")


def backoff_s(tries: int) -> float:
    """How long to wait before trying again after so many tries: 5, 10, 20 … at most 300 seconds, ± 20 %."""
    return min(300.0, 5.0 * 2.0 ** min(max(tries, 1) - 1, 10)) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter


def retry_later(session: Session, held: Claim, error: str, wait_s: float | None = None) -> bool:
    """Put the run aside for another attempt. False when its attempts are used up, or it is no longer ours.

    `error` is a JSON text. Attempts that a dying worker cut off don't count.
    """
    pause = wait_s if wait_s is not None else backoff_s(held.attempt - held.rescues)
    params = {"id": held.id, "token": held.token, "error": error, "wait_s": pause}
    return session.execute(_RETRY_LATER, params).first() is not None


# Taking back counts twice over: `crashes` when the run's own process died under a living worker (the run is the likely
# cause: max_rescues of them and it is set aside), `rescues` always. A worker that dies as a whole takes its run with it
# whoever is to blame. The first FREE_TAKE_BACKS of those cost nothing, and the run keeps its place; after that it waits
# longer each time, so that an unlucky run outlasts a storm, and a run that takes whole workers down does so less and less
# often, until MAX_TAKEN_BACK of them, most of an hour later, set it aside as well.
_RELEASE = """
    UPDATE runs SET
        state = CASE WHEN cancel_requested_at IS NOT NULL THEN 'cancelled' WHEN {poison} THEN 'quarantined'
                     WHEN {rest} THEN 'waiting' ELSE 'queued' END,
        reason = CASE WHEN cancel_requested_at IS NOT NULL THEN 'by_person' WHEN {poison} THEN 'poison'
                      WHEN {rest} THEN 'retry' END,
        finished_at = CASE WHEN cancel_requested_at IS NOT NULL OR {poison} THEN clock_timestamp() END,
        error = CASE WHEN cancel_requested_at IS NULL AND {poison} THEN jsonb_build_object(
            'type', 'Poison', 'next_step', 'Look at the worker log, then retry it.', 'trace', '', 'message',
            CASE WHEN crashes + :crashed > :max_crashes
                THEN 'Its process died ' || (crashes + :crashed) || ' times (' || CAST(:how AS text) || '), so it was set aside.'
                ELSE 'Its worker died ' || (rescues + 1) || ' times while running it, so it was set aside.' END) ELSE error END,
        run_after = CASE WHEN {rest} THEN clock_timestamp() + make_interval(secs => least(300, power(2, {innocent} - :free)))
                         ELSE run_after END,
        rescues = rescues + 1, crashes = crashes + :crashed, lease_token = NULL, lease_until = NULL,
        pushed_at = CASE WHEN NOT {rest} THEN clock_timestamp() END
    WHERE state = 'running' AND {which}
    RETURNING id, org_id, name, state, attempts, queue, timeout_s
"""
_INNOCENT = "(rescues + 1 - crashes - :crashed)"
_POISON = "(crashes + :crashed > :max_crashes OR rescues + 1 > :max_taken_back)"
# NO KEY: a frozen attempt in the middle of a step that wrote rows about its run must not keep the run from being taken back
_EXPIRED = """id IN (SELECT id FROM runs WHERE state = 'running' AND lease_until < clock_timestamp()
    LIMIT 500 FOR NO KEY UPDATE SKIP LOCKED)"""
_REST = f"(:crashed = 0 AND {_INNOCENT} > :free)"


def _releasing(which: str) -> TextClause:
    return text(_RELEASE.format(poison=_POISON, rest=_REST, innocent=_INNOCENT, which=which))


_SWEEP = _releasing(_EXPIRED)
_ABANDON = _releasing("worker = :worker")
_ABANDON_ONE = _releasing("id = :id AND lease_token = :token")


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


def _release(session: Session, statement: TextClause, crashed: bool = False, how: str = "", **which: Any) -> list[Released]:
    limits = {"max_crashes": get_settings().max_rescues, "max_taken_back": MAX_TAKEN_BACK, "free": FREE_TAKE_BACKS}
    params = {**limits, "crashed": int(crashed), "how": how, **which}
    return [Released(*r) for r in session.execute(statement, params)]


def sweep(session: Session) -> list[Released]:
    """Take back runs whose lease has run out."""
    return _release(session, _SWEEP)


def abandon_worker(session: Session, worker: str) -> list[Released]:
    """Take back what a worker of this name still holds: for its successor, or the supervisor that saw it die."""
    return _release(session, _ABANDON, worker=worker)


def abandon_attempt(session: Session, held: Claim, how: str, *, crashed: bool = True) -> list[Released]:
    """Take back one attempt whose process is known to be dead. `how` says what ended it, e.g. "signal 11, SIGSEGV".

    `crashed`: it died by itself, which counts against the run; False when its worker was told to stop.
    """
    return _release(session, _ABANDON_ONE, crashed=crashed, how=how, id=held.id, token=held.token)
