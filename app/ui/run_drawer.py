"""The run drawer: `?run=ID` on a list opens the run at the right. The address is its link; Esc and Back close it."""

import streamlit as st

from app.ui import actions, live, page, run_view
from app.ui.table import RowId
from app.ui.who import me
from app.ui.words import esc
from core.errors import NotFound
from core.runtime.runs.models import ACTIVE


def choose(run_id: RowId) -> None:
    """Open a run: it goes to the address, and the page draws the drawer from there."""
    st.query_params["run"] = str(run_id)


def close() -> None:
    """Forget the run in the address."""
    st.query_params.pop("run", None)


def from_address() -> None:
    """Draw the drawer when the address names a run. Call it last on a page."""
    wanted = st.query_params.get("run", "")
    if wanted.isdigit() and len(wanted) < 16:
        _drawer(int(wanted))


def _drawer(run_id: int) -> None:
    st.dialog(f"Run #{run_id}", position="right", width=780, on_dismiss=close)(_draw)(run_id)


def _draw(run_id: int) -> None:
    me()
    page.toasts("drawer")
    try:
        seen = run_view.read(run_id, whole=False)
    except NotFound as error:
        page.problem(error)
        return
    run = seen.detail.run
    st.html(f'<div class="pg"><h1>{esc(run.title)} {run_view.title_chips(seen.detail)}</h1></div>')
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f'<p class="chips"><a href="/run?run={run.id}">Open the full page</a></p>', width="content")
        buttons(run_id, run.state, run.reason, key="drawer")
        if run.state in ACTIVE:
            live.pulse(f"drawer_{run_id}")
    run_view.trouble(seen.detail)
    run_view.summary(seen.detail)
    if run.word not in ("Missed", "Coalesced"):
        run_view.progress(seen.detail, f"drawer_{run_id}")
        run_view.said(seen)
    run_view.wanted(seen)
    page.section("Why it ran, and what came of it")
    run_view.cause_chain(seen.detail)


def buttons(run_id: int, state: str, reason: str | None, *, key: str) -> None:
    """Cancel what goes, retry what went wrong."""
    if state in ACTIVE:
        st.button(
            "Cancel run", key=f"{key}_cancel_{run_id}", on_click=actions.on_runs, args=("cancel", [run_id]),
            help="It stops at its next step. Finished steps stay as they are.",
        )  # fmt: skip
    elif state in run_view.RETRYABLE and reason not in ("missed", "coalesced"):
        st.button(
            "Retry", key=f"{key}_retry_{run_id}", type="primary", on_click=actions.on_runs, args=("retry", [run_id]),
            help="Runs again from the step that failed; finished steps are not redone.",
        )  # fmt: skip
