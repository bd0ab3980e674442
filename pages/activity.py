"""Activity: what happened, who did it, and what led to it?"""

from datetime import timedelta

import streamlit as st

from app.ui import activity, chips, live, page, table
from app.ui.who import me
from core.kit import clock, db
from core.kit.db import STAFF
from core.runtime.events import queries
from core.runtime.events.queries import EventFilter

PER_PAGE = 60
PERIODS = {"24 h": 1, "7 d": 7, "30 d": 30, "All": 0}
USUAL = "7 d"
KEPT = ("who", "q", "period")


def wanted(before: int | None = None) -> EventFilter:
    """The filter the address asks for."""
    days = PERIODS[chips.chosen_period(PERIODS, USUAL)]
    family = activity.FAMILIES.get(chips.param("kind"))
    return EventFilter(
        types=family[1] if family else (),
        actor=chips.param("who") or None,
        text=chips.param("q"),
        since=clock.now() - timedelta(days=days) if days else None,
        before_id=before,
    )


def kept() -> dict[str, str | None]:
    return {k: chips.param(k) or None for k in KEPT}


@st.cache_data(ttl=60, show_spinner=False)
def people() -> list[str]:
    """Who did something in the last month; a choice list may be a minute old."""
    with db.transaction(STAFF) as session:
        return queries.actors(session, clock.now() - timedelta(days=30))


def rows() -> tuple[list[table.Row], int | None]:
    with db.transaction(STAFF) as session:
        found = queries.list_events(session, wanted(chips.cursor()), PER_PAGE)
    return [activity.row(e) for e in found.rows], found.next_before_id


def body() -> None:
    """The part that follows the ledger: counts and new rows."""
    with slot:
        live.pulse("activity")
    with db.transaction(STAFF) as session:
        by_type = queries.counts_by_type(session, wanted())
    counts = activity.by_family(by_type)
    shown = [(key, word, counts[key]) for key, (word, _) in activity.FAMILIES.items()]
    chips.show("/activity", shown, chips.param("kind"), kept(), name="kind", total=("All", sum(by_type.values())), plain=True)
    if chips.cursor() is None:
        table.patch("activity", rows()[0])


def filters() -> None:
    """Search, person and period."""
    chips.find("activity_q", "Search what happened")
    # somebody the address names stays in the list even if they did nothing lately
    who = dict.fromkeys([*people(), *([chips.param("who")] if chips.param("who") else [])])
    chips.choice("activity_who", "Who", {name: name for name in who}, "Anybody", name="who")
    chips.period("activity_period", PERIODS, USUAL)


me()
with page.header("Activity", "What happened, who did it, and what led to it?"):
    slot = st.container(width=150, key="corner")
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
    more=chips.paging("/activity", {**kept(), "kind": chips.param("kind")}, following, "events"),
)
activity.from_address()
