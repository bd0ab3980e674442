"""Runs: what ran, what runs, and what went wrong? Live, filtered by the address, each run in a drawer with its own link."""

from datetime import timedelta

import streamlit as st

from app.ui import chips, live, page, run_drawer, run_rows, table
from app.ui.actions import on_runs
from app.ui.who import me
from core.kit import clock, db
from core.kit.db import STAFF
from core.runtime.runs import queries
from core.runtime.runs.queries import RunFilter

PER_PAGE = 60
PERIODS = {"24 h": 1, "7 d": 7, "30 d": 30, "All": 0}
USUAL = "7 d"
SHOWN = ("Running", "Queued", "Waiting", "Succeeded", "Failed", "Timed out", "Cancelled", "Missed", "Coalesced", "Quarantined")
ALWAYS = SHOWN[:5]


def wanted(before: int | None = None) -> RunFilter:
    """The filter the address asks for."""
    state, period = chips.param("state"), PERIODS[chips.chosen_period(PERIODS, USUAL)]
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


def rows() -> tuple[list[table.Row], int | None]:
    with db.transaction(STAFF) as session:
        found = queries.list_runs(session, wanted(chips.cursor()), PER_PAGE)
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
    if chips.cursor() is None:
        table.patch("runs", rows()[0])


def filters() -> None:
    """Search and period."""
    chips.find("runs_q", "Search job, error, person or #number", width=280)
    chips.period("runs_period", PERIODS, USUAL)


me()
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
    more=chips.paging("/runs", {**kept(), "state": chips.param("state")}, following, "runs"),
)
run_drawer.from_address()
