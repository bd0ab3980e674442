"""Today: what needs me now?"""

from collections.abc import Sequence

import streamlit as st

from app.ui import action_text, action_words, actions, alerts_view, live, nav, page, report, tasks_view, words
from app.ui.who import me
from app.ui.words import esc
from core.domains.company import queries as company
from core.domains.company.queries import Today
from core.domains.tasks import queries as tasks
from core.domains.users.service import CurrentUser
from core.kit import clock, db
from core.kit.db import STAFF
from core.runtime.actions import queries as approvals
from core.runtime.actions.queries import ActionRow
from core.runtime.agents import queries as agents
from core.runtime.agents.queries import Report
from core.runtime.alerts import queries as alerts
from core.runtime.runs.queries import Counts, RunFilter, counts_by_word
from core.runtime.schedules import queries as schedules

SOON = 6
ASKS = 4


def greeting(user: CurrentUser) -> str:
    hour = clock.now().astimezone(words.zone()).hour
    part = "morning" if 4 <= hour < 12 else "afternoon" if 12 <= hour < 18 else "evening"
    return f"Good {part}, {user.name}"


def tiles(today: Today, counts: Counts, role: str, asked: int) -> None:
    """Five figures, each a way in. `asked` counts the actions that wait for this person."""
    counted = ((asked, "action"), (today.drafts, "draft"), (today.reports, "report"), (today.my_reviews, "review"))
    kinds = [words.many(n, noun) for n, noun in counted if n] or ["nothing waits"]
    waiting = asked + today.drafts + today.reports + today.my_reviews
    late = today.overdue_builds + today.late_reviews
    money = words.amount(today.deals_at_risk_minor, today.currency, compact=True)
    page.tiles(
        [
            page.tile(
                "Waiting for your decision", f"{waiting:,}",
                esc(", ".join(kinds)),
                tone="amber", hot=waiting > 0, href="/approvals?mine=1" if asked else nav.link("/drafts", role),
            ),
            page.tile(
                "Runs that failed, 24 h", f"{today.failed_runs:,}", esc(f"of {words.many(counts.total, 'run')}"),
                tone="red", hot=today.failed_runs > 0, href="/runs?state=Failed&period=24+h",
            ),
            page.tile(
                "Builds running late", f"{late:,}",
                esc(f"{today.overdue_builds} overdue, {words.many(today.late_reviews, 'review')} waiting"),
                tone="red", hot=late > 0, href=nav.link("/build-queue", role),
            ),
            page.tile(
                "Deals at risk", money,
                esc(f"{today.quiet_deals:,} gone quiet, {today.overdue_deals:,} past their close date"),
                tone="amber", href=nav.link("/pipeline?show=overdue", role),
            ),
            page.tile(
                "Clients to look after", f"{today.unhappy_clients:,}",
                esc(f"{words.amount(today.retainers_at_risk_minor, today.currency, compact=True)} a month in retainers"),
                tone="amber", hot=today.unhappy_clients > 0, href=nav.link("/clients", role),
            ),
        ]
    )  # fmt: skip


def asks(rows: Sequence[ActionRow], many: int) -> list[str]:
    """What waits for this person's yes or no, the most urgent first."""
    items = []
    for r in rows:
        tone = action_words.urgency(r) or "violet"
        why = f"{action_words.asks(r)} asks. {action_words.fate(r)}"
        due = words.ago(r.due_at) if r.state == "awaiting_approval" else ""
        items.append(_item(tone, "?", f"/action?action={r.id}", action_text.flat(r.title), why, due))
    if many > len(rows):
        items.append(
            _item("gray", "i", "/approvals?mine=1", f"{words.many(many - len(rows), 'more action')}", "Wait for you", "")
        )
    return items


def needs(today: Today, titles: dict[str, str], role: str, items: list[str]) -> str:
    """What to decide or repair, most pressing first; `items` stand at the top."""
    for f in today.failures:
        word = words.state("missed" if f.reason == "missed" else "timed_out" if f.reason == "timed_out" else f.state).word
        title = f"{titles.get(f.name, f.name)} {word.lower()}"
        why = f.message or "It did not run when it was due."
        items.append(_item("red", "×", f"/run?run={f.run_id}", title, why, words.ago(f.at)))
    for b in today.late_builds:
        who = b.reviewer if "review" in b.late else b.assignee
        why = " · ".join(x for x in (b.client, b.late.replace("_", " "), who) if x)
        items.append(_item("amber", "!", nav.link(f"/ticket?ticket={b.ticket_id}", role), b.title, why, f"{b.days:.0f} d"))
    counted = (
        (today.stuck_tickets, "request", "Not analysed yet", "/build-queue?status=SUBMITTED"),
        (today.zero_value_deals, "open deal", "No value entered, so missing from the forecast", "/pipeline?show=zero"),
        (today.failed_deployments, "failed deployment", "In the last 24 hours", "/build-queue"),
    )
    for n, noun, why, href in counted:
        if n:
            items.append(_item("gray", "i", nav.link(href, role), words.many(n, noun), why, ""))
    if not items:
        return '<div class="blank"><b>Nothing needs you</b>Runs, builds and reviews are all on time.</div>'
    return f'<ul class="need">{"".join(items)}</ul>'


def _item(tone: str, mark: str, href: str | None, title: str, why: str, aside: str) -> str:
    name = f'<a href="{esc(href)}">{esc(title)}</a>' if href else f"<b>{esc(title)}</b>"
    return (
        f'<li class="c-{tone}"><span class="dot" aria-hidden="true">{mark}</span><span>{name}<small>{esc(why)}</small></span>'
        f"<em>{esc(aside)}</em></li>"
    )


def brief_card(brief: Report | None) -> str:
    if brief is None:
        return (
            '<section class="card"><div class="top"><h2>Morning brief</h2></div><div class="blank"><b>No brief yet</b>'
            "It is written on weekdays at 7:00 AM. Press “Write the brief now” to have one in a few seconds.</div></section>"
        )
    at = f'<small title="{esc(words.when(brief.finished_at))}">{esc(words.ago(brief.finished_at))}</small>'
    return (
        f'<section class="card"><div class="top"><h2><a href="/run?run={brief.run_id}">Morning brief</a></h2>{at}</div>'
        f'<article class="report">{report.html(brief.blocks, brief.run_id)}</article></section>'
    )


def coming(jobs: list[schedules.ScheduleRow]) -> str:
    due = sorted((j for j in jobs if j.next_due_at), key=lambda j: j.next_due_at or clock.now())[:SOON]
    items = "".join(
        f'<li><a href="/job?name={esc(j.name)}">{esc(j.title)}</a>'
        f'<small title="{esc(words.when(j.next_due_at))}">{esc(words.soon(j.next_due_at))}</small></li>'
        for j in due
    )
    return f'<ul class="rows">{items}</ul>' if items else '<p class="lead">No job is switched on.</p>'


def body() -> None:
    """Everything that changes while the page is open."""
    person = me()
    with slot:
        live.pulse("today")
    with db.transaction(STAFF) as session:
        today = company.today(session, person.role, user_id=person.id)
        counts = counts_by_word(session, RunFilter(since=clock.now() - company.FAILED_WITHIN))
        asked = approvals.waiting(session, person.id, person.role)
        urgent = approvals.next_waiting(session, person.id, person.role, ASKS)
        brief = agents.latest_report(session, company.BRIEF)
        jobs = schedules.list_schedules(session)
        troubles = alerts.open_alerts(session)
        mine = tasks.open_for(session, person.id, person.role)
    alerts_view.show(troubles, person.role)
    tasks_view.show(mine, person.role)
    tiles(today, counts, person.role, asked)
    todo = needs(today, {j.name: j.title for j in jobs}, person.role, asks(urgent, asked))
    st.html(
        f'<div class="two">{brief_card(brief)}<div class="stack">'
        f'<section class="card"><div class="top"><h2>Needs somebody</h2></div>{todo}</section>'
        '<section class="card"><div class="top"><h2>Coming up</h2><small><a href="/agent-jobs">All jobs</a></small></div>'
        f"{coming(jobs)}</section>"
        "</div></div>"
    )


def write_brief() -> None:
    run_id = actions.run_job(company.BRIEF)
    if run_id is not None:
        st.session_state["_go"] = f"/run?run={run_id}"


user = me()
with page.header(greeting(user), f"{words.long_day()} · what needs you now?"):
    slot = st.container(width=150, key="corner")
    st.button("Write the brief now", key="brief", on_click=write_brief, help="Runs CEO Morning Brief and opens it live.")
if st.session_state.get("_go"):
    nav.go(st.session_state.pop("_go"))
live.watch("today", body)
