"""Job: when does it run, how did it go, and what is it told to do?"""

from datetime import datetime, time, timedelta

import streamlit as st

from app.auth.current import require
from app.ui import actions, chips, job_form, live, nav, page, run_drawer, run_rows, spark, table, words
from app.ui.who import me
from app.ui.words import esc
from core.errors import BadInput, NotFound
from core.kit import clock, db
from core.kit.db import STAFF
from core.runtime.agents.facts import sections
from core.runtime.schedules import queries, service
from core.runtime.schedules.queries import ScheduleDetail
from core.runtime.schedules.schemas import JobEdit

POLICIES = {"skip": "the later slot is skipped", "queue": "the later slot waits its turn"}
CATCH_UPS = {"none": "missed slots stay missed", "latest": "the newest missed slot is run", "all": "every missed slot is run"}


@st.dialog("Edit job", width="large")
def edit(found: ScheduleDetail) -> None:
    """Change a job. Somebody else's change in the meantime is never overwritten."""
    page.dialog("edit")
    row = found.row
    given = job_form.Values(row.title, row.department, row.agent, row.cron, row.time_zone, found.task, found.facts)
    key = f"edit_{row.name}_{row.version}"
    job_form.fields(key, given)
    st.button("Save", type="primary", key="edit_save", on_click=save, args=(row.name, row.version, key))


def save(name: str, version: int, key: str) -> None:
    user = require(*actions.managers())
    values = job_form.read(key)

    def work() -> str:
        change = JobEdit(
            title=values.title, department=values.department, agent=values.agent, cron=values.cron,
            time_zone=values.time_zone, task=values.task, facts=values.facts,
        )  # fmt: skip
        with db.transaction(STAFF) as session:
            job = service.edit(session, name, change, version, user.actor)
        live.forget()
        return "Nothing was changed." if job.version == version else "Saved."

    if page.attempt(work):
        page.closed("edit")


@st.dialog("Pause until")
def pause(name: str, zone_name: str) -> None:
    """Let the job rest; it starts again by itself."""
    page.dialog("pause")
    tomorrow = clock.now().astimezone(clock.zone(zone_name)).date() + timedelta(days=1)
    left, right = st.columns(2)
    left.date_input("Day", value=tomorrow + timedelta(days=6), min_value=tomorrow, key="pause_day")
    right.time_input("Time", value=time(6, 0), key="pause_time")
    st.html(f'<p class="byline">In {esc(zone_name)}. Slots before then never run; one due exactly then does.</p>')
    st.button("Pause", type="primary", key="pause_save", on_click=rest, args=(name, zone_name))


def rest(name: str, zone_name: str) -> None:
    user = require(*actions.managers())
    zone, day, at = clock.zone(zone_name), st.session_state["pause_day"], st.session_state["pause_time"]

    def work() -> str:
        if day is None or at is None:
            raise BadInput("No day is chosen.", "Choose a day and a time to pause until.")
        until = datetime.combine(day, at, zone)
        with db.transaction(STAFF) as session:
            job = service.pause_until(session, name, until, user.actor)
        live.forget()
        return f"{job.title} rests until {words.soon(until, zone)}."

    if page.attempt(work):
        page.closed("pause")


def resume(name: str) -> None:
    def work() -> str:
        user = require(*actions.managers())
        with db.transaction(STAFF) as session:
            job = service.pause_until(session, name, None, user.actor)
        live.forget()
        return f"{job.title} runs again {words.soon(job.next_due_at)}."

    page.attempt(work)


def switch(name: str) -> None:
    actions.switch_job(name, st.session_state["job_on"])


def run(name: str) -> None:
    run_id = actions.run_job(name)
    if run_id is not None:
        st.session_state["_go"] = f"/run?run={run_id}"


def buttons(found: ScheduleDetail, role: str) -> None:
    """What can be done with the job."""
    row = found.row
    if role in nav.JOB_MANAGERS:
        st.session_state["job_on"] = row.enabled
        st.toggle("On", key="job_on", on_change=switch, args=(row.name,))
        if row.state == "paused":
            st.button("End pause", key="resume", on_click=resume, args=(row.name,))
        elif row.enabled and st.button("Pause until…", key="pause_open"):
            pause(row.name, row.time_zone)
        if st.button("Edit", key="edit_open"):
            edit(found)
    st.button("Run now", key="run_now", type="primary", on_click=run, args=(row.name,))


def about(found: ScheduleDetail) -> str:
    """Schedule, policies and task."""
    row, zone = found.row, clock.zone(found.row.time_zone)
    times = "".join(
        f"<li><span>{esc(words.when(t, zone))}</span><small>{esc(words.ago(t))}</small></li>" for t in found.next_times
    )
    none = {"off": "It is switched off.", "broken": "Its schedule can't be read."}.get(row.state, "It is not due again.")
    titles = {s.key: s.title for s in sections()}
    facts = "".join(f'<span class="tag c-gray">{esc(titles.get(f, f))}</span> ' for f in found.facts) or "none"
    each = words.cost(row.cost_per_run_microusd)
    spent = f"{words.cost(row.cost_30d_microusd)} over {words.many(row.runs_30d, 'run')}, {each} each"
    settings = {
        "Schedule": f"{esc(row.reading)} <code>{esc(row.cron)}</code>", "Time zone": esc(row.time_zone),
        "Agent": esc(f"{row.agent}, {row.department.upper() if row.department == 'ceo' else row.department}"),
        "Last runs": spark.strip(row.strip),
        "Success, 14 days": esc("–" if row.success_percent is None else f"{row.success_percent:.0f} %"),
        "Cost, 30 days": esc(spent),
        "If the last run still goes": esc(POLICIES.get(found.overlap, found.overlap)),
        "After an outage": esc(CATCH_UPS.get(found.catch_up, found.catch_up)),
        "Late after": esc(words.span(found.grace_s)), "Time limit": esc(words.span(found.timeout_s)), "May use": facts,
    }  # fmt: skip
    pairs = "".join(f"<dt>{esc(k)}</dt><dd>{v}</dd>" for k, v in settings.items())
    history = "".join(
        f"<li><span>{esc(e.summary)}</span>"
        f'<small title="{esc(words.when(e.created_at))}">{esc(words.ago(e.created_at))}</small></li>'
        for e in [e for e in found.events if e.type.startswith(("schedule.", "job."))][:6]
    )
    changes = f'<section class="card"><h2>Changes</h2><ul class="rows">{history}</ul></section>' if history else ""
    return (
        '<div class="two"><div class="stack">'
        f'<section class="card"><h2>Settings</h2><dl class="kv">{pairs}</dl></section>'
        f'<section class="card"><h2>Task</h2><p class="task">{esc(found.task)}</p></section></div><div class="stack">'
        f'<section class="card"><h2>Next times</h2><ul class="rows">{times or f"<li>{none}</li>"}</ul></section>'
        f"{changes}</div></div>"
    )


def body() -> None:
    """What follows the ledger."""
    me()
    if st.session_state.get("_go"):
        nav.go(st.session_state.pop("_go"))
    with slot:
        live.pulse("job")
    with db.transaction(STAFF) as session:
        now = queries.schedule_detail(session, name)
    row = now.row
    if row.error:
        page.note(row.error.get("next_step", "Edit the schedule."), "red", row.error.get("message", "The schedule is broken."))
    if row.state == "paused":
        page.note(f"It rests until {words.when(row.paused_until, clock.zone(row.time_zone))}.", "violet", "Paused.")
    table.patch("job_runs", [run_rows.row(r, name=False) for r in now.runs])


name = chips.param("name")
user = me()
try:
    with db.transaction(STAFF) as opened:
        detail = queries.schedule_detail(opened, name)
except NotFound as error:
    page.head("Job", "This job can't be shown.", crumbs=[("Agent jobs", "/agent-jobs")])
    page.problem(error)
    st.stop()
if st.session_state.get("_go"):
    nav.go(st.session_state.pop("_go"))
with page.header(detail.row.title, f"{detail.row.reading} · {detail.row.agent}", crumbs=[("Agent jobs", "/agent-jobs")]):
    slot = st.container(width=150, key="corner")
    buttons(detail, user.role)
live.watch("job", body)
st.html(about(detail))
page.section("Runs", f"the last {len(detail.runs)}" if detail.runs else "")
table.show(
    "job_runs", run_rows.OF_ONE_JOB, [run_rows.row(r, name=False) for r in detail.runs], label="Runs of this job, newest first",
    empty="It has not run yet. Press Run now to see what it does.", on_open=run_drawer.choose, on_action=actions.on_runs,
    select=run_rows.BULK, dense=True,
)  # fmt: skip
run_drawer.from_address()
