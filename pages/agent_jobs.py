"""Agent jobs: what runs when, did it run, what did it cost, and run it now."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import streamlit as st

from app.auth.current import require
from app.ui import actions, calendar, chips, cost_view, job_form, job_rows, live, nav, page, spark, table, words
from app.ui.table import RowId
from app.ui.who import me
from app.ui.words import esc
from core.kit import clock, db
from core.kit.db import STAFF
from core.runtime.agents import costs
from core.runtime.runs import queries as runs
from core.runtime.schedules import queries, service
from core.runtime.schedules.queries import ScheduleRow
from core.runtime.schedules.schemas import NewJob

STATES = ("on", "off", "paused", "broken")
FAILED = "failed"


@st.dialog("New job", width="large")
def new_job() -> None:
    """A job of the person's own: it starts with its next slot."""
    page.dialog("new")
    require(*actions.managers())
    job_form.fields("new", job_form.Values())
    st.button("Add job", type="primary", key="new_add", on_click=add_job)


def add_job() -> None:
    user = require(*actions.managers())
    values = job_form.read("new")

    def work() -> str:
        job = NewJob(
            name=job_form.slug(values.title), title=values.title, department=values.department, agent=values.agent,
            cron=values.cron, time_zone=values.time_zone, task=values.task, facts=values.facts,
        )  # fmt: skip
        with db.transaction(STAFF) as session:
            made = service.add(session, job, user.actor)
        live.forget()
        return f"{made.title} is added; it runs {words.soon(made.next_due_at)}."

    if page.attempt(work):
        page.closed("new")


def on_action(action: str, ids: list[RowId]) -> None:
    """Clicks in the table."""
    name = str(ids[0])
    if action == "toggle":
        with db.transaction(STAFF) as session:
            enabled = service.find(session, name).enabled
        actions.switch_job(name, not enabled)
    elif action == "run":
        run_id = actions.run_job(name)
        if run_id is not None:
            st.session_state["_go"] = f"/run?run={run_id}"
    elif action == "watch":
        with db.transaction(STAFF) as session:
            found = queries.list_schedules(session, name)
        if found and found[0].running_now:
            st.session_state["_go"] = f"/run?run={found[0].running_now}"


def chosen(jobs: list[ScheduleRow]) -> list[ScheduleRow]:
    """The jobs the address asks for."""
    state = chips.param("state")
    if state in STATES:
        return [j for j in jobs if j.state == state]
    if state == FAILED:
        return [j for j in jobs if j.last and words.state(j.last.word).tone == "red"]
    return jobs


def tiles(jobs: list[ScheduleRow], days: list[runs.DayOutcomes]) -> None:
    """The machine's week against the week before."""
    per = [(d.day, d.by_word) for d in days]
    now, before = [sum(sum(w.values()) for _, w in part) for part in (per[7:], per[:7])]
    good, ended = _success(per[7:])
    good_before, ended_before = _success(per[:7])
    share, share_before = (100 * good / ended if ended else 0.0), (100 * good_before / ended_before if ended_before else 0.0)
    cost = sum(j.cost_30d_microusd for j in jobs)
    due = sorted((j for j in jobs if j.next_due_at), key=lambda j: j.next_due_at or clock.now())
    page.tiles(
        [
            page.tile("Runs, last 7 days", f"{now:,}", page.change(now, before, f"{before:,} the week before")),
            page.tile(
                "Success rate, 7 days", words.percent(good, ended),
                page.change(share, share_before, f"{share_before:.0f} % the week before"),
                tone="red", hot=bool(ended) and share < 80, href="/runs?state=Failed",
            ),
            page.tile("Model cost, 30 days", words.cost(cost) if cost else "$0", esc(f"{words.cost(_mean(jobs))} a run")),
            page.tile(
                "Next run", words.soon(due[0].next_due_at) if due else "None",
                esc(f"{due[0].title}, {words.ago(due[0].next_due_at)}") if due else "No job is switched on",
                href=f"/job?name={due[0].name}" if due else None,
            ),
            f'<div class="tile"><span class="l">Outcomes, 14 days</span>{spark.stacked(per)}</div>',
        ]
    )  # fmt: skip


def _success(days: Sequence[tuple[object, dict[str, int]]]) -> tuple[int, int]:
    good = sum(w.get("Succeeded", 0) for _, w in days)
    bad = sum(n for _, w in days for word, n in w.items() if words.state(word).tone == "red")
    return good, good + bad


def _mean(jobs: list[ScheduleRow]) -> int | None:
    many = sum(j.runs_30d for j in jobs)
    return round(sum(j.cost_30d_microusd for j in jobs) / many) if many else None


def shift() -> int:
    """Which week the calendar shows: 0 is this one."""
    text = chips.param("week", "0")
    return max(-8, min(8, int(text))) if text.lstrip("-").isdecimal() else 0


def weeks(start: datetime, until: datetime) -> None:
    """The calendar's heading and the way to other weeks."""
    here, state = shift(), chips.param("state")
    links = "".join(
        f'<a href="{words.esc(chips.href("/agent-jobs", {"state": state, "week": str(n) if n else None}))}"'
        f"{' class=on' if n == here else ''}>{label}</a>"
        for n, label in ((here - 1, "Week before"), (0, "This week"), (here + 1, "Week after"))
    )
    last = until - timedelta(days=1)
    st.html(
        '<div class="bar2"><div class="h2" role="heading" aria-level="2">Week'
        f"<small>{start:%a} {start.day} {start:%b} to {last:%a} {last.day} {last:%b} · {start.tzinfo}</small></div>"
        f'<nav class="chips" aria-label="Weeks">{links}</nav></div>'
    )


def body() -> None:
    """Everything that follows the ledger. The table is small, so it is drawn anew with the rest."""
    person = me()
    with slot:
        live.pulse("jobs")
    if st.session_state.get("_go"):
        nav.go(st.session_state.pop("_go"))
    zone = words.zone()
    start, until = calendar.week_of(clock.now() + timedelta(days=7 * shift()), zone)
    with db.transaction(STAFF) as session:
        jobs = queries.list_schedules(session)
        days = runs.daily_outcomes(session, 14)
        week = queries.calendar(session, start, until)
        spent = costs.costs(session, cost_view.chosen())
    if not jobs:
        page.empty("No jobs yet", "Add one with New job. The built-in ones are set up when the app starts.")
        return
    tiles(jobs, days)
    failed = sum(bool(j.last and words.state(j.last.word).tone == "red") for j in jobs)
    counted = [(s, words.state(s).word, sum(j.state == s for j in jobs)) for s in STATES]
    chips.show(
        "/agent-jobs", [*counted, (FAILED, "Last run failed", failed)], chips.param("state"), {}, total=("All jobs", len(jobs))
    )
    may_switch = person.role in nav.JOB_MANAGERS
    table.show(
        "jobs", job_rows.COLUMNS, [job_rows.row(j, may_switch=may_switch) for j in chosen(jobs)], label="Agent jobs",
        on_action=on_action, empty="No job matches. Clear the filter to see all.", reserve=55,
    )  # fmt: skip
    weeks(start, until)
    calendar.show("jobs", week, jobs, start, until, zone)
    cost_view.show(spent)


user = me()
with page.header("Agent jobs", "What runs when, did it run, and what did it cost?"):
    slot = st.container(width=150, key="corner")
    if user.role in nav.JOB_MANAGERS and st.button("New job", type="primary", key="new_job"):
        new_job()
live.watch("jobs", body)
