"""An action as a row of the keyed table. Its id carries the hash: what is chosen on the screen is what can be approved."""

from collections.abc import Sequence

from app.ui import action_words, table, words
from app.ui.action_text import flat
from app.ui.table import Column, Row
from core.domains.users.queries import CurrentUser
from core.runtime.actions.models import ActionState
from core.runtime.actions.rows import ActionRow

COLUMNS = (
    Column("What", "text", phone="first"),
    Column("Who asks", "text", phone="wide", width="180px"),
    Column("Rests on", "text", phone="label", width="104px"),
    Column("Costs", "money", phone="label", align="end", width="76px"),
    Column("Decide by", "due", phone="corner", width="156px"),
    Column("State", "state", phone="label", width="172px"),
)


def row_id(row: ActionRow) -> str:
    """Id and hash: a changed version is another row, so a choice made before falls away."""
    return f"{row.id}.{row.payload_sha256}"


def split(ids: Sequence[object]) -> list[tuple[int, str]]:
    """The (id, hash) pairs the browser sent back; anything else is left out."""
    pairs = []
    for given in ids:
        number, _, sha = str(given).partition(".")
        if number.isascii() and number.isdigit() and len(number) < 16 and sha:
            pairs.append((int(number), sha))
    return pairs


def alike(row: ActionRow, user: CurrentUser) -> bool:
    """Whether it may be approved among others: nothing about it wants a second look."""
    plain = not (row.stale or row.unconfirmed or row.cost_minor or row.approvals_needed > 1)
    return row.state == ActionState.AWAITING and plain and action_words.may_decide(row, user)


def bulk(rows: Sequence[ActionRow], user: CurrentUser) -> list[tuple[str, str, str]]:
    """The bulk button of each kind that can be approved together: (action, label for several, label for one)."""
    found = dict.fromkeys(r.kind for r in rows if alike(r, user))
    return [
        (f"approve:{k}", f"Approve {action_words.plural(k, 2).replace('2', '{n}', 1)}…", f"Approve {action_words.plural(k, 1)}…")
        for k in found
    ]


def row(item: ActionRow, user: CurrentUser) -> Row:
    """One action."""
    word = action_words.word(item)
    pressing = item.state == ActionState.UNKNOWN or action_words.urgency(item) == "red"
    can = [f"approve:{item.kind}"] if alike(item, user) else []
    cells = [
        table.text(flat(item.title), _below(item)),
        table.text(action_words.asks(item), words.short(flat(item.reason or ""), 90)),
        _rests(item),
        action_words.cost(item) if item.cost_minor else None,
        _due(item),
        table.chip(action_words.key(item), word),
    ]
    return Row(
        row_id(item),
        cells,
        f"{flat(item.title)}, {word}",
        tone=action_words.urgency(item) if pressing else "",
        can=can,
        page=_page(item),
    )


def _below(item: ActionRow) -> str:
    parts = [action_words.noun(item.kind)]
    if item.target.removesuffix(" on Slack") not in item.title:
        parts.append(flat(item.target))
    if not item.reversible:
        parts.append("cannot be undone")
    if item.unconfirmed:
        parts.append("from untrusted text")
    return " · ".join(parts)


def _rests(item: ActionRow) -> object:
    if not item.facts:
        return ""
    if item.stale:
        return table.text(words.many(item.facts, "fact"), f"{item.stale} changed")
    return words.many(item.facts, "fact")


def _due(item: ActionRow) -> object:
    then = action_words.short_fate(item)
    if item.state == ActionState.AWAITING:
        return table.due(item.due_at, then, action_words.urgency(item))
    if item.state == ActionState.DEFERRED and item.deferred_until:
        return table.due(item.deferred_until, then)
    if item.state in (ActionState.UNKNOWN, ActionState.DEFERRED):
        return table.due(None, then, said="no deadline")
    by = action_words.BY_ITSELF.get(item.decided_by or "", item.decided_by)
    return table.due(item.finished_at or item.decided_at or item.created_at, f"by {by}" if by else "")


def _page(item: ActionRow) -> str:
    return f"/action?action={item.id}"
