"""Run: how does it go, what did it say, what did it know, and why did it run?"""

import json

import streamlit as st

from app.auth.current import require
from app.ui import actions, chips, live, nav, page, report, run_drawer, run_view, words
from app.ui.run_view import Seen
from app.ui.who import me
from core.errors import BadInput, NotFound, OpsError
from core.kit import db
from core.kit.db import STAFF
from core.runtime.agents import queries as agents
from core.runtime.runs import queries
from core.runtime.runs import service as runs
from core.runtime.runs.models import ACTIVE

LEVELS = {"All": ("info", "warning", "error"), "Warnings and errors": ("warning", "error"), "Errors": ("error",)}


@st.dialog("Replay with edited input", width="medium")
def replay(run_id: int, text: str) -> None:
    """Run the same thing again as a new run."""
    page.dialog("replay")
    if st.session_state.get("_go"):
        nav.go(st.session_state.pop("_go"))
    st.html('<p class="byline">A new run starts with this input. The old run stays as it is.</p>')
    st.text_area("Input (JSON)", value=text, height=260, key=f"replay_{run_id}")
    st.button("Start replay", type="primary", key="replay_start", on_click=start_replay, args=(run_id,))


def start_replay(run_id: int) -> None:
    user = require(*actions.managers())

    def work() -> None:
        try:
            payload = json.loads(st.session_state[f"replay_{run_id}"])
        except ValueError as error:
            raise BadInput("That is not valid JSON.", f"Check line {getattr(error, 'lineno', 1)}.") from None
        if not isinstance(payload, dict):
            raise BadInput("The input must be an object.", 'Write it as {"name": value}.')
        with db.transaction(STAFF) as session:
            made = runs.replay(session, run_id, user.actor, payload)
        live.forget()
        st.session_state["_go"] = f"/run?run={made}"

    page.attempt(work)


def top(seen: Seen) -> None:
    """Name, state and what can be done."""
    run = seen.detail.run
    trail = [("Runs", "/runs")]
    if run.schedule_id:
        trail = [("Agent jobs", "/agent-jobs"), (run.title, f"/job?name={run.name}")]
    with st.container(horizontal=True, vertical_alignment="center", key="pagehead", gap="small"):
        crumbs = " / ".join(f'<a href="{words.esc(h)}">{words.esc(t)}</a>' for t, h in trail)
        st.html(
            f'<div class="pg"><div class="crumb">{crumbs} / Run #{run.id}</div>'
            f"<h1>{words.esc(run.title)} {run_view.title_chips(seen.detail)}</h1></div>"
        )
        with st.container(horizontal=True, vertical_alignment="center", width="content", gap="small", key="pageactions"):
            live.pulse("run")
            run_drawer.buttons(run.id, run.state, run.reason, key="page")
            if run.state not in ACTIVE and run.word not in ("Missed", "Coalesced"):
                st.button("Replay…", key="replay", on_click=ask_replay, args=(run.id,), help="Run it again as a new run.")


def ask_replay(run_id: int) -> None:
    """The dialog can't open from inside the live part: the page opens it when it runs next."""
    st.session_state["_replay"] = run_id
    st.session_state["_whole"] = True


def parts(seen: Seen) -> None:
    """What stands below the steps."""
    detail = seen.detail
    names = [
        "Report",
        f"Facts {len(seen.facts)}",
        f"Log {len(detail.logs)}",
        "Cause and effect",
        f"Model calls {len(seen.calls)}",
        "Input",
    ]
    tabs = st.tabs(names)
    with tabs[0]:
        run_view.said(seen)
    with tabs[1]:
        if seen.facts:
            st.html(report.facts_html(seen.facts, detail.run.id))
        else:
            page.empty("No facts", "This run collected none, or has not come that far.")
    with tabs[2]:
        with st.container(horizontal=True, vertical_alignment="center"):
            level = st.segmented_control(
                "Level", list(LEVELS), default="All", required=True, key="log_level", label_visibility="collapsed"
            )
            st.download_button("Download log", run_view.log_text(detail.logs), f"run-{detail.run.id}.log", on_click="ignore")
        st.html(run_view.log_lines(detail.logs, LEVELS[level or "All"]))
    with tabs[3]:
        run_view.cause_chain(detail)
    with tabs[4]:
        run_view.model_calls(seen.calls)
    with tabs[5]:
        st.code(run_view.payload_text(detail), language="json")
        if detail.error and detail.error.get("trace"):
            with st.expander("Trace, for engineers"):
                st.code(str(detail.error["trace"]), language=None)


def missing(error: OpsError) -> None:
    page.head("Run", "This run can't be shown.", crumbs=[("Runs", "/runs")])
    page.problem(error)


@st.fragment(key="run_body")
def body(run_id: int) -> None:
    """The whole run; rerun when the ledger changed."""
    me()
    page.toasts("run_body")
    if st.session_state.pop("_whole", False):
        st.rerun()
    try:
        seen = run_view.read(run_id)
    except OpsError as error:  # what a fragment raises never reaches the page
        missing(error)
        return
    top(seen)
    run_view.trouble(seen.detail)
    run_view.summary(seen.detail)
    if seen.detail.run.word not in ("Missed", "Coalesced"):
        run_view.progress(seen.detail, "page")
    run_view.wanted(seen)
    parts(seen)


def overlays(run_id: int) -> None:
    """At most one dialog: the fact in the address, or the replay asked for."""
    key = chips.param("fact")
    if st.session_state.pop("_replay", None) == run_id:
        with db.transaction(STAFF) as session:
            detail = queries.run_detail(session, run_id)
        replay(run_id, run_view.payload_text(detail))
    elif key:
        with db.transaction(STAFF) as session:
            fact = agents.fact(session, run_id, key)
        report.open_fact(fact)


me()
wanted = chips.param("run")
if wanted.isascii() and wanted.isdigit() and len(wanted) < 16:
    body(int(wanted))
    try:
        overlays(int(wanted))
    except NotFound as error:
        page.problem(error)
else:
    missing(NotFound("No run was named.", "Open one from the list of runs."))
