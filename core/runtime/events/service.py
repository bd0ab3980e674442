"""Publishing events: in the same transaction as the change they tell of."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from core.kit.actor import SYSTEM, Actor
from core.runtime.events.models import Event, Priority
from core.runtime.orgs.models import AGENCY_ID


def publish(
    session: Session,
    type: str,
    summary: str,
    *,
    org_id: UUID = AGENCY_ID,
    payload: Mapping[str, Any] | None = None,
    actor: Actor = SYSTEM,
    to_agents: Sequence[str] = (),
    priority: Priority = Priority.NORMAL,
    subject: tuple[str, int] | None = None,
    cause_run_id: int | None = None,
    cause_event_id: int | None = None,
    hop: int = 0,
    demo: bool = False,
) -> int:
    """Write one event and return its id. `summary` is one sentence for people; `subject` is (type, id).

    `demo` marks what was done to a demo row, so that it goes when the demo is cleared.
    """
    statement = (
        insert(Event)
        .values(
            org_id=org_id,
            type=type,
            summary=summary,
            payload=dict(payload or {}),
            actor=actor.label,
            actor_user_id=actor.user_id,
            to_agents=list(to_agents),
            priority=priority.value,
            subject_type=subject[0] if subject else None,
            subject_id=subject[1] if subject else None,
            cause_run_id=cause_run_id,
            cause_event_id=cause_event_id,
            hop=hop,
            demo=demo,
        )
        .returning(Event.id)
    )
    return session.execute(statement).scalar_one()
