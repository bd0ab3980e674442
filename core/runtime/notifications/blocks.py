"""A waiting action as a Slack message: what it does, to whom, every word of it, and buttons where one tap may decide.

Text that came from anywhere is shown as plain text, never as Slack's markup: a link or a mention in it stays letters.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from core.kit import clock, money
from core.runtime.actions import kinds
from core.runtime.actions.models import Action, ActionState, Origin

APPROVE: Final = "ops_approve"
REJECT: Final = "ops_reject"
OPEN: Final = "ops_open"
MAX_SHOWN: Final = 2_800
"""Slack takes 3,000 characters a section. What does not fit whole is not decided here."""
Block = dict[str, Any]


def one_tap(action: Action) -> bool:
    """Whether a button may decide it: no money, one person enough, nothing from untrusted text, and all of it can be shown."""
    doubtful = any(isinstance(v, Mapping) and v.get("origin") == Origin.UNTRUSTED for v in action.provenance.values())
    return (
        action.state == ActionState.AWAITING
        and not action.cost_minor
        and action.approvals_needed == 1
        and action.origin == Origin.TRUSTED
        and not doubtful
        and not action.stale
        and len(_content(action)) <= MAX_SHOWN
    )


def approval_text(action: Action) -> str:
    """The message for where blocks are not shown (a phone's notice)."""
    return f"{action.agent or action.requested_by} asks: {action.title}"


def approval_blocks(action: Action, public_url: str) -> list[Block]:
    """The blocks of the notice. `public_url` is where the dashboard is reached; opening the link decides nothing."""
    tap, shown = one_tap(action), _content(action)
    blocks: list[Block] = [
        {"type": "header", "text": _plain(_cut(action.title, 150))},
        _fields(action),
        *([{"type": "section", "text": _plain(_cut(f"Why: {action.reason}", 600))}] if action.reason else []),
    ]
    if shown:
        blocks.append({"type": "section", "text": _plain(_cut(shown, MAX_SHOWN))})
    blocks.append({"type": "actions", "block_id": f"ops:{action.id}", "elements": _buttons(action, public_url, tap)})
    blocks.append({"type": "context", "elements": [_plain(_cut(_fate(action, tap), 300))]})
    return blocks


def decided_blocks(title: str, sentence: str, action_id: int, public_url: str) -> list[Block]:
    """What takes the notice's place once it is decided: no buttons any more, a link to the item."""
    return [
        {"type": "section", "text": _plain(_cut(title, 600))},
        {"type": "section", "text": _plain(_cut(sentence, 600))},
        {"type": "actions", "block_id": f"ops:{action_id}", "elements": [_link(action_id, public_url)]},
    ]


def read_value(value: str) -> tuple[int, str] | None:
    """(action, binding) of a button's value; None when it is none of ours."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    action_id, sha = found.get("action"), found.get("sha256")
    if not isinstance(action_id, int) or isinstance(action_id, bool) or not 0 < action_id < 2**63:
        return None
    return (action_id, sha) if isinstance(sha, str) and len(sha) == 64 else None


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _fields(action: Action) -> Block:
    cost = money.show(action.cost_minor, action.currency) if action.cost_minor else "nothing"
    pairs = [
        ("Reaches", action.target),
        ("Asked by", action.agent or action.requested_by),
        ("Costs", cost),
        ("Can be undone", "yes" if action.reversible else "no"),
    ]
    return {"type": "section", "fields": [_plain(_cut(f"{label}\n{value}", 400)) for label, value in pairs]}


def _content(action: Action) -> str:
    """Every part of the payload, whole, under its name."""
    kind = kinds.find(action.kind)
    labels = {f.name: f.label for f in kind.fields} if kind else {}
    parts = []
    for name in sorted(action.payload, key=lambda n: list(labels).index(n) if n in labels else len(labels)):
        value = action.payload[name]
        if value not in (None, "", [], {}):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            parts.append(f"{labels.get(name) or name.replace('_', ' ').capitalize()}: {shown}")
    return "\n".join(parts)


def _buttons(action: Action, public_url: str, tap: bool) -> list[Block]:
    if not tap:
        return [_link(action.id, public_url)]
    kind = kinds.find(action.kind)
    value = json.dumps({"action": action.id, "sha256": action.payload_sha256}, separators=(",", ":"))
    yes = _cut(f"Approve: {kind.verb}" if kind else "Approve", 75)
    return [
        {"type": "button", "action_id": APPROVE, "style": "primary", "text": _plain(yes), "value": value},
        {"type": "button", "action_id": REJECT, "style": "danger", "text": _plain("Reject"), "value": value},
        _link(action.id, public_url),
    ]


def _link(action_id: int, public_url: str) -> Block:
    url = f"{public_url.rstrip('/')}/action?action={action_id}"
    return {"type": "button", "action_id": OPEN, "text": _plain("Open"), "url": url}


def _fate(action: Action, tap: bool) -> str:
    due = action.deadline_at or action.expires_at
    until = f"If nobody decides by {_when(due)}, it is dropped and nothing is sent."
    return until if tap else f"Open it to decide: it can't be decided from here. {until}"


def _when(at: datetime) -> str:
    from core.config import get_settings

    local = at.astimezone(clock.zone(get_settings().time_zone))
    return f"{local:%a} {local.day} {local:%b}, {local:%H:%M}"
