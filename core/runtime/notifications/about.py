"""Who is told what about an action. A link only shows the action: it decides nothing."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.kit.actor import Actor
from core.runtime.actions.models import Action, ActionDecision, Decided
from core.runtime.notifications import service
from core.runtime.notifications.models import AGENT, APPROVAL
from core.runtime.orgs import people


def _link(action: Action) -> str:
    return f"/action?action={action.id}"


def _owners(action: Action) -> tuple[list[int], str | None]:
    """(people, role) who may decide about it: the one person it was delegated to, or its owner's role."""
    if action.owner_user_id is not None:
        return [action.owner_user_id], None
    return [], action.owner_role or people.ADMIN


def _who(action: Action) -> str:
    return action.agent or action.requested_by


def _ours(action: Action) -> bool:
    """Whether it is one of the messages we tell people by: about those nobody is told, or it would never end."""
    return action.agent == AGENT


def approval_waiting(session: Session, action: Action) -> None:
    """It waits for a person: tell whoever may decide. A new version of it is told anew."""
    if _ours(action):
        return
    users, role = _owners(action)
    service.notify(
        session, users=users, role=role, kind=APPROVAL, key=f"action:{action.id}:{action.version}:waiting",
        title=f"Decide: {action.title}", href=_link(action), urgent=True, org_id=action.org_id, demo=action.demo,
        body=f"{_who(action)} asks. It reaches {action.target}. Nothing happens until you decide.",
    )  # fmt: skip


def approval_reminder(session: Session, action: Action) -> None:
    """Nobody has decided and its deadline comes near: tell whoever may decide, and the admins."""
    if _ours(action):
        return
    users, role = _owners(action)
    told = {
        "kind": "reminder", "key": f"action:{action.id}:{action.version}:reminder", "title": f"Still waiting: {action.title}",
        "body": f"{_who(action)} asked, and nobody has decided. It expires if nobody does.", "href": _link(action),
        "urgent": True, "org_id": action.org_id, "demo": action.demo,
    }  # fmt: skip
    service.notify(session, users=users, role=role, **told)  # type: ignore[arg-type]
    if role != people.ADMIN:
        service.notify(session, role=people.ADMIN, **told)  # type: ignore[arg-type]


def effect_unknown(session: Session, action: Action) -> None:
    """It was sent and no answer came: an admin has to say what happened."""
    service.notify(
        session, role=people.ADMIN, kind="unknown", key=f"action:{action.id}:unknown",
        title=f"Did it happen? {action.title}",
        body=f"No clear answer came. Look at {action.target} and say what happened; until then nothing is sent again.",
        href=_link(action), urgent=not _ours(action), org_id=action.org_id, demo=action.demo,
    )  # fmt: skip


def action_replied(session: Session, action: Action, by: Actor) -> None:
    """A person answered instead of deciding: tell the person who asked for it, or its owners when an agent did."""
    if action.requested_by_kind == "user" and action.requested_by_id is not None:
        users, role = [action.requested_by_id], None
    else:
        users, role = _owners(action)
    said = select(ActionDecision.id, ActionDecision.note).where(
        ActionDecision.action_id == action.id, ActionDecision.decision == Decided.REPLY
    )
    newest = session.execute(said.order_by(ActionDecision.id.desc()).limit(1)).first()
    number, text = (newest.id, newest.note) if newest else (0, None)
    service.notify(
        session, users=users, role=role, kind="reply", key=f"action:{action.id}:reply:{number}",
        title=f"{by.label} replied: {action.title}", body=f"“{text[:400]}”" if text else "Open it to read the reply.",
        href=_link(action), org_id=action.org_id, demo=action.demo,
    )  # fmt: skip


def action_failed(session: Session, action: Action) -> None:
    """It could not be carried out: tell its owners, and the person who asked for it."""
    error = action.error or {}
    users, role = _owners(action)
    if action.requested_by_kind == "user" and action.requested_by_id is not None:
        users = [*users, action.requested_by_id]
    why = " ".join(str(error.get(k, "")) for k in ("message", "next_step")).strip() or "The vendor refused it."
    service.notify(
        session, users=users, role=role, kind="failed", key=f"action:{action.id}:failed", title=f"Not done: {action.title}",
        body=why, href=_link(action), org_id=action.org_id, demo=action.demo,
    )  # fmt: skip
