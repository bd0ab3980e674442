"""Actions put straight into the tables, in any state, as the service would have left them there."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy.orm import Session

from core.kit import clock
from core.runtime.actions import kinds
from core.runtime.actions.binding import binding, digest
from core.runtime.actions.kinds import Rendering
from core.runtime.actions.models import Action, ActionDecision, Effect, EffectCall
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.policies.models import PolicyVerdict

FACTS = [
    {"key": "crm.pipeline_summary.open", "label": "Open deals", "shown": "12 deals", "value": 12, "section": "crm.pipeline"},
    {"key": "crm.pipeline_summary.value", "label": "Open value", "shown": "$84,000", "value": 8400000, "section": "crm.pipeline"},
]


def put(session: Session, kind: str = "test.note", state: str = "awaiting_approval", **over: Any) -> Action:
    """One action of the agency's; `over` are columns that differ. `wire` defaults to the payload as JSON."""
    now = clock.now()
    payload = over.pop("payload", {"text": "Twelve deals are open."})
    wire = over.pop("wire", None) or json.dumps(payload).encode()
    values: dict[str, Any] = {
        "org_id": AGENCY_ID, "kind": kind, "state": state, "title": "Note that twelve deals are open", "target": "the team",
        "reason": "It is Monday.", "payload": payload, "wire": wire, "account": "none", "version": 1, "effect_key": uuid4(),
        "origin": "trusted", "provenance": {}, "audience": "internal", "recipients": [], "marketing": False, "cost_minor": 0,
        "currency": "USD", "reversible": False, "undo_of": None, "agent": "Executive AI", "requested_by": "CEO Morning Brief",
        "requested_by_kind": "run", "requested_by_id": None, "facts": FACTS, "approvals_needed": 1, "owner_role": "admin",
        "deadline_at": now + timedelta(hours=5), "expires_at": now + timedelta(days=2), "demo": False, "created_at": now,
    }  # fmt: skip
    made = Action(**(values | over))
    made.payload_sha256 = binding(made)
    if state in ("approved", "executing", "done", "unknown", "undone"):
        made.approved_sha256 = made.payload_sha256
    session.add(made)
    session.flush()
    return made


def rendered(session: Session, kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The columns a kind's own rendering fills, for `put`."""
    known, key = kinds.get(kind), uuid4()
    model = known.read(payload)
    drawn = known.render(model, Rendering(AGENCY_ID, key, None, session))
    return {
        "kind": kind, "payload": model.model_dump(mode="json"), "wire": drawn.wire, "title": drawn.title, "target": drawn.target,
        "audience": drawn.audience, "recipients": list(drawn.recipients), "effect_key": key, "cost_minor": drawn.cost_minor,
        "currency": drawn.currency, "marketing": drawn.marketing, "reversible": known.reversible,
    }  # fmt: skip


def post(session: Session, text: str = "Twelve deals are **open**.", **over: Any) -> Action:
    """A Slack post that waits."""
    return put(session, **(rendered(session, "slack.post", {"channel": "#leadership", "text": text}) | over))


def mail(session: Session, to: str = "dana@cornerstone.example", subject: str = "Your report", **over: Any) -> Action:
    """A mail that waits for delivery or an admin."""
    text = over.pop("text", "Hi Dana,\n\n1. It ran.\n2. It works.")
    made = rendered(session, "mail.send", {"to": to, "subject": subject, "text": text})
    return put(session, **(made | {"owner_role": "delivery", "agent": "Delivery AI"} | over))


def decided(session: Session, action: Action, decision: str, by: str, user_id: int | None, **over: Any) -> ActionDecision:
    """Somebody's decision about the action's version."""
    made = ActionDecision(
        org_id=action.org_id, action_id=action.id, version=over.pop("version", action.version),
        payload_sha256=action.payload_sha256, decision=decision, user_id=user_id, by=by, via=over.pop("via", "web"), **over,
    )  # fmt: skip
    session.add(made)
    session.flush()
    return made


def judged(session: Session, action: Action, policy: str, verdict: str, reason: str, stage: str = "propose") -> None:
    """What a policy said."""
    session.add(
        PolicyVerdict(org_id=action.org_id, action_id=action.id, policy=policy, stage=stage, verdict=verdict, reason=reason)
    )
    session.flush()


def effect(session: Session, action: Action, state: str, *calls: dict[str, Any], **over: Any) -> Effect:
    """The effect of an action, with its calls."""
    made = Effect(
        org_id=action.org_id, action_id=action.id, effect_key=action.effect_key, kind=action.kind, state=state,
        vendor=over.pop("vendor", "slack"), wire_sha256=digest(action.wire), audience=action.audience, **over,
    )  # fmt: skip
    session.add(made)
    session.flush()
    for call in calls:
        session.add(EffectCall(org_id=action.org_id, effect_id=made.id, vendor=made.vendor, **call))
    session.flush()
    return made
