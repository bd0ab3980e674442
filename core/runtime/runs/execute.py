"""A worker's whole job: claim the run, call its handler, write down how it ended."""

import traceback
from typing import Any

from rq.timeouts import JobTimeoutException
from sqlalchemy.exc import InterfaceError, OperationalError

from core.errors import OpsError, RateLimited, Unavailable
from core.kit import db, log
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.events import service as events
from core.runtime.events.models import Priority
from core.runtime.runs import handlers
from core.runtime.runs.context import RunContext
from core.runtime.runs.lease import Claim, LeaseLost, RunCancelled, claim, finish, retry_later
from core.runtime.runs.models import Reason, RunState
from core.runtime.runs.pulse import pulse

TRANSIENT = (ConnectionError, TimeoutError, OperationalError, InterfaceError)
"""Errors of libraries that trying again can mend. Anything else that is not an OpsError is a bug: it fails at once."""

logger = log.get(__name__)


def execute(run_id: int, worker: str) -> RunState | None:
    """Work off one run. Returns how it ended, or None when it was not ours to run."""
    with db.transaction(STAFF) as session:
        held = claim(session, run_id, worker)
    if held is None:
        return None
    pulse.hold(held)
    try:
        return _run(held)
    except (LeaseLost, RunCancelled):
        return _stopped(held)
    finally:
        pulse.let_go()


def _run(held: Claim) -> RunState | None:
    try:
        output = handlers.get(held.kind).fn(RunContext(held, pulse))
        pulse.check()
    except (LeaseLost, RunCancelled):
        raise
    except JobTimeoutException:
        pulse.let_go()
        return _fail(
            held,
            _as_json(
                TimeoutError(),
                f"It took longer than its limit of {held.timeout_s} s.",
                "Retry it, or raise the job's time limit.",
            ),
            Reason.TIMED_OUT,
        )
    except Exception as error:  # noqa: BLE001 - whatever a handler raises ends its run, never the worker
        return _handle(held, error)
    with db.transaction(held.scope) as session:
        finish(session, held, RunState.SUCCEEDED, output=output or {})
    return RunState.SUCCEEDED


def _handle(held: Claim, error: Exception) -> RunState | None:
    told = _as_json(error)
    logger.error("run_failed", run_id=held.id, run=held.name, error=type(error).__name__)
    retryable = error.retryable if isinstance(error, OpsError) else isinstance(error, TRANSIENT)
    if retryable:
        wait_s = error.retry_after_s if isinstance(error, RateLimited) else None
        with db.transaction(held.scope) as session:
            if retry_later(session, held, told, wait_s):
                return RunState.WAITING
    return _fail(held, told, Reason.ERROR)


def _fail(held: Claim, told: dict[str, Any], reason: Reason) -> RunState:
    with db.transaction(held.scope) as session:
        finish(session, held, RunState.FAILED, reason=reason, error=told)
        events.publish(
            session,
            "run.failed",
            f"{held.name} failed: {told['message']}",
            org_id=held.org_id,
            actor=Actor(held.name, "run", held.id),
            priority=Priority.HIGH,
            subject=("run", held.id),
            cause_run_id=held.id,
            payload={"reason": reason.value},
        )
    return RunState.FAILED


def _stopped(held: Claim) -> RunState | None:
    if pulse.stopped is not RunCancelled:
        logger.warning("lease_lost", run_id=held.id, run=held.name)
        return None
    try:
        with db.transaction(held.scope) as session:
            finish(session, held, RunState.CANCELLED, reason=Reason.BY_PERSON)
    except (LeaseLost, Unavailable):
        return None
    return RunState.CANCELLED


def _as_json(error: Exception, message: str | None = None, next_step: str | None = None) -> dict[str, Any]:
    if isinstance(error, OpsError):
        message, next_step = error.message, error.next_step
    return {
        "type": type(error).__name__,
        "message": message or f"It stopped on an unexpected {type(error).__name__}.",
        "next_step": next_step or "Open the trace on the run page, or retry the run.",
        "trace": ""
        if isinstance(error, OpsError) and not error.__cause__
        else "".join(traceback.format_exception(error))[-8000:],
    }
