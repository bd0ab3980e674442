"""Policies: which rules decide what leaves, with which numbers, and what did they decide?"""

import streamlit as st

from app.ui import page, policy_view
from app.ui.who import me
from core.kit import db
from core.kit.db import STAFF
from core.runtime.policies import queries

user = me()
page.head("Policies", "Which rules decide what leaves, with which numbers, and what did they decide?")
with db.transaction(STAFF) as session:
    lines = queries.every(session)
policy_view.tiles(lines)
waiting = [line for line in lines if line.pending_by]
for line in waiting:
    page.note(
        f"{line.pending_by} wants to change “{line.title}”. A second admin has to confirm it on its page.", "amber",
        "A change waits.",
    )  # fmt: skip
for title, part in policy_view.groups(lines):
    page.section(title)
    st.html(f'<div class="pols">{"".join(policy_view.row(line) for line in part)}</div>')
st.caption(
    "Every action is judged by all of them, when it is proposed and again just before it is sent. One that denies wins over one "
    "that asks a person, that over one that defers; what nobody allows is denied."
)
