"""Activity: what happened, who did it, and what led to it?"""

from datetime import timedelta

import streamlit as st

from app.auth.current import current_user
from app.ui import activity, chips, live, page, table, words
from core.kit import clock, db
from core.kit.db import STAFF
from core.runtime.events import queries
from core.runtime.events.queries import EventFilter

PER_PAGE = 60
PERIODS = {"24 h": 1, "7 d": 7, "30 d": 30, "All": 0}
KEPT = ("who", "q", "period")


def wanted(before: int | None = None) -> EventFilter:
    """The filter the address asks for."""
    period = PERIODS.get(chips.param("period"), 7)
    family = activity.FAMILIES.get(chips.param("kind"))
    return EventFilter(
        types=family[1] if family else (),
        actor=chips.param("who") or None,
        text=chips.param("q"),
        since=clock.now() - timedelta(days=period) if period else None,
        before_id=before,
    )


def kept() -> dict[str, str | None]:
    return {k: chips.param(k) or None for k in KEPT}


def set_param(name: str, value: object) -> None:
    st.query_params.pop("before", None)
    if value:
        st.query_params[name] = str(value)
    else:
        st.query_params.pop(name, None)


@st.cache_data(ttl=60, show_spinner=False)
def people() -> list[str]:
    """Who did something in the last month; a choice list may be a minute old."""
    with db.transaction(STAFF) as session:
        return queries.actors(session, clock.now() - timedelta(days=30))


def rows() -> tuple[list[table.Row], int | None]:
    before = chips.param("before")
    with db.transaction(STAFF) as session:
        found = queries.list_events(session, wanted(int(before) if before.isdigit() else None), PER_PAGE)
    return [activity.row(e) for e in found.rows], found.next_before_id


def body() -> None:
    """The part that follows the ledger: counts and new rows."""
    with db.transaction(STAFF) as session:
        by_type = queries.counts_by_type(session, wanted())
    counts = dict.fromkeys(activity.FAMILIES, 0)
    for type_, many in by_type.items():
        family = activity.family_of(type_)
        if family:
            counts[family] += many
    shown = [(key, word, counts[key]) for key, (word, _) in activity.FAMILIES.items()]
    chips.show("/activity", shown, chips.param("kind"), kept(), name="kind", total=("All", sum(by_type.values())))
    if not chips.param("before"):
        table.patch("activity", rows()[0])


def filters() -> None:
    """Search, person and period, written to the address."""
    who = people()
    st.session_state["activity_q"] = chips.param("q")
    st.session_state["activity_who"] = chips.param("who") if chips.param("who") in who else None
    st.session_state["activity_period"] = chips.param("period") if chips.param("period") in PERIODS else "7 d"
    st.text_input(
        "Search activity", key="activity_q", placeholder="Search what happened", label_visibility="collapsed", width=230,
        on_change=lambda: set_param("q", st.session_state["activity_q"].strip()),
    )  # fmt: skip
    st.selectbox(
        "Who", who, key="activity_who", placeholder="Anybody", label_visibility="collapsed", width=170,
        on_change=lambda: set_param("who", st.session_state["activity_who"]),
    )  # fmt: skip
    st.segmented_control(
        "Period", list(PERIODS), key="activity_period", label_visibility="collapsed", required=True,
        on_change=lambda: set_param("period", st.session_state["activity_period"]),
    )  # fmt: skip


current_user()
with page.header("Activity", "What happened, who did it, and what led to it?"):
    filters()
live.watch("activity", body)
made, following = rows()
table.show(
    "activity",
    activity.COLUMNS,
    made,
    label="Events, newest first",
    empty="Nothing happened here. Widen the period or clear the filter.",
    on_open=activity.choose,
    dense=True,
)
if following or chips.param("before"):
    here = {**kept(), "kind": chips.param("kind") or None}
    links = f'<a href="{words.esc(chips.href("/activity", here))}">Newest</a>' if chips.param("before") else ""
    if following:
        links += f'<a href="{words.esc(chips.href("/activity", {**here, "before": str(following)}))}">Older</a>'
    st.html(f'<nav class="chips" aria-label="Pages">{links}</nav>')
activity.from_address()
