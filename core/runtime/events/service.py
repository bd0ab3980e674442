"""Publishing events: in the same transaction as the change they tell of."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.kit.actor import SYSTEM, Actor
from core.runtime.events.models import Priority
from core.runtime.orgs.models import AGENCY_ID

# written out: it is part of nearly everything, and building it anew each time costs more than running it
_PUBLISH = text("""
    INSERT INTO events (org_id, type, summary, payload, actor, actor_user_id, to_agents, priority, subject_type, subject_id,
        cause_run_id, cause_event_id, hop, demo)
    VALUES (CAST(:org AS uuid), :type, :summary, CAST(:payload AS jsonb), :actor, CAST(:user AS bigint),
        CAST(:agents AS text[]), :priority, CAST(:subject AS text), CAST(:subject_id AS bigint), CAST(:run AS bigint),
        CAST(:event AS bigint), :hop, :demo)
    RETURNING id
""")


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
    values = {
        "org": org_id, "type": type, "summary": summary, "payload": json.dumps(dict(payload or {})), "actor": actor.label,
        "user": actor.user_id, "agents": list(to_agents), "priority": priority.value, "subject": subject[0] if subject else None,
        "subject_id": subject[1] if subject else None, "run": cause_run_id, "event": cause_event_id, "hop": hop, "demo": demo,
    }  # fmt: skip
    return int(session.execute(_PUBLISH, values).scalar_one())
