"""The form of a job, for a new one and for edits: the schedule is read back in words with its next three times as it is typed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import available_timezones

import streamlit as st

from app.ui import words
from app.ui.words import esc
from core.config import get_settings
from core.errors import OpsError
from core.kit import clock
from core.runtime.agents.facts import sections
from core.runtime.schedules import service

DEPARTMENTS = {
    "ceo": "Executive AI", "sales": "Sales AI", "engineering": "Engineering AI", "delivery": "Delivery AI",
    "marketing": "Marketing AI",
}  # fmt: skip
READY_MADE = {
    "Weekdays 7:00 AM": "0 7 * * 1-5",
    "Mondays 8:00 AM": "0 8 * * 1",
    "Every hour": "0 * * * *",
    "1st of the month": "0 9 1 * *",
}


@dataclass(frozen=True, slots=True)
class Values:
    """What the form holds."""

    title: str = ""
    department: str = "ceo"
    agent: str = "Executive AI"
    cron: str = "0 7 * * 1-5"
    time_zone: str = ""
    task: str = ""
    facts: tuple[str, ...] = ()


def slug(title: str) -> str:
    """The short name made of a title: `Friday numbers` → `friday-numbers`."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60]


def zones() -> Sequence[str]:
    """IANA zones people choose from, ours first."""
    mine = get_settings().time_zone
    rest = sorted(z for z in available_timezones() if "/" in z and not z.startswith(("Etc/", "posix", "right", "SystemV")))
    return [mine, "UTC", *(z for z in rest if z != mine)]


def reading(cron: str, zone: str) -> None:
    """The schedule in words with its next three times, or what is wrong with it."""
    try:
        place = clock.zone(zone)
        times = service.next_times(cron, zone, 3)
        if not times:
            raise OpsError("It is never due.", "Check day and month.")
    except OpsError as error:
        st.html(f'<div class="note c-red"><b>{esc(error.message)}</b> {esc(error.next_step)}</div>')
        return
    items = "".join(f"<li><span>{esc(words.when(t, place))}</span><small>{esc(words.ago(t))}</small></li>" for t in times)
    st.html(f'<div class="note c-blue"><b>{esc(service.describe(cron))}</b><ul class="rows">{items}</ul></div>')


def _agent_follows(key: str) -> None:
    st.session_state[f"{key}_agent"] = DEPARTMENTS[st.session_state[f"{key}_department"]]


def read(key: str) -> Values:
    """What is in the form now; for the callback of its button."""
    held = {name: st.session_state[f"{key}_{name}"] for name in ("title", "department", "agent", "cron", "zone", "task", "facts")}
    return Values(
        held["title"].strip(), held["department"], held["agent"], held["cron"].strip(), held["zone"], held["task"].strip(),
        tuple(held["facts"]),
    )  # fmt: skip


def fields(key: str, given: Values) -> None:
    """Draw the fields."""
    st.text_input("Name", value=given.title, key=f"{key}_title", placeholder="Friday numbers")
    left, right = st.columns(2)
    left.selectbox(
        "Department", list(DEPARTMENTS), index=[*DEPARTMENTS, given.department].index(given.department) % len(DEPARTMENTS),
        format_func=lambda d: "CEO" if d == "ceo" else d.capitalize(), key=f"{key}_department",
        on_change=_agent_follows, args=(key,),
    )  # fmt: skip
    agents = list(DEPARTMENTS.values())
    right.selectbox("Agent", agents, index=agents.index(given.agent) if given.agent in agents else 0, key=f"{key}_agent")
    left, right = st.columns(2)
    cron = left.text_input(
        "Schedule (cron)", value=given.cron, key=f"{key}_cron", help="Minute, hour, day of month, month, weekday.",
    )  # fmt: skip
    known = zones()
    zone = right.selectbox(
        "Time zone", known, index=known.index(given.time_zone) if given.time_zone in known else 0, key=f"{key}_zone"
    )
    st.pills(
        "Ready-made", list(READY_MADE), key=f"{key}_ready", label_visibility="collapsed",
        on_change=lambda: _take_ready(key),
    )  # fmt: skip
    reading(cron, zone)
    st.text_area(
        "Task", value=given.task, key=f"{key}_task", height=130,
        placeholder="What the agent should look at and report, in your words.",
    )  # fmt: skip
    titles = {s.key: s.title for s in sections()}
    st.multiselect(
        "Facts it may use", list(titles), default=[f for f in given.facts if f in titles], key=f"{key}_facts",
        format_func=lambda f: titles[f], placeholder="Choose one or more",
    )  # fmt: skip


def _take_ready(key: str) -> None:
    chosen = st.session_state.get(f"{key}_ready")
    if chosen:
        st.session_state[f"{key}_cron"] = READY_MADE[chosen]
