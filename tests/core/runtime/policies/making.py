"""Actions and effects for the tests of policies, written as the gate writes them."""

import itertools
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from core.runtime.actions.models import Action, ActionState, Effect
from core.runtime.orgs.models import AGENCY_ID

_numbers = itertools.count(1)


def action(session: Session, **fields: Any) -> Action:
    """A stored action: a mail to Ann at Northwind that Dave (user 1) asked for, unless told otherwise."""
    values: dict[str, Any] = {
        "org_id": AGENCY_ID, "kind": "mail.send", "state": ActionState.APPROVED, "title": "Mail to Ann", "target": "Ann",
        "payload": {"to": ["ann@northwind.example"], "subject": "Hello", "text": "Good morning."}, "wire": b"{}",
        "payload_sha256": f"sha{next(_numbers)}", "account": "resend:1", "effect_key": uuid4(), "origin": "trusted",
        "provenance": {}, "audience": "outside", "recipients": ["ann@northwind.example"], "requested_by": "Dave",
        "requested_by_kind": "user", "requested_by_id": 1, "expires_at": func.clock_timestamp() + func.make_interval(0, 0, 0, 7),
    } | fields  # fmt: skip
    made = session.execute(insert(Action).values(values).returning(Action.id)).scalar_one()
    return session.execute(select(Action).where(Action.id == made)).scalar_one()


def effect(session: Session, of: Action, **fields: Any) -> int:
    """The action's effect: done just now, unless told otherwise. `ago` (interval) moves it back."""
    at: datetime | Any = fields.pop("at", func.clock_timestamp())
    values: dict[str, Any] = {
        "org_id": of.org_id, "action_id": of.id, "effect_key": of.effect_key, "kind": of.kind, "state": "done",
        "wire_sha256": "x", "audience": of.audience, "recipients": list(of.recipients), "cost_minor": of.cost_minor,
        "currency": of.currency, "intent_at": at, "first_sent_at": at, "finished_at": at, "receipt": {},
    } | fields  # fmt: skip
    return session.execute(insert(Effect).values(values).returning(Effect.id)).scalar_one()


def client(session: Session, name: str = "Northwind", zone: str = "America/Chicago") -> UUID:
    """An organisation of a client."""
    from core.runtime.orgs.models import Organisation

    made = Organisation(name=name, kind="client", time_zone=zone)
    session.add(made)
    session.flush()
    return made.id
