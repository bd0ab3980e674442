"""Action: exactly what will be sent, to whom, why, and what happens if I do nothing? Opening it decides nothing."""

import streamlit as st

from app.ui import action_item, page
from app.ui.who import me
from core.errors import NotFound


@st.fragment(key="action_body")
def body(action_id: int) -> None:
    """The whole item; rerun when the ledger changed."""
    action_item.draw(
        action_id, where="page", crumbs=f'<div class="crumb"><a href="/approvals">Approvals</a> / #{action_id}</div>'
    )


me()
chosen = action_item.wanted()
if chosen is None:
    page.head("Action", "This action can't be shown.", crumbs=[("Approvals", "/approvals")])
    page.problem(NotFound("No action was named.", "Open one from the list of approvals."))
else:
    body(chosen)
