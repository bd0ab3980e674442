"""Runs: what ran, what runs, and what went wrong? Live, filtered by the address, each run in a drawer with its own link."""

from datetime import timedelta

import streamlit as st

from app.auth.current import current_user
from app.ui import chips, live, page, run_drawer, run_rows, table
from app.ui.actions import on_runs
from core.kit import clock, db
from core.kit.db import STAFF
from core.runtime.runs import queries
from core.runtime.runs.queries import RunFilter

PER_PAGE = 60
PERIODS = {"24 h": 1, "7 d": 7, "30 d": 30, "All": 0}
SHOWN = ("Running", "Queued", "Waiting", "Succeeded", "Failed", "Timed out", "Cancelled", "Missed", "Coalesced", "Quarantined")
ALWAYS = SHOWN[:5]


def wanted(before: int | None = None) -> RunFilter:
    """The filter the address asks for."""
    state, period = chips.param("state"), PERIODS.get(chips.param("period"), 7)
    return RunFilter(
        words=(state,) if state in SHOWN else (),
        names=(chips.param("job"),) if chips.param("job") else (),
        text=chips.param("q"),
        since=clock.now() - timedelta(days=period) if period else None,
        before_id=before,
    )


def kept() -> dict[str, str | None]:
    """The address's other filters, for links."""
    return {k: chips.param(k) or None for k in ("job", "q", "period")}


def set_param(name: str, value: object) -> None:
    if value:
        st.query_params[name] = str(value)
    else:
        st.query_params.pop(name, None)
    st.query_params.pop("before", None)


def rows() -> tuple[list[table.Row], int | None]:
    before = chips.param("before")
    with db.transaction(STAFF) as session:
        found = queries.list_runs(session, wanted(int(before) if before.isdigit() else None), PER_PAGE)
    return [run_rows.row(r) for r in found.rows], found.next_before_id


def body() -> None:
    """The part that follows the ledger: counts and changed rows."""
    with slot:
        live.pulse("runs")
    with db.transaction(STAFF) as session:
        counts = queries.counts_by_word(session, wanted())
    state = chips.param("state")
    shown = [(w, w, counts.by_word[w]) for w in SHOWN if w in ALWAYS or counts.by_word[w] or w == state]
    chips.show("/runs", shown, state, kept(), total=("All", counts.total))
    if not chips.param("before"):
        table.patch("runs", rows()[0])


def filters() -> None:
    """Search and period, written to the address."""
    st.session_state["runs_q"] = chips.param("q")
    st.session_state["runs_period"] = chips.param("period") if chips.param("period") in PERIODS else "7 d"
    st.text_input(
        "Search runs", key="runs_q", placeholder="Search job, error, person or #number", label_visibility="collapsed",
        width=280, on_change=lambda: set_param("q", st.session_state["runs_q"].strip()),
    )  # fmt: skip
    st.segmented_control(
        "Period", list(PERIODS), key="runs_period", label_visibility="collapsed", required=True,
        on_change=lambda: set_param("period", st.session_state["runs_period"]),
    )  # fmt: skip


def paging(following: int | None) -> list[tuple[str, str]]:
    """Links to older runs and back."""
    here = {**kept(), "state": chips.param("state")}
    found = [("Newest runs", chips.href("/runs", here))] if chips.param("before") else []
    return found + ([("Older runs", chips.href("/runs", {**here, "before": str(following)}))] if following else [])


current_user()
with page.header("Runs", "What ran, what runs now, and what needs a second look?"):
    slot = st.container(width=150, key="corner")
    filters()
live.watch("runs", body)
made, following = rows()
table.show(
    "runs",
    run_rows.COLUMNS,
    made,
    label="Runs, newest first",
    empty="No run matches. Widen the period or clear the filter.",
    on_open=run_drawer.choose,
    on_action=on_runs,
    select=run_rows.BULK,
    dense=True,
    more=paging(following),
)
run_drawer.from_address()
