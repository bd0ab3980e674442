"""Setting policies' numbers in tests, past their bounds where a test needs an hour of three seconds."""

from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs.outcome import to_json

_SET = text("""
    INSERT INTO policy_settings (org_id, policy, values, edited_by) VALUES (:org, :policy, CAST(:values AS jsonb), 'a test')
    ON CONFLICT (org_id, policy) DO UPDATE SET values = policy_settings.values || excluded.values
""")


def set_numbers(session: Session, policy: str, *, org_id: UUID = AGENCY_ID, **values: Any) -> None:
    """These numbers hold from now on; the agency's hold for every organisation that has no own."""
    session.execute(_SET, {"org": org_id, "policy": policy, "values": to_json(values)})


def open_to_all(session: Session, *, approvals: bool = False) -> None:
    """Messages go to people outside at any hour, and nothing waits for a person unless `approvals`."""
    set_numbers(session, "send_mode", mode="live")
    set_numbers(session, "contact_ceiling", quiet=False, week=50, month=200)
    if not approvals:
        set_numbers(session, "approval_kinds", outside=False, money=False, kinds=[])
