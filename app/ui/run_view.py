"""One run for people: how it goes, what it said, what it knew, why it ran. The run page and the drawer draw the same parts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from app.ui import action_text, action_words, page, report, steps, words
from app.ui.words import esc
from core.errors import NotFound
from core.kit import db
from core.kit.db import STAFF
from core.runtime.actions import queries as actions
from core.runtime.actions.queries import ActionRow
from core.runtime.agents import queries as agents
from core.runtime.agents.queries import CallLine, FactLine, Report
from core.runtime.runs import queries
from core.runtime.runs.models import ACTIVE
from core.runtime.runs.queries import LogRow, RunDetail

RETRYABLE = ("failed", "cancelled", "quarantined")


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything a run's page shows, read in one transaction."""

    detail: RunDetail
    report: Report | None
    facts: Sequence[FactLine]
    calls: Sequence[CallLine]
    actions: Sequence[ActionRow] = ()


def read(run_id: int, *, whole: bool = True) -> Seen:
    """The run; without `whole` its facts and model calls are left out. Raises NotFound."""
    with db.transaction(STAFF) as session:
        detail = queries.run_detail(session, run_id)
        written = None
        if (detail.output or {}).get("text"):
            try:
                written = agents.report_of_run(session, run_id)
            except NotFound:
                written = None
        facts = agents.facts_of_run(session, run_id) if whole and detail.facts else []
        calls = agents.calls_of_run(session, run_id) if whole and detail.model_calls else []
        proposed = actions.of_run(session, run_id)
    return Seen(detail, written, facts, calls, proposed)


def title_chips(detail: RunDetail) -> str:
    """The state beside the run's name."""
    run = detail.run
    extra = page.tag("late") if run.late else ""
    stopping = page.tag("waiting", "Stopping") if run.cancel_requested and run.state in ACTIVE else ""
    return f"{page.tag(run.word)}{extra}{stopping}"


def summary(detail: RunDetail) -> None:
    """One line of facts about the run: when, how long, by whom, what it cost."""
    run = detail.run
    parts = [("Started by", esc(_cause_words(detail)))]
    if run.due_at:
        parts.append(("Due", _time(run.due_at)))
    parts.append(("Started", _time(run.started_at) if run.started_at else "not yet"))
    if run.duration_s is not None and run.state != "running":
        parts.append(("Took", esc(words.duration(run.duration_s))))
    if run.started_at and run.started_at >= run.run_after:
        parts.append(("Waited", esc(words.duration(run.started_at - max(run.run_after, run.created_at)))))
    if run.cost_microusd or run.tokens:
        parts.append(("Cost", f"{esc(words.cost(run.cost_microusd))}, {run.tokens:,} tokens" if run.cost_microusd else "none"))
    if run.attempts > 1 or run.rescues:
        parts.append(("Tries", f"{run.attempts} of {run.max_attempts}"))
    if run.worker:
        parts.append(("Worker", esc(run.worker)))
    inner = "".join(f"<span><small>{k}</small><b>{v}</b></span>" for k, v in parts)
    st.html(f'<div class="facts">{inner}</div>')


def _time(at: object) -> str:
    return f'<time title="{esc(words.when(at))}">{esc(words.ago(at))}</time>'  # type: ignore[arg-type]


def _cause_words(detail: RunDetail) -> str:
    run = detail.run
    if run.replay_of:
        return f"{run.cause_label}, as a replay of #{run.replay_of}"
    return {"schedule": "its schedule"}.get(run.cause_kind, run.cause_label or run.cause_kind)


def trouble(detail: RunDetail) -> None:
    """Why it ended badly and what to do about it."""
    run = detail.run
    if run.error_message and run.state not in ("succeeded", "running"):
        page.note(run.error_next_step or "", "red" if run.state != "waiting" else "amber", run.error_message)
    elif run.word == "Missed":
        page.note("Nothing was running when it was due. Run the job now if its result is still wanted.", "amber", "Missed.")
    elif run.word == "Coalesced":
        page.note("An earlier run of this job was still going, so this slot was merged into it.", "gray", "Coalesced.")
    elif run.late:
        page.note("It started later than its schedule allows.", "amber", "Late.")


def progress(detail: RunDetail, key: str) -> None:
    """The steps with their bars."""
    steps.show(key, detail.run, detail.steps)


def said(seen: Seen) -> None:
    """The report, or what stands in its place."""
    if seen.report is not None:
        report.show(seen.report)
    elif seen.detail.run.state in ACTIVE:
        st.html('<div class="blank"><b>The report appears here</b>when the last step is done.</div>')
    elif seen.detail.output:
        st.html(f'<dl class="kv">{_kv(seen.detail.output)}</dl>')
    else:
        st.html('<div class="blank"><b>Nothing was written</b>This run ended without a report.</div>')


def _kv(values: dict[str, object]) -> str:
    return "".join(f"<dt>{esc(str(k).replace('_', ' ').capitalize())}</dt><dd>{esc(v)}</dd>" for k, v in values.items())


def wanted(seen: Seen) -> None:
    """What the run wants done outside, and what became of each; nothing when it proposed nothing."""
    if not seen.actions:
        return
    page.section("What it wants to do", words.many(len(seen.actions), "action"))
    items = []
    for row in seen.actions:
        chip = page.tag(action_words.key(row), action_words.word(row))
        said = action_words.ended(row) or action_words.fate(row)
        items.append(
            f'<li><span><a href="/action?action={row.id}">{action_text.visible(row.title)}</a>'
            f'<small class="why2">{esc(said)}</small></span>{chip}</li>'
        )
    st.html(f'<div class="card"><ul class="rows">{"".join(items)}</ul></div>')


def cause_chain(detail: RunDetail) -> None:
    """What led to the run, from the first cause to the run, and what the run led to."""
    items = []
    for cause in reversed(detail.causes):
        target = f"/run?run={cause.id}" if cause.kind == "run" and cause.id else None
        label = f'<a href="{target}">{esc(cause.label)}</a>' if target else esc(cause.label)
        items.append(f"<li><span>{label}</span><small>{esc(cause.kind.capitalize())}</small></li>")
    items.append(f"<li><span><b>This run, #{detail.run.id}</b></span><small>Run</small></li>")
    for event in detail.events:
        items.append(
            f'<li><span>{esc(event.summary)}</span><small title="{esc(words.when(event.created_at))}">'
            f"{esc(words.ago(event.created_at))}</small></li>"
        )
    for run in detail.related:
        items.append(
            f'<li><span><a href="/run?run={run.id}">#{run.id} {esc(run.title)}</a> {page.tag(run.word)}</span>'
            f"<small>{'Replay' if run.replay_of == detail.run.id else 'Run'}</small></li>"
        )
    st.html(f'<div class="card"><ul class="rows">{"".join(items)}</ul></div>')


def model_calls(calls: Sequence[CallLine]) -> None:
    """What was asked of the model and what it cost."""
    if not calls:
        page.empty("No model was asked", "Without a model key the report is written by a template, from the same facts.")
        return
    head = "".join(f"<th>{h}</th>" for h in ("For", "Model", "Prompt", "Outcome", "Tokens in", "Tokens out", "Took", "Cost"))
    body = "".join(
        f"<tr><td>{esc(c.purpose)}</td><td>{esc(c.model)}</td><td>{esc(c.prompt)}</td>"
        f"<td title='{esc(c.detail or '')}'>{esc(c.outcome.replace('_', ' ').capitalize())}</td>"
        f"<td class=n>{c.input_tokens:,}</td><td class=n>{c.output_tokens:,}</td>"
        f"<td class=n>{esc(words.duration(c.duration_ms / 1000))}</td><td class=n>{esc(words.cost(c.cost_microusd))}</td></tr>"
        for c in calls
    )
    st.html(f'<div class="scroll"><table class="plain"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def log_lines(logs: Sequence[LogRow], levels: Sequence[str]) -> str:
    """The log as HTML, only the chosen levels."""
    kept = [entry for entry in logs if entry.level in levels]
    if not kept:
        return '<div class="blank"><b>No lines</b>The run wrote nothing at these levels.</div>'
    rows = []
    for entry in kept:
        known = words.state(entry.level)
        cls = ' class="w c-' + known.tone + '"' if entry.level != "info" else f' class="c-{known.tone}"'
        local = entry.at.astimezone(words.zone())
        rows.append(
            f'<li{cls}><time title="{esc(words.when(entry.at))}">{local:%H:%M:%S}</time><em>{esc(known.word)}</em>'
            f"<span>{esc(entry.message)}</span></li>"
        )
    return f'<div class="scroll"><ol class="log">{"".join(rows)}</ol></div>'


def log_text(logs: Sequence[LogRow]) -> str:
    """The log as a text file."""
    return "".join(f"{e.at.isoformat()} {e.level.upper():7} {e.message}\n" for e in logs)


def payload_text(detail: RunDetail) -> str:
    """The run's input as JSON a person can edit."""
    return json.dumps(detail.payload, indent=2, ensure_ascii=False, sort_keys=True)
