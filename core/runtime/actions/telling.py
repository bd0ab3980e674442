"""What everybody learns of an action: events, the audit chain, notifications."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from sqlalchemy.orm import Session

from core.kit.actor import SYSTEM, Actor
from core.runtime.actions import followers
from core.runtime.actions.followers import Told
from core.runtime.actions.models import Action
from core.runtime.audit import service as audit
from core.runtime.events import service as events
from core.runtime.events.models import Priority
from core.runtime.orgs.models import AGENCY_ID

_PRIORITY = {"unknown": Priority.URGENT, "failed": Priority.HIGH, "awaiting": Priority.HIGH}


def event(
    session: Session, action: Action, what: str, summary: str, by: Actor | None = None, *,
    payload: Mapping[str, Any] | None = None, to_agents: tuple[str, ...] = (), cause_event_id: int | None = None,
    cause_run_id: int | None = None,
) -> int:  # fmt: skip
    """Publish `action.WHAT` about it, and let those who follow the action do their part."""
    event_id = events.publish(
        session, f"action.{what}", summary, org_id=action.org_id, actor=by or _actor(action),
        payload={"kind": action.kind, "title": action.title, "target": action.target, **(payload or {})},
        subject=("action", action.id), priority=_PRIORITY.get(what, Priority.NORMAL), to_agents=to_agents,
        cause_run_id=cause_run_id or action.run_id, cause_event_id=cause_event_id, demo=action.demo,
    )  # fmt: skip
    followers.tell(session, action, Told(what, event_id, by, payload or {}))
    return event_id


def _actor(action: Action) -> Actor:
    return Actor(action.agent) if action.agent else SYSTEM


def seal(session: Session, action: Action, what: str, by: Actor, detail: Mapping[str, Any] | None = None) -> None:
    """Write it into the audit chain: last in the transaction, since it locks the chain.

    What is done to the demo goes into the agency's own chain: a chain is never cleared, and the demo's clients are.
    """
    session.flush()
    known = {"kind": action.kind, "version": action.version, "sha256": action.payload_sha256}
    audit.write(
        session, what, ("action", action.id), by, known | dict(detail or {}), org_id=AGENCY_ID if action.demo else action.org_id
    )


Notice = Literal["approval_waiting", "approval_reminder", "effect_unknown", "action_replied", "action_failed"]


def notify(what: Notice, session: Session, action: Action, *by: Actor) -> None:
    """Tell the people concerned; `by` is who replied."""
    from core.runtime.notifications import about  # which reads actions

    tell: Mapping[Notice, Callable[..., None]] = {
        "approval_waiting": about.approval_waiting, "approval_reminder": about.approval_reminder,
        "effect_unknown": about.effect_unknown, "action_replied": about.action_replied, "action_failed": about.action_failed,
    }  # fmt: skip
    session.flush()
    tell[what](session, action, *by)
