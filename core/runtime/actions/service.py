"""Commands on actions: decide, edit, reply, delegate, undo, resolve. Each locks the row, so one of two at once wins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import BadInput, Conflict, NotAllowed, OpsError
from core.kit import clock
from core.kit.actor import Actor
from core.runtime.actions import kinds, ledger, telling
from core.runtime.actions.kinds import Receipt, Rendering
from core.runtime.actions.models import (
    Action,
    ActionDecision,
    ActionState,
    Audience,
    Decided,
    Effect,
    EffectState,
    Origin,
    Outcome,
)
from core.runtime.actions.proposing import (
    Proposal as Proposal,
)
from core.runtime.actions.proposing import (
    Proposed,
    account_for,
    apply,
    defer,
    enqueue,
    get_locked,
)
from core.runtime.actions.proposing import (
    propose as propose,
)
from core.runtime.actions.words import FATE
from core.runtime.orgs import people
from core.runtime.orgs.people import ADMIN, Person
from core.runtime.policies.models import Stage, Verdict

RELEASE_AT_ONCE = 20
RELEASE_EVERY = timedelta(seconds=10)
"""After a kill switch is released, so many held actions go on each ten seconds: no burst."""
RELEASE_A_TURN = 120
"""So many are locked in one transaction; the clock, which asks each minute, takes the next ones."""
RELEASED = "The kill switch was released."


@dataclass(frozen=True, slots=True)
class Decision:
    """What a decision led to, in a sentence."""

    state: ActionState
    sentence: str


@dataclass(frozen=True, slots=True)
class Result:
    """One of many decisions."""

    id: int
    ok: bool
    sentence: str


def decide(
    session: Session, action_id: int, decision: Decided, by: Actor, *, payload_sha256: str, via: str, note: str | None = None
) -> Decision:
    """Approve or reject exactly what `payload_sha256` binds.

    Raises Conflict that names who was first, or that it changed since it was shown; NotAllowed for whoever may not.
    """
    if decision not in (Decided.APPROVE, Decided.REJECT):
        raise BadInput(f"“{decision}” is no decision.", "Approve or reject it.")
    action = _open_for(session, action_id, payload_sha256)
    if decision == Decided.REJECT:
        _may_decide(session, action, by)
        _write(session, action, Decided.REJECT, by, via, note)
        _dismiss(action, Outcome.REJECTED, by)
        telling.event(session, action, "rejected", f"{by.label} rejected: {action.title}.", by, payload={"note": note})
        telling.seal(session, action, "action.rejected", by, {"via": via})
        return Decision(ActionState.DISMISSED, "Rejected. Nothing is sent.")
    _may_approve(session, action, by)
    so_far = approvers(session, action)
    if by.kind == "user" and by.id in so_far:
        raise Conflict("You have approved this already.", "It needs somebody else as well.")
    _write(session, action, Decided.APPROVE, by, via, note)
    have = len(so_far) + 1
    if have < action.approvals_needed:
        telling.event(session, action, "approved_once", f"{by.label} approved: {action.title}. It needs one more.", by)
        telling.seal(session, action, "action.approved_once", by, {"via": via})
        return Decision(ActionState.AWAITING, f"Approved, {have} of {action.approvals_needed}. It needs somebody else as well.")
    action.state, action.approved_sha256 = ActionState.APPROVED, action.payload_sha256
    action.decided_by, action.decided_at = by.label, clock.now()
    telling.event(session, action, "approved", f"{by.label} approved: {action.title}.", by, payload={"note": note})
    enqueue(session, action)
    telling.seal(session, action, "action.approved", by, {"via": via})
    return Decision(ActionState.APPROVED, "Approved. It is on its way.")


def approve_many(session: Session, wanted: Sequence[tuple[int, str]], by: Actor, via: str) -> list[Result]:
    """One decision each for several actions of the same kind; one that fails leaves the others as they are."""
    found = session.execute(select(Action.kind).where(Action.id.in_([i for i, _ in wanted])).distinct()).scalars().all()
    if len(found) > 1:
        raise BadInput("These are not alike.", "Approve actions of one kind together.")
    # all rows at once, in one order and before anything is sealed: so nobody who waits for one of them holds what we need
    session.execute(select(Action.id).where(Action.id.in_([i for i, _ in wanted])).order_by(Action.id).with_for_update())
    results = []
    for action_id, sha in sorted(wanted):
        try:
            with session.begin_nested():
                said = decide(session, action_id, Decided.APPROVE, by, payload_sha256=sha, via=via)
            results.append(Result(action_id, True, said.sentence))
        except OpsError as error:
            results.append(Result(action_id, False, str(error)))
    return results


def edit(
    session: Session, action_id: int, changes: Mapping[str, Any], by: Actor, *, payload_sha256: str, via: str,
    source: Mapping[str, str] | None = None,
) -> Proposed:  # fmt: skip
    """Change fields of an action that waits: a new version with new final bytes, which needs approval of its own.

    `source` is a run's own line of provenance for what it changes, {"origin", "source"}; without one that counts as untrusted.
    """
    action = _open_for(session, action_id, payload_sha256)
    if by.kind != "run":
        _may_decide(session, action, by)
    elif action.agent != by.label and action.run_id != by.id:  # an agent may redraft what it proposed; a person decides as before
        raise NotAllowed("An agent may only redraft what it proposed itself.", "A person can edit it.")
    kind = kinds.get(action.kind)
    editable = {f.name for f in kind.fields}
    wrong = sorted(set(changes) - editable)
    if wrong:
        raise BadInput(f"“{wrong[0]}” of a {kind.word} can't be edited.", f"These can: {', '.join(sorted(editable)) or 'none'}.")
    before = dict(action.payload)
    model = kind.read({**before, **changes})
    payload = model.model_dump(mode="json")
    changed = [k for k in payload if payload[k] != before.get(k)]
    if not changed:
        raise BadInput("Nothing was changed.", "Approve it as it is, or change something.")
    account = account_for(session, action.org_id, kind)
    drawn = kind.render(model, Rendering(action.org_id, action.effect_key, account, session))
    _write(session, action, Decided.EDIT, by, via, ", ".join(changed), before)
    action.payload, action.version = payload, action.version + 1
    action.provenance = {**action.provenance, **dict.fromkeys(changed, _source(by, source))}
    apply(action, kind, drawn, account)
    session.flush()
    reason = _judge_edit(session, action)
    telling.event(session, action, "edited", f"{by.label} edited: {action.title}.", by, payload={"fields": changed})
    telling.seal(session, action, "action.edited", by, {"via": via, "fields": changed})
    return Proposed(action.id, ActionState(action.state), reason, created=False)


def _source(by: Actor, told: Mapping[str, str] | None) -> dict[str, str]:
    """Where an edited value comes from."""
    if by.kind == "user":
        return {"origin": Origin.TRUSTED.value, "source": f"edited by {by.label}"}
    if by.kind == "run" and told is not None:
        return dict(told)
    return {"origin": Origin.UNTRUSTED.value, "source": f"redrafted by {by.label}"}  # it may come from anywhere


def _judge_edit(session: Session, action: Action) -> str:
    from core.runtime.policies import engine

    said = engine.judge(session, action, Stage.EDIT)
    if said.verdict == Verdict.DENY:
        raise BadInput(f"It can't be changed like this. {said.reason}", "Change it differently; it stays as it was.")
    action.approvals_needed = max(1, said.approvals) if said.verdict == Verdict.APPROVAL else 1
    session.flush()
    return said.reason


def reply(session: Session, action_id: int, text: str, by: Actor, *, payload_sha256: str, via: str) -> int:
    """Answer whoever asks, instead of deciding: the item waits on. Returns the event's id."""
    if not text.strip():
        raise BadInput("The reply is empty.", "Write what should be different.")
    action = _open_for(session, action_id, payload_sha256)
    _may_decide(session, action, by)
    _write(session, action, Decided.REPLY, by, via, text.strip()[:4000])
    told = telling.event(
        session, action, "replied", f"{by.label} replied about: {action.title}.", by, payload={"text": text.strip()[:4000]},
        to_agents=(action.agent,) if action.agent else (),
    )  # fmt: skip
    telling.notify("action_replied", session, action, by)
    return told


def delegate(session: Session, action_id: int, user_id: int, by: Actor, via: str) -> Person:
    """Hand the decision to one person. Returns who has it now."""
    action = get_locked(session, action_id)
    if action.state != ActionState.AWAITING:
        raise _too_late(action)
    _may_decide(session, action, by)
    person = people.find(session, user_id)
    if person is None:
        raise BadInput("There is nobody like that who may sign in.", "Choose somebody else.")
    _write(session, action, Decided.DELEGATE, by, via, person.name)
    action.owner_user_id = person.id
    telling.event(session, action, "delegated", f"{by.label} handed to {person.name}: {action.title}.", by)
    telling.notify("approval_waiting", session, action)
    return person


def undo(session: Session, action_id: int, by: Actor, via: str) -> Proposed:
    """Take back what was done, by an action of its own. Raises BadInput when it can't be undone."""
    action = get_locked(session, action_id)
    kind = kinds.get(action.kind)
    _may_decide(session, action, by)
    if action.state != ActionState.DONE:
        raise Conflict(f"It is {FATE[ActionState(action.state)]}.", "Only what was done can be undone.")
    if kind.undo_kind is None or kind.undo_payload is None:
        raise BadInput(f"A {kind.word} can't be undone.", "It has left the house.")
    if action.mode == "dry_run":
        raise BadInput("It was a dry run: nothing was sent.", "There is nothing to undo.")
    effect = session.execute(select(Effect).where(Effect.action_id == action.id)).scalar_one()
    receipt = Receipt(effect.external_ref, effect.external_url, effect.receipt)
    _write(session, action, Decided.UNDO, by, via, None)
    return propose(
        session,
        Proposal(
            kind.undo_kind, kind.undo_payload(action.payload, receipt), by, org_id=action.org_id, key=_undo_key(session, action),
            reason=f"{by.label} takes it back.", undo_of=action.id, demo=action.demo,
        ),
    )  # fmt: skip


def _undo_key(session: Session, action: Action) -> str:
    """One undo at a time; another one only after one that came to nothing."""
    nothing = (ActionState.DENIED, ActionState.FAILED, ActionState.DISMISSED)
    before = select(func.count()).where(Action.undo_of == action.id, Action.state.in_(nothing))
    return f"undo:{action.id}:{session.execute(before).scalar_one()}"


def resolve(session: Session, action_id: int, happened: bool, by: Actor, via: str, note: str | None = None) -> Decision:
    """A person says what became of an effect nobody could look up."""
    action = get_locked(session, action_id)
    if action.state != ActionState.UNKNOWN:
        raise _too_late(action)
    _may_decide(session, action, by)
    effect = session.execute(select(Effect).where(Effect.action_id == action.id)).scalar_one()
    effect.state = EffectState.DONE if happened else EffectState.FAILED
    action.state = ActionState.DONE if happened else ActionState.FAILED
    action.mode = "live"
    effect.finished_at = action.finished_at = func.clock_timestamp()
    said = f"{by.label} says that it {'happened' if happened else 'did not happen'}."
    action.error = None if happened else {"message": said, "next_step": "Propose it again if it is still wanted."}
    if happened and action.undo_of is not None:
        ledger.undone(session, action.undo_of)
    _write(session, action, Decided.RESOLVE, by, via, note or said)
    telling.event(session, action, "done" if happened else "failed", f"{action.title}: {said}", by)
    telling.seal(session, action, "action.resolved", by, {"via": via, "happened": happened})
    return Decision(ActionState(action.state), said)


def withdraw(session: Session, action_id: int, by: Actor, note: str | None = None) -> None:
    """Whoever asked, or may decide, no longer wants it, before it is under way."""
    action = get_locked(session, action_id)
    if action.state not in (ActionState.AWAITING, ActionState.DEFERRED, ActionState.APPROVED):
        raise _too_late(action)
    own = (by.kind, by.id) == (action.requested_by_kind, action.requested_by_id)
    if by.kind in ("user", "api") and not own:
        _may_decide(session, action, by)
    if ledger.may_have_happened(session, action_id):
        raise Conflict("It may have been sent already: no clear answer came.", "It is found out by itself, or you are asked.")
    _dismiss(action, Outcome.WITHDRAWN, by)
    telling.event(session, action, "withdrawn", f"{by.label} withdrew: {action.title}.", by, payload={"note": note})
    telling.seal(session, action, "action.withdrawn", by)


def release_held(session: Session, ids: Sequence[int]) -> int:
    """Let these actions, which a kill switch held, go on behind those released before. Returns how many: at most a turn's."""
    wanted = select(Action).where(Action.state == ActionState.DEFERRED, Action.deferred_until.is_(None), Action.id.in_(ids))
    held = session.execute(wanted.order_by(Action.id).limit(RELEASE_A_TURN).with_for_update()).scalars().all()
    # asked once the rows are locked: what another turn released meanwhile is seen
    ahead = session.execute(
        select(func.max(Action.deferred_until)).where(
            Action.state == ActionState.DEFERRED, Action.error["message"].astext == RELEASED
        )
    ).scalar_one()
    start = max(clock.now(), ahead + RELEASE_EVERY) if ahead else clock.now()
    for n, action in enumerate(held):
        defer(session, action, start + RELEASE_EVERY * (n // RELEASE_AT_ONCE), RELEASED)
    return len(held)


def approvers(session: Session, action: Action) -> list[int | None]:
    """Who has approved exactly this version."""
    counted = select(ActionDecision.user_id).where(
        ActionDecision.action_id == action.id,
        ActionDecision.version == action.version,
        ActionDecision.payload_sha256 == action.payload_sha256,
        ActionDecision.decision == Decided.APPROVE,
    )
    return list(session.execute(counted).scalars())


# ---- who may


def may_decide(action: Any, person: Person) -> bool:
    """Whether this person may decide such an action: admins all, others what is theirs by role or by delegation."""
    return bool(person.role == ADMIN or person.role == action.owner_role or person.id == action.owner_user_id)


def _may_decide(session: Session, action: Action, by: Actor) -> None:
    if by.kind == "api":
        harmless = action.audience != Audience.OUTSIDE and not action.cost_minor and action.approvals_needed == 1
        if not harmless or action.origin != Origin.TRUSTED:
            raise NotAllowed("An API key may not decide this.", "A person has to: open it on the Approvals page.")
        return
    person = people.acting(session, by)
    if person is None:
        raise NotAllowed("Only a person who may sign in can decide this.", "Sign in and open it on the Approvals page.")
    if not may_decide(action, person):
        raise NotAllowed(f"This is for {action.owner_role or ADMIN} to decide.", "Ask an admin, or have it delegated to you.")


def _may_approve(session: Session, action: Action, by: Actor) -> None:
    _may_decide(session, action, by)
    if not action.cost_minor or by.kind != "user":
        return
    edited = select(ActionDecision.user_id).where(ActionDecision.action_id == action.id, ActionDecision.decision == Decided.EDIT)
    own = action.requested_by_kind == "user" and action.requested_by_id == by.id
    if own or by.id in session.execute(edited).scalars().all():
        raise NotAllowed("You can't approve money you asked for yourself.", "Ask somebody else who may approve it.")


# ---- parts


def _open_for(session: Session, action_id: int, payload_sha256: str) -> Action:
    action = get_locked(session, action_id)
    if action.state != ActionState.AWAITING:
        raise _too_late(action)
    if action.payload_sha256 != payload_sha256:
        last = session.execute(
            select(ActionDecision.by)
            .where(ActionDecision.action_id == action.id, ActionDecision.decision == Decided.EDIT)
            .order_by(ActionDecision.id.desc())
            .limit(1)
        ).scalar_one_or_none()
        raise Conflict(f"{last or 'Somebody'} changed it since you opened it.", "Read it again, then decide.")
    if action.deadline_at is not None and action.deadline_at <= clock.now():
        raise Conflict("Its time to be decided is over.", "Nothing is sent; ask for it to be proposed again.")
    return action


def _too_late(action: Action) -> Conflict:
    fate = FATE[ActionState(action.state)]
    if action.outcome == Outcome.EXPIRED:
        return Conflict("Nobody decided it in time, so it was dismissed.", "Ask for it to be proposed again.")
    who = action.decided_by if action.decided_by not in (None, "policy") else None
    return Conflict(f"{who} was first: it is {fate}." if who else f"It is {fate}.", "There is nothing left to decide.")


def _write(
    session: Session, action: Action, decision: Decided, by: Actor, via: str, note: str | None,
    before: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    session.add(
        ActionDecision(
            org_id=action.org_id, action_id=action.id, version=action.version, payload_sha256=action.payload_sha256,
            decision=decision, user_id=by.user_id, by=by.label, via=via, note=note, before=before,
            demo=action.demo,
        )
    )  # fmt: skip
    session.flush()


def _dismiss(action: Action, outcome: Outcome, by: Actor) -> None:
    action.state, action.outcome = ActionState.DISMISSED, outcome
    action.decided_by, action.decided_at = by.label, clock.now()
    action.finished_at = clock.now()
