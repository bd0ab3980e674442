"""Which pages there are, who sees which, and going from one to another."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import streamlit as st

from app.ui import page as page_ui

PAGES_DIR = Path(__file__).resolve().parents[2] / "pages"
ADMIN, ENGINEERING, DELIVERY, SALES, MARKETING = "admin", "engineering", "delivery", "sales", "marketing"
EVERYONE = frozenset({ADMIN, ENGINEERING, DELIVERY, SALES, MARKETING})


@dataclass(frozen=True, slots=True)
class Spec:
    """One page: address, file in pages/, name, icon and section of the menu; None as section keeps it out of the menu."""

    url: str
    file: str
    title: str
    icon: str
    section: str | None
    roles: frozenset[str] = EVERYONE


PAGES: tuple[Spec, ...] = (
    Spec("today", "today.py", "Today", "wb_sunny", ""),
    Spec("approvals", "approvals.py", "Approvals", "task_alt", ""),
    Spec("action", "action.py", "Action", "task_alt", None),
    Spec("notifications", "notifications.py", "Notifications", "notifications", None),
    Spec("pipeline", "pipeline.py", "Pipeline", "filter_alt", "Sales"),
    Spec("deal", "deal.py", "Deal", "handshake", None),
    Spec("agent-jobs", "agent_jobs.py", "Agent jobs", "smart_toy", "Automation"),
    Spec("runs", "runs.py", "Runs", "list_alt", "Automation"),
    Spec("activity", "activity.py", "Activity", "history", "Automation"),
    Spec("policies", "policies.py", "Policies", "policy", "Settings"),
    Spec("policy", "policy.py", "Policy", "policy", None),
    Spec("connections", "connections.py", "Connections", "cable", "Settings", frozenset({ADMIN})),
    Spec("contacts", "contacts.py", "Contacts", "person_off", "Settings"),
    Spec("system", "system.py", "System", "monitor_heart", "Settings", frozenset({ADMIN, ENGINEERING})),
    Spec("run", "run.py", "Run", "play_circle", None),
    Spec("job", "job.py", "Job", "smart_toy", None),
)
"""The one map of pages and roles. A hidden page is not a protected page: each page asks `require` for itself as well."""

JOB_MANAGERS = frozenset({ADMIN, ENGINEERING})
"""Who may add, edit, pause and switch jobs, and cancel or replay runs."""


def allowed(role: str) -> list[Spec]:
    """The pages a role may open."""
    return [p for p in PAGES if role in p.roles]


def build(role: str) -> dict[str, list[Any]]:
    """The menu for `st.navigation`; the hidden pages come along so that their addresses work."""
    menu: dict[str, list[Any]] = {}
    known: dict[str, Any] = {}
    for spec in allowed(role):
        page = st.Page(
            PAGES_DIR / spec.file,
            title=spec.title,
            icon=f":material/{spec.icon}:",
            url_path=spec.url,
            default=spec.url == "today",
            visibility="visible" if spec.section is not None else "hidden",
        )
        known[spec.url] = page
        menu.setdefault(spec.section or "", []).append(page)
    st.session_state["_pages"] = known
    return menu


def link(href: str, role: str) -> str | None:
    """The address if the role may open its page, else None: text that leads nowhere is better than a dead link."""
    path = urlsplit(href).path.strip("/") or "today"
    return href if any(p.url == path for p in allowed(role)) else None


def here() -> str:
    """The address of the page that is being drawn, without its parameters."""
    return str(st.session_state.get("_here", "/"))


def go(href: str, *, again: bool = False) -> None:
    """Open an address of ours (`/runs?state=failed`) without a reload. An address nobody knows leads nowhere.

    `again`: the browser asks once more, since it is still where it was.
    """
    parts = urlsplit(href)
    pages = st.session_state.get("_pages", {})
    page = pages.get(parts.path.strip("/") or "today")
    if page is None and again:
        return
    if page is None:
        st.session_state.setdefault("_toasts", []).append(("That page is not part of your menu.", "error"))
        page_ui.toasts("nav")
        return
    # a key given twice keeps both values
    params: dict[str, Any] = {}
    for key, value in parse_qsl(parts.query):
        params.setdefault(key, []).append(value)
    st.switch_page(page, query_params={k: v if len(v) > 1 else v[0] for k, v in params.items()})
