"""An attempt at a run, whole: claim it, call its handler, write down how it ended."""

from sqlalchemy.orm import Session

from core.kit import db, log
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.events import service as events
from core.runtime.events.models import Priority
from core.runtime.runs import handlers, outcome
from core.runtime.runs.context import RunContext
from core.runtime.runs.lease import Claim, LeaseLost, RunCancelled, claim, close_steps, finish, retry_later
from core.runtime.runs.models import Reason, RunState
from core.runtime.runs.outcome import Outcome
from core.runtime.runs.pulse import pulse

logger = log.get(__name__)


def execute(run_id: int, worker: str) -> RunState | None:
    """Work off one run in this process. Returns how it ended, or None when it was not ours to run."""
    with db.transaction(STAFF) as session:
        held = claim(session, run_id, worker)
    return None if held is None else settle(held, attempt(held))


def attempt(held: Claim, *, keep_lease: bool = True) -> Outcome:
    """Call the handler of a claimed run and say how it ended. Writes nothing to the ledger itself, and raises nothing."""
    try:
        with pulse.watch(held, keep_lease=keep_lease):
            output = handlers.get(held.kind).fn(RunContext(held, pulse))
            pulse.check()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a handler raises ends its run, never the worker
        # being stopped in the middle of a statement or a vendor's call often shows as an error of theirs
        return _ended_by(held, pulse.why_stopped() or error)
    return outcome.succeeded(output)


def _ended_by(held: Claim, error: BaseException) -> Outcome:
    if isinstance(error, RunCancelled):
        return outcome.cancelled()
    if isinstance(error, LeaseLost):
        logger.warning("lease_lost", run_id=held.id, run=held.name)
        return Outcome(RunState.QUEUED, lost=True)
    logger.error("run_raised", run_id=held.id, run=held.name, error=type(error).__name__)
    return outcome.raised(error, held.timeout_s)


def settle(held: Claim, ended: Outcome) -> RunState | None:
    """Write an attempt's outcome into the ledger. Returns the run's new state; None when the run was no longer ours."""
    if ended.lost:
        return None
    try:
        if ended.state == RunState.WAITING:
            with db.transaction(STAFF) as session:
                if retry_later(session, held, ended.error or "{}", ended.wait_s):
                    return RunState.WAITING
            ended = Outcome(RunState.FAILED, Reason.ERROR, error=ended.error)
        with db.transaction(STAFF) as session:
            finish(session, held, ended.state, reason=ended.reason, output=ended.output, error=ended.error)
            if ended.state != RunState.SUCCEEDED:
                close_steps(session, [held.id])
            if ended.state == RunState.FAILED:
                _tell_failed(session, held, ended)
    except LeaseLost:
        logger.warning("lease_lost", run_id=held.id, run=held.name)
        return None
    return ended.state


def _tell_failed(session: Session, held: Claim, ended: Outcome) -> None:
    events.publish(
        session,
        "run.failed",
        f"{held.name} failed: {ended.message}",
        org_id=held.org_id,
        actor=Actor(held.name, "run", held.id),
        priority=Priority.HIGH,
        subject=("run", held.id),
        cause_run_id=held.id,
        payload={"reason": ended.reason.value if ended.reason else "error"},
    )


def inline(held: Claim) -> bool:
    """Whether a claimed run may be worked off in the worker's own process.

    Only its first attempt: when a worker died with it, a process of its own shows whether the run was to blame.
    """
    handler = handlers.find(held.kind)
    return handler is not None and handler.inline and held.rescues == 0
