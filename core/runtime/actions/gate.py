"""The gate: the one transaction in which an approved action is looked at a last time and its intent is written down."""

from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from core.kit import clock
from core.kit.actor import SYSTEM
from core.runtime.actions import kinds, ledger, proposing, telling
from core.runtime.actions.binding import APPROVALS, APPROVER, binding, digest
from core.runtime.actions.kinds import INSIDE, NO_ACCOUNT, Account
from core.runtime.actions.ledger import Begun, Stop
from core.runtime.actions.models import Action, ActionState, Effect, EffectCall, Outcome
from core.runtime.policies.models import Stage, Verdict

GOES_ON = (ActionState.APPROVED, ActionState.DEFERRED, ActionState.EXECUTING)
KILL_SWITCH = "kill_switch"
# written out, as all statements here that each effect needs: building one anew costs as much as running it
_APPROVERS = text(f"SELECT count(DISTINCT {APPROVER}) FROM action_decisions d WHERE {APPROVALS}")  # noqa: S608


def begin(session: Session, run_id: int, action_id: int, *, absent: bool = False) -> Any:
    """Let it through or not. Returns a `Begun` whose intent commits with the caller's transaction, or the state it has now.

    `absent`: this run has just looked it up, and no earlier attempt did anything; so everything is asked as for the first time.
    """
    action = proposing.get_locked(session, action_id)
    # one run at a time: an old run that somebody replays must not meet the one that is sending
    if action.state not in GOES_ON or action.execute_run_id != run_id:
        return action.state
    effect = ledger.effect_locked(session, action.id)
    if effect is not None and effect.first_sent_at is not None:
        if not absent:
            return _resumed(session, action, effect)
        effect.first_sent_at = None
    stopped = _still_bound(session, action)
    if stopped is not None:
        return stopped
    kind = kinds.get(action.kind)
    account = proposing.account_for(session, action.org_id, kind)
    if proposing.account_label(kind, account) != action.account:
        return _other_account(session, action)
    said = _judged(session, action)
    if said is None:
        return action.state
    dry_run = said.dry_run or action.demo or action.account == NO_ACCOUNT
    return _intend(session, action, effect, account, dry_run and kind.inside is None, run_id)


def _still_bound(session: Session, action: Action) -> str | None:
    """None while the approval holds; else the state the action has now."""
    now = clock.now()
    if action.expires_at <= now:
        action.state, action.outcome, action.finished_at = ActionState.DISMISSED, Outcome.EXPIRED, now
        telling.event(session, action, "expired", f"Too late, so it is not sent: {action.title}.")
        telling.seal(session, action, "action.expired", SYSTEM)
        return action.state
    bound = binding(action)
    if action.approved_sha256 == bound and action.payload_sha256 == bound and _people_agree(session, action):
        return None
    proposing.deny(session, action, "It was changed after it was approved, so the approval no longer holds.")
    return action.state


def _people_agree(session: Session, action: Action) -> bool:
    """When people approved it, they approved exactly this: their own record of the hash says so."""
    if action.decided_by == proposing.BY_POLICY:
        return True
    this = {"id": action.id, "version": action.version, "sha": action.payload_sha256}
    said: int = session.execute(_APPROVERS, this).scalar_one()
    return said >= action.approvals_needed


def _other_account(session: Session, action: Action) -> str:
    """The account changed since: it is rendered for the new one, and what was approved by people is asked again."""
    by_people = action.decided_by != proposing.BY_POLICY
    proposing.render_again(session, action)
    session.flush()
    telling.event(session, action, "edited", f"Its connection changed, so it was rendered anew: {action.title}.")
    if by_people:
        proposing.await_approval(session, action, "Its connection changed since it was approved.", action.approvals_needed, None)
        session.flush()
    else:
        proposing.judge(session, action, Stage.PROPOSE)
    telling.seal(session, action, "action.edited", SYSTEM, {"fields": ["account"]})
    return action.state


def _judged(session: Session, action: Action) -> Any:
    """The last word of the policies, under their locks. None when it may not be done now; the action says why."""
    from core.runtime.policies import engine

    said = engine.judge(session, action, Stage.SEND, lock=True)
    if said.verdict == Verdict.ALLOW:
        return said
    if said.verdict == Verdict.DENY and _held(said):
        proposing.defer(session, action, None, said.reason)
    elif said.verdict == Verdict.DENY:
        proposing.deny(session, action, said.reason)
    elif said.verdict == Verdict.DEFER:
        proposing.defer(session, action, said.until, said.reason)
    else:
        proposing.await_approval(session, action, said.reason, said.approvals, said.owner_role)
    session.flush()
    return None


def _held(said: Any) -> bool:
    """Whether nothing but a kill switch stands against it: then it is held, not denied."""
    return (
        said.verdict == Verdict.DENY
        and any(key == KILL_SWITCH and one.verdict == Verdict.DENY for key, one in said.said)
        and all(key == KILL_SWITCH for key, one in said.said if one.verdict == Verdict.DENY)
    )


def _intend(
    session: Session, action: Action, effect: Effect | None, account: Account | None, dry_run: bool, run_id: int
) -> Any:  # fmt: skip
    now = clock.now()
    calls = not dry_run and action.account != INSIDE
    effect_id, call_id = ledger.intend(session, action, effect, account, dry_run, run_id, now, calls=calls)
    if action.account == INSIDE:
        return _inside(session, action, run_id)
    vendor, connection = (account.vendor, account.id) if account else (None, None)
    return Begun(
        action.id, effect_id, call_id, action.org_id, action.kind, vendor, connection, action.wire, action.effect_key, now,
        dry_run, resumed=False, unclear=0,
    )  # fmt: skip


def _inside(session: Session, action: Action, run_id: int) -> str:
    """Our own database: done and recorded in this one transaction."""
    do = kinds.get(action.kind).inside
    if do is None:
        raise ValueError(f"{action.kind} is not done inside")
    receipt = do(session, action)
    return ledger.record_done(session, action.id, receipt, None, run_id)


def _resumed(session: Session, action: Action, effect: Effect) -> Any:
    """An earlier attempt may have sent it. Looking it up is always allowed; sending again only while nothing stops it."""
    if effect.wire_sha256 != digest(action.wire) or action.approved_sha256 != binding(action):
        return ledger.record_unknown(
            session, action.id, "It was changed after it was approved, and it may have been sent before."
        )
    calls = session.execute(
        select(func.count()).where(
            EffectCall.effect_id == effect.id,
            EffectCall.outcome.in_(("unclear", "refused")),
            EffectCall.at >= effect.first_sent_at,
        )
    ).scalar_one()
    action.state, action.deferred_until, action.error = ActionState.EXECUTING, None, None
    session.flush()
    can_ask = kinds.get(action.kind).look_up is not None  # then the policies are asked after the look-up
    stop = None if can_ask or effect.dry_run else _stop(session, action)
    if effect.first_sent_at is None:
        raise ValueError("an effect under way has first_sent_at")
    return Begun(
        action.id, effect.id, None, action.org_id, action.kind, effect.vendor, effect.connection_id, action.wire,
        action.effect_key, effect.first_sent_at, effect.dry_run, resumed=True, unclear=calls, stop=stop,
    )  # fmt: skip


def _stop(session: Session, action: Action) -> Stop | None:
    from core.runtime.policies import engine

    if action.expires_at <= clock.now():
        return Stop("Its time is over.")
    said = engine.judge(session, action, Stage.SEND, lock=True)
    if said.verdict == Verdict.ALLOW:
        return Stop("Only dry runs are allowed now.") if said.dry_run else None
    return Stop(said.reason, _held(said), said.until if said.verdict == Verdict.DEFER else None)
