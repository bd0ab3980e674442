"""Filters that stand in the address, so that Back works and a link shows the same: chips, search, choice and period."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import streamlit as st

from app.ui import assets, nav, words
from app.ui.words import esc

CURSORS = ("before", "after")
"""Parameters that say where a page of a list starts."""


def param(name: str, default: str = "") -> str:
    """One value from the address, without characters no text of ours can hold."""
    return st.query_params.get(name, default).replace("\x00", "")


def href(path: str, params: Mapping[str, str | None]) -> str:
    """An address with what is not empty in `params`."""
    kept = {k: v for k, v in params.items() if v}
    return path + ("?" + urlencode(kept) if kept else "")


def put(name: str, value: object) -> None:
    """Write a filter to the address; empty takes it out. Whoever filters anew starts at the first page."""
    for cursor in CURSORS:
        st.query_params.pop(cursor, None)
    if value:
        st.query_params[name] = str(value)
    else:
        st.query_params.pop(name, None)


def find(key: str, said: str, *, name: str = "q", width: int = 230) -> None:
    """A field to search by; `said` is what it looks through. The key `/` goes to it."""

    def typed() -> None:
        given = assets.sent(key, "text")
        if given is not None:
            put(name, str(given["v"]).strip())

    assets.renderer("search")(key=key, data={"value": param(name), "label": said}, on_text_change=typed, width=width)


def choice(key: str, label: str, values: Mapping[str, object], everything: str, *, name: str, width: int = 170) -> None:
    """One of `values` (what a person reads → what stands in the address), or everything, which is the first choice."""
    now = param(name)
    st.session_state[key] = next((said for said, value in values.items() if str(value) == now), everything)
    st.selectbox(
        label, [everything, *values], key=key, label_visibility="collapsed", width=width,
        on_change=lambda: put(name, values.get(st.session_state[key])),
    )  # fmt: skip


def period(key: str, periods: Mapping[str, int], usual: str) -> None:
    """How far back, as links in one box; the usual one stays out of the address."""
    chosen = chosen_period(periods, usual)
    others = {k: v for k, v in st.query_params.to_dict().items() if k not in (*CURSORS, "period", "run")}
    made = []
    for label in periods:
        target = href(nav.here(), {**others, "period": None if label == usual else label})
        on = ' class="on" aria-current="true"' if label == chosen else ""
        made.append(f'<a href="{esc(target)}"{on}>{esc(label)}</a>')
    with st.container(key=key, width="content"):
        st.html(f'<nav class="seg" aria-label="Period">{"".join(made)}</nav>', width="content")


def chosen_period(periods: Mapping[str, int], usual: str) -> str:
    """The period the address asks for."""
    return param("period") if param("period") in periods else usual


def cursor(name: str = "before") -> int | None:
    """The id a page of a list starts below; None on the first page and for an address that makes no sense."""
    value = param(name)
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None


def paging(path: str, others: Mapping[str, str | None], following: object, noun: str) -> list[tuple[str, str]]:
    """Links to the newest and to older ones, for `table.show(more=…)`."""
    made = [(f"Newest {noun}", href(path, others))] if cursor() is not None else []
    return made + ([(f"Older {noun}", href(path, {**others, "before": str(following)}))] if following else [])


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter as a link. `tone` colours its dot; without it there is none. None as count shows no number."""

    label: str
    count: int | None
    href: str
    on: bool = False
    tone: str = ""


def links(chips: Sequence[Chip], label: str) -> str:
    """Chips as HTML; `label` is what a screen reader says for the row."""
    made = []
    for c in chips:
        cls = " ".join(
            w for w in (f"c-{c.tone}" if c.tone else "", "on" if c.on else "", "" if c.count != 0 or c.on else "zero") if w
        )
        dot = "<i></i>" if c.tone else ""
        number = "" if c.count is None else f" <b>{c.count:,}</b>"
        current = ' aria-current="true"' if c.on else ""
        made.append(f'<a href="{esc(c.href)}" class="{cls}"{current}>{dot}{esc(c.label)}{number}</a>')
    return f'<nav class="chips" aria-label="{esc(label)}">{"".join(made)}</nav>'


def show(
    path: str,
    counts: Sequence[tuple[str, str, int]],
    chosen: str,
    others: Mapping[str, str | None],
    *,
    name: str = "state",
    total: tuple[str, int] | None = None,
    plain: bool = False,
) -> None:
    """Chips for (value, label, count); `chosen` is the one that is on. `others` are the parameters to keep.

    The dot's colour is the state's tone; `plain` chips are no states and have none. A chip that is on leads back to all.
    """
    made = [] if total is None else [Chip(*total, href(path, others), not chosen)]
    for value, label, count in counts:
        target = href(path, {**others, name: None if value == chosen else value})
        made.append(Chip(label, count, target, value == chosen, "" if plain else words.state(value).tone))
    st.html(links(made, f"Filter by {name}"))
