"""One person's notifications: the lines, and how they want to be told."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.auth.current import current_user
from app.ui import page, stop, words
from app.ui.words import esc
from core.domains.users.service import CurrentUser
from core.kit import db
from core.kit.db import STAFF
from core.runtime.notifications import queries, service
from core.runtime.notifications.models import Channel, Pace
from core.runtime.notifications.queries import NotificationRow, Preference

KINDS = {
    "approval": ("Decide", "amber", "?"), "reminder": ("Reminder", "amber", "!"), "alert": ("Alert", "red", "!"),
    "unknown": ("Unknown outcome", "red", "?"), "failed": ("Not done", "red", "×"), "reply": ("Reply", "blue", "↩"),
    "switch": ("Kill switch", "red", "■"), "undone": ("Taken back", "gray", "↶"),
}  # fmt: skip
"""Kind → its word, tone and sign; one that is not here is plain."""
CHANNELS = {Channel.MAIL: "Mail", Channel.SLACK: "Slack", Channel.APP_ONLY: "Only here"}
PACES = {Pace.AT_ONCE: "At once", Pace.HOURLY: "Every hour, together", Pace.DAILY: "Once a day, together"}


def lines(rows: Sequence[NotificationRow]) -> str:
    """The list; a click on a line marks it read and opens what it is about."""
    return f'<ul class="need told">{"".join(_line(n) for n in rows)}</ul>'


def _line(n: NotificationRow) -> str:
    word, tone, sign = KINDS.get(n.kind, (n.kind.replace("_", " ").capitalize(), "gray", "i"))
    told = f" · passed on {esc(words.ago(n.told_at))}" if n.told_at else ""
    demo = " · demo" if n.demo else ""
    return (
        f'<li class="c-{tone}{"" if n.read_at else " new"}"><span class="dot" aria-hidden="true">{sign}</span>'
        f'<span><a href="/notifications?open={n.id}">{esc(n.title)}</a>'
        f"<small>{esc(n.body)}</small><small>{esc(word)}{told}{demo}</small></span>"
        f'<em title="{esc(words.when(n.at))}">{esc(words.ago(n.at))}{"" if n.read_at else "<b>new</b>"}</em></li>'
    )


def opened(person: CurrentUser, number: str) -> str | None:
    """Mark the line read; where it leads. None when it is not one of theirs."""
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        return None
    with db.transaction(STAFF) as session:
        found = queries.one(session, person.id, int(number))
        if found is None:
            return None
        service.mark_read(session, person.id, [found.id])
    stop.forget()
    return found.href


def seen(rows: Sequence[NotificationRow]) -> None:
    """These are on the screen: “Mark all as read” goes no further than the newest of them."""
    st.session_state["_newest_line"] = max(rows[0].id, st.session_state.get("_newest_line", 0))


def read_all() -> None:
    """Callback: everything up to the newest line that was on the screen is read; what came since stays new."""
    person = current_user()
    up_to = int(st.session_state.get("_newest_line", 0))

    def work() -> str:
        with db.transaction(STAFF) as session:
            many = service.mark_all_read(session, person.id, up_to=up_to)
        stop.forget()
        return f"{words.many(many, 'line')} marked as read." if many else "Nothing was unread."

    page.attempt(work)


def preferences(how: Preference, *, slack: bool) -> None:
    """The form. What is urgent comes at once in any pace."""
    for key, value in (("tell_channel", how.channel), ("tell_pace", how.pace), ("tell_hour", how.digest_hour)):
        if st.session_state.get(f"{key}_was") != value:
            st.session_state[key] = st.session_state[f"{key}_was"] = value
    channels = [c for c in CHANNELS if c is not Channel.SLACK or slack]
    st.radio("Tell me by", channels, key="tell_channel", format_func=lambda c: CHANNELS[c], horizontal=True)
    away = st.session_state["tell_channel"] is Channel.APP_ONLY
    st.radio("How often", list(PACES), key="tell_pace", format_func=lambda p: PACES[p], disabled=away)
    daily = st.session_state["tell_pace"] is Pace.DAILY and not away
    st.selectbox("At this hour", range(24), key="tell_hour", format_func=_hour, disabled=not daily)
    st.button("Save", key="tell_save", type="primary", on_click=_save, width="stretch")
    note = "The kill switch, unknown outcomes, critical alerts and reminders come at once in any pace."
    if not how.chosen:
        note = "You have chosen nothing yet: what is urgent comes by mail at once, the rest waits here. " + note
    if not slack:
        note += " Slack can be chosen once an admin has entered your Slack account."
    st.html(f'<p class="lead">{esc(note)}</p>')


def _hour(hour: int) -> str:
    return f"{(hour - 1) % 12 + 1} {'AM' if hour < 12 else 'PM'}"


def _save() -> None:
    person = current_user()
    values: dict[str, Any] = {k: st.session_state[f"tell_{k}"] for k in ("channel", "pace", "hour")}

    def work() -> str:
        with db.transaction(STAFF) as session:
            service.set_preference(session, person.id, values["channel"], values["pace"], values["hour"])
        return "Saved."

    page.attempt(work)
