"""The demo agency on the System page: is it there, and how to be rid of it."""

import streamlit as st

from app.auth.current import require
from app.ui import page, words
from app.ui.who import me
from core.domains.demo import service
from core.kit import db
from core.kit.db import STAFF


def show() -> None:
    """What is loaded, and the button that removes or loads it, for admins. It says what will happen first."""
    with db.transaction(STAFF) as session:
        loaded = service.is_loaded(session)
    if loaded:
        page.note(
            "Every record of it is marked as demo data. Removing it leaves your own records as they are.", "blue", "Loaded."
        )
    else:
        page.note("Eight weeks of an invented agency, clearly marked, to look around in.", "gray", "Not loaded.")
    if not me().is_admin:
        st.caption("An admin can remove it here." if loaded else "An admin can load it here.")
        return
    label, action = ("Remove the demo agency…", "clear") if loaded else ("Load the demo agency…", "load")
    if st.button(label, key="demo_ask"):
        _dialog(action)


@st.dialog("Demo agency")
def _dialog(action: str) -> None:
    require("admin")
    if action == "clear":
        st.write("All demo records are removed: people, clients, deals, builds, runs and reports. Your own records stay.")
    else:
        st.write("An invented agency with eight weeks of history is added beside your own records.")
    with st.container(horizontal=True):
        if st.button("Remove" if action == "clear" else "Load", type="primary", key="demo_do"):
            with st.spinner("Working …"):
                done = page.attempt(lambda: _do(action))
            if done:
                st.rerun()
            page.toasts("demo")
        if st.button("Keep it as it is", key="demo_keep"):
            st.rerun()


def _do(action: str) -> str:
    require("admin")
    with db.transaction(STAFF) as session:
        if action == "clear":
            done = service.clear(session)
            return f"Removed {words.many(sum(done.removed.values()), 'demo record')}."
        service.load(session)
        return "The demo agency is loaded."
