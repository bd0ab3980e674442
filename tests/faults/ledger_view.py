"""What the vendors saw, joined with what the database says about it."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.domains.crm.actions import mark
from core.integrations.smtp.message import mime
from core.runtime.actions.binding import binding
from core.runtime.actions.models import Action

WRITES = frozenset(
    {
        "slack.chat.postMessage", "slack.chat.delete", "resend.emails", "smtp.data", "pipedrive.deals.create",
        "pipedrive.deals.delete",
    }
)  # fmt: skip
"""The fake world's endpoints at which something happens."""
_DATE = re.compile(r"^Date: (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Line:
    """An effect with its action. `names` are what vendors' logs may call it: (endpoint, key)."""

    effect_id: int
    action: Action
    state: str
    dry_run: bool
    wire_sha256: str
    names: tuple[tuple[str, str], ...]
    bound: bool
    """Whether what was approved is still what the action says, hash by hash."""


_EFFECTS = text("SELECT id, action_id, state, dry_run, wire_sha256 FROM effects ORDER BY id")


def lines(session: Session) -> list[Line]:
    """All effects."""
    actions: Mapping[int, Action] = {a.id: a for a in session.query(Action)}
    found = []
    for row in session.execute(_EFFECTS):
        action = actions[row.action_id]
        bound = action.approved_sha256 == action.payload_sha256 == binding(action)
        found.append(Line(row.id, action, row.state, row.dry_run, row.wire_sha256, _names(action), bound))
    return found


def _names(action: Action) -> tuple[tuple[str, str], ...]:
    key = str(action.effect_key)
    if action.kind == "slack.delete":
        return (("slack.chat.delete", f"{action.payload['channel']}/{action.payload['ts']}"),)
    if action.kind == "pipedrive.deal.delete":
        return (("pipedrive.deals.delete", str(action.payload["deal_id"])),)
    return (
        ("slack.chat.postMessage", key), ("resend.emails", key), ("smtp.data", key),
        ("pipedrive.deals.create", mark(action.effect_key)),
    )  # fmt: skip


def applied(calls: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The calls that did something outside."""
    return [c for c in calls if c["applied"] and c["endpoint"] in WRITES]


def sent_as_bound(call: Mapping[str, Any], line: Line) -> bool:
    """Whether the bytes that arrived are the ones the approval was bound to."""
    wire = bytes(line.action.wire)
    if line.wire_sha256 != hashlib.sha256(wire).hexdigest():
        return False
    if call["endpoint"] == "pipedrive.deals.delete":  # no body: the request line is what is bound
        return wire == f"DELETE /api/v2/deals/{call['key']}".encode()
    if call["endpoint"] == "smtp.data":
        return bool(call["body_sha256"] == hashlib.sha256(_as_mail(wire, call["body"])).hexdigest())
    return bool(call["body_sha256"] == line.wire_sha256)


def _as_mail(wire: bytes, body: str) -> bytes:
    """A mail is made from the bound bytes and the date alone: made again with the date it bears, it must be the same."""
    found = _DATE.search(body)
    return mime(wire, parsedate_to_datetime(found[1].strip())).data if found else b""


def at(call: Mapping[str, Any]) -> datetime:
    """When the vendor got it."""
    from datetime import UTC

    return datetime.fromtimestamp(call["at"], UTC)
