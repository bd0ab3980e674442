"""Making actions and judging them: what an action would do is rendered to its final bytes before anybody decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.kit import clock
from core.kit.actor import Actor
from core.runtime.actions import kinds, telling
from core.runtime.actions.binding import binding
from core.runtime.actions.kinds import INSIDE, NO_ACCOUNT, Account, ActionKind, Rendered, Rendering
from core.runtime.actions.models import Action, ActionState, Origin
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.policies.models import Stage, Verdict
from core.runtime.runs import service as runs
from core.runtime.runs.models import Queue

EXECUTE = "action.execute"
"""The run kind that carries an action out."""
BY_POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What somebody wants done. `facts` are what it rests on, `provenance` says per field where its value came from.

    `key` makes it idempotent; `agent` is in whose name, when it is an agent.
    """

    kind: str
    payload: Mapping[str, Any]
    by: Actor
    org_id: UUID = AGENCY_ID
    reason: str | None = None
    key: str | None = None
    agent: str | None = None
    run_id: int | None = None
    cause_event_id: int | None = None
    facts: Sequence[Mapping[str, Any]] = ()
    origin: Origin = Origin.TRUSTED
    provenance: Mapping[str, Any] = field(default_factory=dict)
    expires_in: timedelta | None = None
    owner_role: str | None = None
    undo_of: int | None = None
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Proposed:
    """What became of a proposal. `created` is False when its key was there already."""

    id: int
    state: ActionState
    reason: str
    created: bool = True


def propose(session: Session, wanted: Proposal) -> Proposed:
    """Make an action, render it and let the policies judge it, in the caller's transaction.

    When they allow it, the run that carries it out is queued at once. Raises BadInput for a payload the kind can't read.
    """
    if wanted.key is not None and (known := _by_key(session, wanted.key)) is not None:
        return Proposed(known.id, ActionState(known.state), "It was proposed before.", created=False)
    kind = kinds.get(wanted.kind)
    now = clock.now()
    model = kind.read(wanted.payload)
    effect_key = uuid4()
    account = account_for(session, wanted.org_id, kind)
    drawn = kind.render(model, Rendering(wanted.org_id, effect_key, account, session))
    action = Action(
        org_id=wanted.org_id, kind=kind.name, state=ActionState.PROPOSED, reason=wanted.reason, key=wanted.key,
        payload=model.model_dump(mode="json"), version=1, effect_key=effect_key, origin=wanted.origin,
        provenance=dict(wanted.provenance), reversible=kind.reversible, undo_of=wanted.undo_of, agent=wanted.agent,
        requested_by=wanted.by.label, requested_by_kind=wanted.by.kind, requested_by_id=wanted.by.id, run_id=wanted.run_id,
        facts=[dict(f) for f in wanted.facts], owner_role=wanted.owner_role or kind.owner_role, approvals_needed=1,
        expires_at=now + (wanted.expires_in or kind.expires_in), created_at=now, demo=wanted.demo,
    )  # fmt: skip
    apply(action, kind, drawn, account)
    action_id = _insert(session, action)
    if action_id is None:  # somebody else proposed it at this very moment
        known = _by_key(session, wanted.key or "")
        if known is None:  # another organisation's, which this transaction may not see
            raise Conflict("There is another action with that key.", "Use a key of your own.")
        return Proposed(known.id, ActionState(known.state), "It was proposed before.", created=False)
    made = get_locked(session, action_id)
    telling.event(
        session, made, "proposed", f"{_who(made)} proposed: {made.title}.", wanted.by, cause_event_id=wanted.cause_event_id
    )
    reason = judge(session, made, Stage.PROPOSE)
    return Proposed(made.id, ActionState(made.state), reason)


def _who(action: Action) -> str:
    return action.agent or action.requested_by


def _by_key(session: Session, key: str) -> Any:
    return session.execute(select(Action.id, Action.state).where(Action.key == key)).first()


def _insert(session: Session, action: Action) -> int | None:
    values = {c.key: getattr(action, c.key) for c in Action.__table__.columns if getattr(action, c.key) is not None}
    statement = insert(Action).values(values).on_conflict_do_nothing(constraint="actions_key").returning(Action.id)
    return session.execute(statement).scalar_one_or_none()


_LOCKED = select(Action).where(Action.id == bindparam("id")).with_for_update().execution_options(populate_existing=True)


def get_locked(session: Session, action_id: int) -> Action:
    """The action's row, locked until the transaction ends. Raises NotFound."""
    found = session.execute(_LOCKED, {"id": action_id}).scalar_one_or_none()
    if found is None:
        raise NotFound(f"There is no action {action_id}.", "See the Approvals page or `ops actions list`.")
    return found


def account_for(session: Session, org_id: UUID, kind: ActionKind) -> Account | None:
    """Whose account would carry such an action out, without its secret; None for our own database or a dry run."""
    if kind.inside is not None:
        return None
    from core.runtime.connections import service as connections

    return connections.account_for(session, org_id, kind.vendors)


def account_label(kind: ActionKind, account: Account | None) -> str:
    """As `actions.account` keeps it."""
    return INSIDE if kind.inside is not None else account.label if account else NO_ACCOUNT


def apply(action: Action, kind: ActionKind, drawn: Rendered, account: Account | None) -> None:
    """Put what was rendered into the action and bind it anew: whatever was approved before no longer counts."""
    action.wire = drawn.wire
    action.title, action.target = drawn.title, drawn.target
    action.audience, action.recipients = drawn.audience, list(drawn.recipients)
    action.marketing, action.cost_minor, action.currency = drawn.marketing, drawn.cost_minor, drawn.currency
    action.account = account_label(kind, account)
    action.approved_sha256 = None
    action.payload_sha256 = binding(action)


def render_again(session: Session, action: Action) -> None:
    """Render its payload anew as the next version, e.g. because the account changed."""
    kind = kinds.get(action.kind)
    account = account_for(session, action.org_id, kind)
    drawn = kind.render(kind.read(action.payload), Rendering(action.org_id, action.effect_key, account, session))
    action.version += 1
    apply(action, kind, drawn, account)


def judge(session: Session, action: Action, stage: Stage) -> str:
    """Let the policies say what becomes of a new or changed action. Returns their reason."""
    from core.runtime.policies import engine

    said = engine.judge(session, action, stage)
    if said.verdict == Verdict.DENY:
        deny(session, action, said.reason)
    elif said.verdict == Verdict.APPROVAL:
        await_approval(session, action, said.reason, said.approvals, said.owner_role)
    elif said.verdict == Verdict.DEFER:
        action.approved_sha256 = action.payload_sha256
        action.decided_by = BY_POLICY
        defer(session, action, said.until, said.reason)
    else:
        approve_by_policy(session, action, said.reason)
    session.flush()
    return said.reason


def deny(session: Session, action: Action, reason: str) -> None:
    """It will not be done."""
    action.state = ActionState.DENIED
    action.error = {"message": reason, "next_step": "Change what stands against it, then propose it again."}
    action.finished_at = clock.now()
    telling.event(session, action, "denied", f"Denied: {action.title}. {reason}")
    telling.seal(session, action, "action.denied", Actor(BY_POLICY), {"reason": reason})


def await_approval(session: Session, action: Action, reason: str, approvals: int, owner_role: str | None) -> None:
    """A person must decide."""
    kind = kinds.get(action.kind)
    now = clock.now()
    action.state = ActionState.AWAITING
    action.approved_sha256 = None
    action.approvals_needed = max(1, approvals)
    action.owner_role = owner_role or action.owner_role or kind.owner_role
    action.deadline_at = min(now + kind.decide_in, action.expires_at)
    action.remind_at = now + (action.deadline_at - now) / 2
    action.reminded_at = None
    session.flush()
    telling.event(session, action, "awaiting", f"Waits for approval: {action.title}. {reason}")
    telling.notify("approval_waiting", session, action)


def approve_by_policy(session: Session, action: Action, reason: str) -> None:
    """The policies allow it without a person."""
    action.approved_sha256 = action.payload_sha256
    action.decided_by, action.decided_at = BY_POLICY, clock.now()
    action.state = ActionState.APPROVED
    telling.event(session, action, "approved", f"Allowed by policy: {action.title}.", payload={"reason": reason})
    enqueue(session, action)
    telling.seal(session, action, "action.approved", Actor(BY_POLICY), {"reason": reason})


def defer(session: Session, action: Action, until: datetime | None, reason: str) -> None:
    """Not now: it goes on at `until`, or when the kill switch that holds it is released (None)."""
    action.state = ActionState.DEFERRED
    action.deferred_until = until
    action.error = {"message": reason, "next_step": "It goes on by itself." if until else "It goes on when a person resumes."}
    telling.event(session, action, "deferred", f"Deferred: {action.title}. {reason}")
    if until is not None:
        enqueue(session, action, run_after=until)


def enqueue(session: Session, action: Action, *, run_after: datetime | None = None) -> None:
    """Queue the run that carries it out."""
    session.flush()
    name = kinds.get(action.kind).word
    by = Actor(action.requested_by, action.requested_by_kind, action.requested_by_id)
    made = runs.enqueue(
        session, EXECUTE, name, org_id=AGENCY_ID if action.demo else action.org_id, payload={"action_id": action.id}, by=by,
        queue=Queue.INTERACTIVE, priority=50, run_after=run_after,
    )  # fmt: skip
    action.execute_run_id = made.run_id
    session.flush()
