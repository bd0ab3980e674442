"""Putting a person on the suppression list by hand, and lifting an entry with a reason."""

import streamlit as st

from app.auth.current import current_user, require
from app.ui import page
from app.ui.contact_view import SAID
from app.ui.table import RowId
from app.ui.words import esc
from core.errors import OpsError
from core.kit import db
from core.kit.db import STAFF
from core.runtime.contacts import queries, service
from core.runtime.contacts.models import Why

_LIFT = "_entry_to_lift"


@st.dialog("Write to this person no more")
def add() -> None:
    """The form. Anybody of ours may add: it can only keep mail from going out."""
    page.dialog("add_contact")
    current_user()
    with st.form("contact_form", border=False, enter_to_submit=False):
        st.text_input("Address", key="contact_address", placeholder="name@company.com", autocomplete="off")
        st.text_input("Why", key="contact_note", placeholder="asked by phone on Monday", autocomplete="off")
        st.html(
            '<p class="byline">Nothing is sent to them any more: by no agent, no person and for no client, however the address '
            "is spelt. What is approved already is stopped as well.</p>"
        )
        st.form_submit_button("Put on the list", type="primary", key="contact_save", on_click=_add)


def _add() -> None:
    user = current_user()

    def work() -> str:
        with db.transaction(STAFF) as session:
            made = service.suppress(
                session, st.session_state["contact_address"], Why.MANUAL, f"added by {user.name}",
                note=st.session_state["contact_note"], by=user.actor,
            )  # fmt: skip
        return f"{made.person} is on the list." if made.changed else f"{made.person} was on the list already."

    if page.attempt(work):
        for name in ("contact_address", "contact_note"):
            st.session_state.pop(name, None)
        page.closed("add_contact")


def act(_action: str, ids: list[RowId]) -> None:
    """Callback of the table's button: the page opens the dialog."""
    require("admin")
    st.session_state[_LIFT] = int(ids[0])


def from_click() -> None:
    """Draw the dialog when a row's button asked for it. Call it on the page."""
    wanted = st.session_state.pop(_LIFT, None)
    if wanted is not None:
        _lift(wanted)


@st.dialog("May this person be written to again?")
def _lift(entry_id: int) -> None:
    page.dialog("lift_contact")
    require("admin")
    try:
        with db.transaction(STAFF) as session:
            entry = queries.suppression(session, entry_id)
    except OpsError as error:
        page.problem(error)
        return
    own = entry.why in service.OWN_WORD
    st.html(f'<p class="byline"><b>{esc(entry.person)}</b> {esc(SAID[entry.why])} ({esc(entry.source)}).</p>')
    if entry.others:
        page.note("Another organisation has an entry for this person too: lifting this one alone changes nothing.", "amber")
    with st.form("lift_form", border=False, enter_to_submit=False):
        label = "When and how they asked for it" if own else "Why"
        st.text_input(label, key="lift_reason", autocomplete="off")
        if own:
            st.checkbox("They asked to be written to again", key="lift_asked")
            st.html('<p class="byline">They said so themself, so only they can take it back. This is kept for good.</p>')
        st.form_submit_button("Lift the entry", type="primary", key="lift_save", on_click=_lifted, args=(entry_id,))


def _lifted(entry_id: int) -> None:
    user = require("admin")

    def work() -> str:
        asked = bool(st.session_state.get("lift_asked", False))
        with db.transaction(STAFF) as session:
            return service.lift(session, entry_id, user.actor, st.session_state["lift_reason"], person_asked=asked)

    if page.attempt(work):
        st.session_state.pop("lift_reason", None)
        st.session_state.pop("lift_asked", None)
        page.closed("lift_contact")
