"""One action as it is drawn: on its page and in the drawer of a list (`?action=ID`). Opening it decides nothing."""

import streamlit as st

from app.ui import action_bar, action_view, action_words, live, page
from app.ui.table import RowId
from app.ui.who import me
from core.domains.users import queries as users
from core.errors import OpsError
from core.kit import db
from core.kit.db import STAFF
from core.runtime.actions import queries

PARAM = "action"


def wanted() -> int | None:
    """The action the address names."""
    value = st.query_params.get(PARAM, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None


def choose(row_id: RowId) -> None:
    """Open an action: it goes to the address, and the page draws the drawer from there."""
    st.query_params[PARAM] = str(row_id).split(".")[0]


def close() -> None:
    """Forget the action in the address."""
    st.query_params.pop(PARAM, None)


def from_address() -> None:
    """Draw the drawer when the address names an action. Call it last on a page."""
    action_id = wanted()
    if action_id is not None:
        st.dialog(f"Action #{action_id}", position="right", width=780, on_dismiss=close)(_drawer)(action_id)


def _drawer(action_id: int) -> None:
    draw(action_id, where="drawer")


def draw(action_id: int, *, where: str, crumbs: str = "") -> None:
    """Everything about it, and the bar. Call it inside a fragment or dialog: its pulse keeps that fresh."""
    person = me()
    page.toasts(f"item_{where}")
    try:
        with db.transaction(STAFF) as session:
            found = queries.get(session, action_id)
            following = queries.next_waiting(session, person.id, person.role, 1, besides=action_id)
            names = users.names(session)
    except OpsError as error:  # what a fragment raises never reaches the page
        if where == "page":
            page.head("Action", "This action can't be shown.", crumbs=[("Approvals", "/approvals")])
        page.problem(error)
        return
    with st.container(horizontal=True, vertical_alignment="top", key=f"itemhead_{where}", gap="small"):
        st.html(action_view.head(found, crumbs))
        with st.container(width="content", key=f"itempulse_{where}"):
            live.pulse(f"action_{where}")
            if where == "drawer":
                st.html(f'<p class="chips"><a href="/action?action={action_id}">Full page</a></p>', width="content")
    owner = action_words.owner(found.row, dict(names))
    st.html(f"{action_view.notes(found)}{action_view.summary(found, owner)}{action_view.whole(found, narrow=where == 'drawer')}")
    others = {i: n for i, n in names.items() if i != person.id}
    action_bar.draw(found, person, others, following[0] if following else None, where)
