"""Approving several of one kind at once: each is shown as it will be sent, and each gets a decision of its own."""

import streamlit as st

from app.ui import action_deeds, action_preview, action_rows, action_words, page, words
from app.ui.action_text import visible
from app.ui.table import RowId
from app.ui.words import esc
from core.runtime.actions import kinds
from core.runtime.actions.models import ActionState

MOST = 50
_ASKED = "_action_batch"


def ask(action: str, ids: list[RowId]) -> None:
    """The dialog can't open from a callback: the page opens it when it runs next."""
    kind = action.removeprefix("approve:")
    st.session_state[_ASKED] = (kind, action_rows.split(ids)[:MOST])


def open_if_asked() -> bool:
    """Draw the dialog when rows were chosen. True when it did: a page has one dialog at a time."""
    asked = st.session_state.pop(_ASKED, None)
    if asked is None or not asked[1]:
        return False
    kind, pairs = asked
    st.dialog(f"Approve {action_words.plural(kind, len(pairs))}", width="large")(_draw)(kind, pairs)
    return True


def _draw(kind: str, pairs: list[tuple[int, str]]) -> None:
    page.dialog("batch")
    found = action_deeds.contents([i for i, _ in pairs])
    still = [
        (i, sha)
        for i, sha in pairs
        if i in found and found[i][0].payload_sha256 == sha and found[i][0].state == ActionState.AWAITING and found[i][1].sealed
    ]
    gone = len(pairs) - len(still)
    if gone:
        page.note(f"{words.many(gone, 'item')} changed or was decided since you chose; left out here.", "amber")
    if not still:
        page.empty("Nothing left to approve", "Somebody was faster. Close this to see the list as it is now.")
        return
    st.html(
        '<p class="byline">Each gets a decision of its own. Open one to read it.</p>'
        + "".join(_one(kind, found, i) for i, _ in still)
    )
    with st.container(horizontal=True, gap="small", key="buttons_batch"):
        st.button(
            f"Approve {action_words.plural(kind, len(still))}", type="primary", key="batch_go",
            on_click=action_deeds.approve_many, args=(still, kind),
        )  # fmt: skip


def _one(kind: str, found: dict, action_id: int) -> str:  # type: ignore[type-arg]
    row, content = found[action_id]
    made = action_preview.of(kinds.find(kind), kind, content.wire)
    warnings = "".join(f'<div class="note c-amber">{esc(w)}</div>' for w in made.warnings)
    rest = "".join(f"<dt>{esc(k)}</dt><dd>{v}</dd>" for k, v in made.rest)
    return (
        f'<details class="fold pick"><summary>{visible(row.title)}<small>to {visible(row.target)}</small></summary>'
        f"{warnings}{made.html}{f'<dl class=kv>{rest}</dl>' if rest else ''}</details>"
    )
