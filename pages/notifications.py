"""Notifications: what happened that concerns me?"""

import streamlit as st

from app.ui import bell_view, chips, live, nav, page, words
from app.ui.chips import Chip
from app.ui.who import me
from core.kit import db
from core.kit.db import STAFF
from core.runtime.notifications import queries
from core.runtime.orgs import people

PER_PAGE = 40


def body() -> None:
    """The lines; new ones come by themselves."""
    person = me()
    with slot:
        live.pulse("notifications")
    only = chips.param("show") == "unread"
    before = chips.cursor()
    with db.transaction(STAFF) as session:
        rows = queries.listed(session, person.id, only_unread=only, before_id=before, limit=PER_PAGE + 1)
        unread = queries.unread(session, person.id)
    path = "/notifications"
    both = [
        Chip("All", None, path, on=not only),
        Chip("Unread", unread, chips.href(path, {"show": None if only else "unread"}), on=only),
    ]
    st.html(chips.links(both, "Filter by read"))
    shown, more = rows[:PER_PAGE], len(rows) > PER_PAGE
    if not shown:
        page.empty("Nothing unread" if only else "Nothing yet", "What waits for you, fails or is stopped shows up here.")
        return
    st.html(f'<section class="card">{bell_view.lines(shown)}</section>')
    bell_view.seen(shown)
    if more:
        here = chips.href(path, {"show": "unread" if only else None, "before": str(shown[-1].id)})
        st.html(f'<p class="lead"><a href="{words.esc(here)}">Older ones</a></p>')


user = me()
if number := chips.param("open"):
    nav.go(bell_view.opened(user, number) or "/notifications")
with page.header("Notifications", "What happened that concerns you?"):
    slot = st.container(width=150, key="corner")
    st.button("Mark all as read", key="read_all", on_click=bell_view.read_all)
left, right = st.columns([1.9, 1], gap="medium")
with left:
    live.watch("notifications", body)
with right, st.container(border=True):
    page.section("How you are told")
    with db.transaction(STAFF) as session:
        how = queries.preferences(session, [user.id])[user.id]
        known = people.find(session, user.id)
    bell_view.preferences(how, slack=bool(known and known.slack_user_id))
