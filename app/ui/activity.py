"""Events for people: their words, their families, and what stands behind one of them."""

import re
from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.auth.current import current_user
from app.ui import action_words, chips, page, table, words
from app.ui.table import Column, Row, RowId
from app.ui.words import esc
from core.errors import NotFound
from core.kit import db
from core.kit.db import STAFF
from core.runtime.actions import kinds
from core.runtime.events import queries
from core.runtime.events.queries import EventRow

FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "reports": (
        "Reports",
        ("morning_brief", "weekly_report", "pipeline_review", "build_queue_check", "health_check", "monthly_reports", "agent."),
    ),
    "runs": ("Runs and jobs", ("run.", "job.", "schedule.")),
    "deals": ("Deals", ("deal.", "deals.")),
    "builds": ("Builds", ("ticket.", "deployment.", "review.")),
    "clients": ("Clients", ("client.", "report.", "automation.")),
    "drafts": ("Drafts and messages", ("draft.", "drafts.", "content_draft", "message.")),
    "contacts": ("Contacts", ("contact.", "mail.")),
    "actions": ("Actions", ("action.", "task.")),
    "safety": ("Alerts and stops", ("alert.", "switch.", "policy.")),
    "system": ("System", ("watchdog.", "user.", "key.", "keys.", "connection.")),
}
"""Chip → its word and the event types it stands for; a type that ends in "." is a family."""

SUBJECTS = {
    "run": ("Open the run", "/run?run={}"),
    "deal": ("Open the deal", "/deal?deal={}"),
    "action": ("Open the action", "/action?action={}"),
    "suppression": ("Open the contacts", "/contacts"),
    "event": ("Open the event", "/activity?event={}"),
}
"""What an event or its cause can be about → the words and the address of its link; others have no page of their own yet."""

COLUMNS = (
    Column("When", "ago", phone="corner", width="110px"),
    Column("What happened", "text", phone="first"),
    Column("Kind", "text", phone="label", width="170px"),
    Column("Who", "text", phone="label", width="150px"),
    Column("Client", "text", phone="hide", width="150px"),
    Column("Priority", "state", phone="hide", width="96px"),
)


def kind_words(type_: str) -> str:
    """`ticket.deployed` as `Ticket deployed`."""
    return re.sub("[._-]", " ", type_).capitalize()


def family_of(type_: str) -> str | None:
    """The chip an event type belongs to."""
    for key, (_, types) in FAMILIES.items():
        if any(type_ == t or (t.endswith(".") and type_.startswith(t)) for t in types):
            return key
    return None


def by_family(by_type: Mapping[str, int]) -> dict[str, int]:
    """How many events each chip stands for. A type no chip knows counts under All only."""
    counts = dict.fromkeys(FAMILIES, 0)
    for type_, many in by_type.items():
        family = family_of(type_)
        if family:
            counts[family] += many
    return counts


def row(event: EventRow) -> Row:
    """One event of the list."""
    tone = {"urgent": "red", "high": "amber"}.get(event.priority, "")
    cells = [
        table.ago(event.at),
        event.summary,
        kind_words(event.type),
        event.actor,
        event.org_name,
        table.chip(event.priority) if event.priority in ("urgent", "high") else None,
    ]
    return Row(event.id, cells, event.summary, tone=tone)


def choose(event_id: RowId) -> None:
    """Open an event: it goes to the address."""
    st.query_params["event"] = str(event_id)


def close() -> None:
    """Forget the event in the address."""
    st.query_params.pop("event", None)


def from_address() -> None:
    """Draw the drawer when the address names an event. Call it last on the page."""
    wanted = chips.param("event")
    if wanted.isdigit() and len(wanted) < 16:
        _drawer(int(wanted))


@st.dialog("Event", position="right", width=780, on_dismiss=close)
def _drawer(event_id: int) -> None:
    current_user()
    try:
        with db.transaction(STAFF) as session:
            event = queries.get(session, event_id)
            causes = queries.cause_chain(session, event_id)
    except NotFound as error:
        page.problem(error)
        return
    st.html(f'<div class="pg"><h1>{esc(words.short(event.summary, 300))}</h1><p>{esc(kind_words(event.type))}</p></div>')
    parts = [("Who", event.actor), ("When", words.when(event.at)), ("Client", event.org_name)]
    if event.to_agents:
        parts.append(("For", ", ".join(event.to_agents)))
    if event.priority in ("urgent", "high"):
        parts.append(("Priority", words.state(event.priority).word))
    st.html('<div class="facts">' + "".join(f"<span><small>{esc(k)}</small><b>{esc(v)}</b></span>" for k, v in parts) + "</div>")
    _subject(event)
    page.section("What led to it", "first cause first")
    st.html(f'<div class="card"><ul class="rows">{"".join(_link(c, event.id) for c in causes)}</ul></div>')
    if details := _details(event):
        page.section("Details")
        st.html(f'<div class="card"><dl class="kv">{details}</dl></div>')


def _subject(event: EventRow) -> None:
    link = subject_link(event)
    if link:
        st.html(f'<p class="chips"><a href="{esc(link[1])}">{esc(link[0])}</a></p>')


def subject_link(event: EventRow) -> tuple[str, str] | None:
    """(words, address) of the page about what the event is about, if there is one."""
    if event.subject_type == "schedule" and event.payload.get("name"):
        return "Open the job", chips.href("/job", {"name": str(event.payload["name"])})
    said, address = SUBJECTS.get(event.subject_type or "", ("", ""))
    return (said, address.format(event.subject_id)) if said and event.subject_id else None


def _link(cause: queries.CauseLink, own_id: int) -> str:
    here = cause.kind == "event" and cause.id == own_id
    target = "" if here else SUBJECTS[cause.kind][1].format(cause.id)
    label = esc(words.short(cause.summary) if cause.kind == "event" else f"{kind_words(cause.name)}, run #{cause.id}")
    said = f"<b>{label}</b>" if here else f'<a href="{esc(target)}">{label}</a>'
    mark = page.tag(cause.state) if cause.state else ""
    return f'<li><span>{said} {mark}</span><small title="{esc(words.when(cause.at))}">{esc(words.ago(cause.at))}</small></li>'


def _details(event: EventRow) -> str:
    # what a policy's numbers were is in the sentence already, with their units
    left_out = {"before", "after"} if event.type.startswith("policy.") else set()
    pairs = (_pair(k, v, event.payload) for k, v in event.payload.items() if k not in left_out)
    return "".join(f"<dt>{esc(k)}</dt><dd>{esc(v)}</dd>" for k, v in pairs)


def _pair(key: str, value: Any, beside: Mapping[str, Any]) -> tuple[str, str]:
    """A detail's label and words. An amount in minor units has its currency beside it."""
    if key.endswith("_minor") and isinstance(value, int):
        return kind_words(key.removesuffix("_minor")), words.amount(value, beside.get("currency"))
    return kind_words(key), _value(value)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(": ".join(_pair(str(k), v, value)) for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(_value(v) for v in value[:20]) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else _text(value) if isinstance(value, str) else str(value)


def _text(value: str) -> str:
    """Codes as their words, instants as people read them; what a person wrote stays as it is."""
    if value in words.STATES:
        return words.state(value).word
    if kinds.find(value) is not None:
        return action_words.noun(value)
    if re.fullmatch(r"[a-z]+(_[a-z]+)+", value):
        return kind_words(value)
    return words.from_iso(value) if re.match(r"\d{4}-\d\d-\d\d", value) else value
