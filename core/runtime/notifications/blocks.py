"""A waiting action as a Slack message: what it does, to whom, every word of it, and buttons where one tap may decide.

What it says is text, never Slack's markup: `slack.post` writes out what would be a mention or a hidden link.
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
MAX_SHOWN: Final = 2_500
"""What does not fit whole is not decided here."""
PIECE: Final = 500
"""Slack takes 3,000 characters a section, and writes & as five."""
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
    """The `blocks` of a `slack.post` that asks for a decision. `public_url` is where the dashboard is reached; opening the link
    decides nothing."""
    tap = one_tap(action)
    texts = [_facts(action), *([f"Why: {_cut(action.reason, 400)}"] if action.reason else []), *_pieces(_content(action))]
    return [
        {"type": "header", "text": _cut(action.title, 150)},
        *({"type": "section", "text": t} for t in texts),
        {"type": "buttons", "buttons": _buttons(action, public_url, tap)},
        {"type": "section", "text": _fate(action, tap)},
    ]


def _pieces(text: str) -> list[str]:
    """At most MAX_SHOWN characters in pieces that fit Slack's sections even when every sign of them has to be written out."""
    shown = _cut(text, MAX_SHOWN)
    pieces = [shown[at : at + PIECE] for at in range(0, len(shown), PIECE)]
    return [p for p in pieces if p.strip()]


def decided_blocks(title: str, sentence: str, action_id: int, public_url: str) -> list[Block]:
    """Slack's own blocks that take the notice's place once it is decided: no decision any more, a link to the item."""
    return [
        {"type": "section", "text": _plain(_cut(title, 600))},
        {"type": "section", "text": _plain(_cut(sentence, 600))},
        {
            "type": "actions",
            "elements": [{"type": "button", "action_id": OPEN, "text": _plain("Open"), "url": _url(action_id, public_url)}],
        },
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


def _facts(action: Action) -> str:
    cost = money.show(action.cost_minor, action.currency) if action.cost_minor else "nothing"
    pairs = [
        ("Reaches", action.target),
        ("Asked by", action.agent or action.requested_by),
        ("Costs", cost),
        ("Can be undone", "yes" if action.reversible else "no"),
    ]
    return "\n".join(f"{label}: {_cut(value, 100)}" for label, value in pairs)


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
    opens: Block = {"label": "Open", "url": _url(action.id, public_url)}
    if not tap:
        return [opens]
    kind = kinds.find(action.kind)
    value = json.dumps({"action": action.id, "sha256": action.payload_sha256}, separators=(",", ":"))
    yes = _cut(f"Approve: {kind.verb}" if kind else "Approve", 75)
    return [
        {"label": yes, "action": APPROVE, "value": value, "style": "primary"},
        {"label": "Reject", "action": REJECT, "value": value, "style": "danger"},
        opens,
    ]


def _url(action_id: int, public_url: str) -> str:
    return f"{public_url.rstrip('/')}/action?action={action_id}"


def _fate(action: Action, tap: bool) -> str:
    due = action.deadline_at or action.expires_at
    until = f"If nobody decides by {_when(due)}, it is dropped and nothing is sent."
    return until if tap else f"Open it to decide: it can't be decided from here. {until}"


def _when(at: datetime) -> str:
    from core.config import get_settings

    local = at.astimezone(clock.zone(get_settings().time_zone))
    return f"{local:%a} {local.day} {local:%b}, {local:%H:%M}"
