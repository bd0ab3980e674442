"""What stands around every page: the menu's head and foot, and the component behind links, Ctrl+K and the favicon."""

import time
from typing import Any

import streamlit as st

from app.auth.current import current_user
from app.ui import action_text, assets, health, live, nav, page, stop, words
from app.ui.who import me
from app.ui.words import esc
from core.domains.users.rules import ROLE_WORDS
from core.domains.users.service import CurrentUser
from core.kit import db
from core.kit.db import STAFF
from core.runtime.actions import queries as actions
from core.runtime.schedules import queries as schedules

FOUND = 7
WAITING = 6
_JOBS_KEEP_S = 15.0


def menu_head() -> None:
    """The product's mark and the way into the palette."""
    with st.sidebar.container(key="menuhead"):
        st.html(
            '<a class="brand" href="/"><img src="/app/static/mark.svg" alt="" width="26" height="26">ManageAI Ops</a>'
            '<div style="height:12px"></div>'
            '<button type="button" class="find" data-palette="1" aria-keyshortcuts="Control+K">Go to…<kbd>Ctrl K</kbd></button>'
        )


def menu_foot(user: CurrentUser) -> None:
    """Health, and who is signed in with the way out."""
    with st.sidebar.container(key="menufoot"):
        st.html(
            page.health_html(health.now())
            + page.demo_html(health.now())
            + f'<div class="me"><div class="av" aria-hidden="true">{esc(user.name[:1].upper())}</div>'
            f"<span>{esc(user.name)}<small>{esc(ROLE_WORDS[user.role])}</small></span>"
            '<form method="post" action="/auth/sign-out"><button type="submit">Sign out</button></form></div>'
        )


def mount(user: CurrentUser) -> None:
    """The invisible component of the frame; it answers links, the palette and searches."""
    with st.container(key="chrome"):
        _frame(user.role)


@st.fragment(key="frame")
def _frame(role: str) -> None:
    person = me()
    st.html(stop.style(person))
    mark = live.now().version  # before the counts: a change between the two is then asked for once more, and never missed
    many, first = _waiting(person)
    data: dict[str, Any] = {
        "v": mark,
        "items": _items(role) + first,
        "found": st.session_state.get("_found"),
        "trouble": health.now().tone == "red",
        "badges": {"/approvals": many},
    }
    # `moved` is the browser saying that something changed: the counts in the menu are asked again
    result = assets.renderer("chrome")(
        key="ops_chrome", data=data, on_go_change=lambda: None, on_find_change=_search, on_moved_change=lambda: None
    )  # fmt: skip
    page.toasts("frame")
    stop.draw(person)
    if result.go:
        nav.go(result.go["href"], again=bool(result.go.get("again")))


def _items(role: str) -> list[dict[str, str]]:
    pages = [{"t": p.title, "k": p.section or "Page", "href": f"/{p.url}"} for p in nav.allowed(role) if p.section is not None]
    return pages + _jobs()


def _waiting(person: CurrentUser) -> tuple[int, list[dict[str, str]]]:
    """How many actions wait for this person, and the most urgent for the palette."""
    with db.transaction(STAFF) as session:
        many = actions.waiting(session, person.id, person.role)
        rows = actions.next_waiting(session, person.id, person.role, WAITING) if many else []
    items = [
        {
            "t": action_text.flat(r.title),
            "sub": f"by {words.soon(r.due_at)}",
            "k": "Waits for you",
            "href": f"/action?action={r.id}",
        }
        for r in rows
    ]
    return many, items


_kept: tuple[float, list[dict[str, str]]] | None = None


def _jobs() -> list[dict[str, str]]:
    """Every job for the palette, asked every few seconds per process."""
    global _kept
    if _kept is None or time.monotonic() - _kept[0] > _JOBS_KEEP_S:
        with db.transaction(STAFF) as session:
            found = schedules.titles(session)
        _kept = (time.monotonic(), [{"t": t, "sub": n, "k": "Job", "href": f"/job?name={n}"} for n, t in found])
    return _kept[1]


def forget() -> None:
    """Ask for the jobs at the next question (tests)."""
    global _kept
    _kept = None


def _search() -> None:
    """Deals by text, for the palette. Runs as a callback, so the answer is in the same rerun."""
    words = (assets.sent("ops_chrome", "find") or "").strip()
    current_user()
    st.session_state["_found"] = {"q": words, "items": _deals(words) if words else []}


def _deals(words: str) -> list[dict[str, str]]:
    from core.domains.crm import queries
    from core.domains.crm.queries import DealFilter

    with db.transaction(STAFF) as session:
        found = queries.deals_page(session, DealFilter(text=words), limit=FOUND)
    return [{"t": d.title, "sub": d.account or "", "k": "Deal", "href": f"/deal?deal={d.id}"} for d in found.deals]
