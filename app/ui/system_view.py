"""The installation for people: what runs, whether its stores answer, what it is connected to."""

import re

import streamlit as st

from app.ui import page, table, words
from app.ui.table import Column, Row
from app.ui.words import esc
from core.runtime.system import checks
from core.runtime.system.checks import Check, Verdict
from core.runtime.system.queries import WORDS, ProcessHealth, SystemHealth, read_health

COLUMNS = (
    Column("Process", "text", phone="first"),
    Column("State", "state", phone="corner", width="190px"),
    Column("Since", "ago", phone="label", width="120px"),
    Column("Restarts", "number", phone="label", align="end", width="90px"),
    Column("Last sign of life", "text", phone="label", width="140px"),
    Column("Memory", "text", phone="label", align="end", width="110px"),
)
_TONES = {"running": "succeeded", "starting": "running", "restarting": "late", "stopped": "failed", "silent": "failed"}
_VERDICTS = {Verdict.OK: "healthy", Verdict.WARNING: "off", Verdict.PROBLEM: "failing"}
LABELS = {
    "ops up": "Supervisor", "postgres": "PostgreSQL", "valkey": "Valkey", "web": "Web", "gateway": "Gateway", "clock": "Clock",
    "watchdog": "Watchdog",
}  # fmt: skip


@st.cache_data(ttl=4, show_spinner=False)
def seen() -> SystemHealth:
    """The health, read at most every few seconds: memory is read process by process."""
    return read_health()


def label(name: str) -> str:
    """`worker-agents-1` as `Worker, agents 1`."""
    if name.startswith("worker-"):
        return "Worker, " + name.removeprefix("worker-").replace("-", " ")
    return LABELS.get(name, name)


def process_row(p: ProcessHealth) -> Row:
    """One process."""
    word = WORDS.get(p.state, p.state).split(":")[0].capitalize()
    age = None if p.heartbeat_age_s is None else _age(p.heartbeat_age_s)
    size = f"{p.memory.rss_mb:,.0f} MB" if p.memory else None
    cells = [label(p.name), table.chip(_TONES.get(p.state, "unknown"), word), table.ago(p.since), p.restarts, age, size]
    return Row(p.name, cells, label(p.name), tone="" if p.state == "running" else "red")


def tiles(health: SystemHealth) -> None:
    """Is it well, and how much room does it take?"""
    waits = health.oldest_runnable_run_s or 0.0
    memory = health.memory
    shared = f"{memory.pss_mb:,.0f} MB, shared counted once" if memory.pss_mb is not None else ""
    page.tiles(
        [
            page.tile(
                "Processes", f"{sum(p.state == 'running' for p in health.processes)} of {len(health.processes)}", "running"
            ),
            page.tile("Longest wait for a worker", words.span(waits) if waits >= 1 else "none", "", hot=waits > 60, tone="red"),
            page.tile("Clock", _age(health.clock_heartbeat_age_s), "last sign of life"),
            page.tile("Watchdog", _age(health.watchdog_heartbeat_age_s), "last sign of life"),
            page.tile("Memory", f"{memory.rss_mb:,.0f} MB", esc(shared)),
        ]
    )


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "never seen"
    return "just now" if seconds < 5 else f"{words.span(seconds)} ago"


def stores(health: SystemHealth) -> None:
    """PostgreSQL and Valkey."""
    database, cache = health.database, health.redis
    size = "–" if database.size_mb is None else f"{database.size_mb:,.0f} MB"
    state = "up to date" if database.at_head else "needs ops migrate"
    left = [("Version", f"PostgreSQL {database.version}"), ("Size", size), ("Schema", f"{database.migration}, {state}")]
    waiting = ", ".join(f"{words.state(q).word.lower()} {n:,}" for q, n in cache.queues.items() if n) or "none"
    used = "–" if cache.memory_mb is None else f"{cache.memory_mb:,.0f} MB"
    right = [("Version", str(cache.version)), ("Memory", used), ("Messages waiting", waiting)]
    cards = (
        ("Database", left, database.error),
        ("Redis: wake-ups only, nothing is lost with it", right, cache.error),
    )
    inner = ""
    for title, parts, error in cards:
        body = f"<p>{esc(error)}</p>" if error else "".join(f"<dt>{esc(k)}</dt><dd>{esc(v)}</dd>" for k, v in parts)
        inner += f'<div class="card"><h2>{esc(title)}</h2><dl class="kv">{body}</dl></div>'
    st.html(f'<div class="cols">{inner}</div>')


def connections() -> None:
    """What is connected, and how to connect what is not."""
    items = "".join(_connection(c) for c in (checks.model_key(), *checks.of_connections()))
    st.html(f'<div class="card"><ul class="rows">{items}</ul></div>')


def _code(said: str) -> str:
    """A sentence in which `commands` stand out."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", esc(said))


def _connection(check: Check) -> str:
    word = {Verdict.OK: "Connected", Verdict.WARNING: "Not connected", Verdict.PROBLEM: "Problem"}[check.verdict]
    return (
        f"<li><span><b>{esc(check.name)}</b><br>{_code(check.said)} {_code(check.next_step)}</span>"
        f"{page.tag(_VERDICTS[check.verdict], word)}</li>"
    )
