"""What time does to actions: nobody decided, somebody should be reminded, a run ended without an end for its action."""

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core.kit import clock, db, log
from core.kit.actor import SYSTEM
from core.kit.db import STAFF
from core.runtime.actions import ledger, telling
from core.runtime.actions.models import Action, ActionState, Outcome

_AT_ONCE = 200

_WITHOUT_A_RUN = """
    SELECT a.id FROM actions a JOIN runs r ON r.id = a.execute_run_id
    WHERE (a.state IN ('approved', 'executing') OR a.state = 'deferred' AND a.deferred_until IS NOT NULL)
        AND r.state IN ('failed', 'cancelled', 'quarantined', 'succeeded')
"""
_ABANDONED = text(f"{_WITHOUT_A_RUN} ORDER BY a.id LIMIT {_AT_ONCE}")
_STILL = text(f"{_WITHOUT_A_RUN} AND a.id = :id FOR UPDATE OF a FOR SHARE OF r")

logger = log.get(__name__)


def sweep() -> int:
    """Do what is due. Returns how many actions changed. Two clocks at once do each thing once."""
    with db.transaction(STAFF) as session:
        changed = _expire(session) + _remind(session)
    for action_id in _abandoned():
        with db.transaction(STAFF) as session:
            changed += _abandon(session, action_id)
    return changed


def _due(session: Session, *conditions: object) -> list[Action]:
    wanted = select(Action).where(*conditions).order_by(Action.id).limit(_AT_ONCE).with_for_update(skip_locked=True)  # type: ignore[arg-type]
    return list(session.execute(wanted).scalars())


def _expire(session: Session) -> int:
    now = clock.now()
    late = _due(session, Action.state == ActionState.AWAITING, Action.deadline_at <= now)
    late += _due(session, Action.state == ActionState.DEFERRED, Action.expires_at <= now)
    for action in late:
        if ledger.may_have_happened(session, action.id):  # it waited to be sent again with the same key
            ledger.record_unknown(session, action.id, "Its time is over, and it may have been sent before.")
            continue
        action.state, action.outcome, action.finished_at = ActionState.DISMISSED, Outcome.EXPIRED, now
        action.decided_by, action.decided_at = "time", now
        telling.event(session, action, "expired", f"Nobody decided in time, so it is not sent: {action.title}.")
        telling.seal(session, action, "action.expired", SYSTEM)
    return len(late)


def _remind(session: Session) -> int:
    now = clock.now()
    due = _due(session, Action.state == ActionState.AWAITING, Action.remind_at <= now, Action.reminded_at.is_(None))
    for action in due:
        action.reminded_at = now
        telling.notify("approval_reminder", session, action)
    return len(due)


def _abandoned() -> list[int]:
    with db.transaction(STAFF) as session:
        return list(session.execute(_ABANDONED).scalars())


def _abandon(session: Session, action_id: int) -> int:
    if session.execute(_STILL, {"id": action_id}).first() is None:
        return 0
    logger.warning("action_abandoned", action_id=action_id, state=ledger.abandoned(session, action_id))
    return 1
