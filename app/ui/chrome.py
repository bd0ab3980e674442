"""What stands around every page: the menu's head and foot, and the component behind links, Ctrl+K and the favicon."""

from typing import Any

import streamlit as st

from app.ui import assets, health, nav, page
from app.ui.words import esc
from core.domains.users.service import CurrentUser
from core.kit import db
from core.kit.db import STAFF

ROLE_WORDS = {"admin": "Admin", "engineering": "Engineering", "delivery": "Delivery", "sales": "Sales", "marketing": "Marketing"}


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
            + f'<div class="me"><div class="av" aria-hidden="true">{esc(user.name[:1].upper())}</div>'
            f"<span>{esc(user.name)}<small>{esc(ROLE_WORDS.get(user.role, str(user.role)))}</small></span>"
            '<form method="post" action="/auth/sign-out"><button type="submit">Sign out</button></form></div>'
        )


def mount(user: CurrentUser) -> None:
    """The invisible component of the frame; it answers links, the palette and searches."""
    with st.container(key="chrome"):
        _frame(user.role)


@st.fragment(key="frame")
def _frame(role: str) -> None:
    from app.auth.current import current_user

    current_user()
    data: dict[str, Any] = {
        "items": _items(role),
        "found": st.session_state.get("_found"),
        "trouble": health.now().tone == "red",
    }
    result = assets.renderer("ops_chrome")(key="ops_chrome", data=data, on_go_change=lambda: None, on_find_change=_search)
    if result.go:
        nav.go(result.go["href"])


def _items(role: str) -> list[dict[str, str]]:
    pages = [{"t": p.title, "k": p.section or "Page", "href": f"/{p.url}"} for p in nav.allowed(role) if p.section is not None]
    return pages + _jobs()


@st.cache_data(ttl=15, show_spinner=False)
def _jobs() -> list[dict[str, str]]:
    from core.runtime.schedules import queries

    with db.transaction(STAFF) as session:
        return [{"t": j.title, "sub": j.name, "k": "Job", "href": f"/job?name={j.name}"} for j in queries.list_schedules(session)]


def _search() -> None:
    """Deals by text, for the palette. Runs as a callback, so the answer is in the same rerun."""
    from app.auth.current import current_user

    words = (st.session_state["ops_chrome"].find or "").strip()
    current_user()
    st.session_state["_found"] = {"q": words, "items": _deals(words) if words else []}


def _deals(words: str) -> list[dict[str, str]]:
    from core.domains.crm import queries

    search = getattr(queries, "search", None)
    if search is None:
        return []
    with db.transaction(STAFF) as session:
        return [{"t": d.title, "k": "Deal", "href": f"/deal?deal={d.id}"} for d in search(session, words, limit=6)]
