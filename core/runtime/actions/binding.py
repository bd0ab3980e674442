"""What an approval is bound to: one hash over everything that matters of an action."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from core.runtime.actions.models import Action

BOUND = (
    "kind", "org_id", "title", "target", "payload", "account", "effect_key", "origin", "provenance", "audience", "recipients",
    "marketing", "cost_minor", "currency", "reversible", "undo_of", "agent", "version", "demo", "expires_at", "reason", "facts",
    "requested_by", "requested_by_kind", "requested_by_id",
)  # fmt: skip
"""Columns the hash covers, beside `wire`."""
APPROVALS = "d.action_id = :id AND d.version = :version AND d.payload_sha256 = :sha AND d.decision = 'approve'"
"""Which rows d of action_decisions approve exactly this version."""
APPROVER = "coalesce(d.user_id, 0)"
"""Who approved it: a person's id, or 0 for API keys, which together count as one."""


def digest(wire: bytes) -> str:
    """SHA-256 of the final bytes, in hex."""
    return hashlib.sha256(wire).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, UUID):
        return str(value)
    return value


def binding(action: Action) -> str:
    """The hash an approval is given for: final bytes, recipients, account, price, expiry and all else in BOUND."""
    bound: dict[str, Any] = {name: _plain(getattr(action, name)) for name in BOUND}
    bound["wire"] = digest(action.wire)
    return hashlib.sha256(json.dumps(bound, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
