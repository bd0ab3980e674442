"""State chips with counts. Each is a link, so the filter stands in the address and Back works."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import streamlit as st

from app.ui import words
from app.ui.words import esc


def param(name: str, default: str = "") -> str:
    """One value from the address."""
    found = st.query_params.get(name, default)
    return found if isinstance(found, str) else default


def href(path: str, params: Mapping[str, str | None]) -> str:
    """An address with what is not empty in `params`."""
    kept = {k: v for k, v in params.items() if v}
    return path + ("?" + urlencode(kept) if kept else "")


def show(
    path: str,
    counts: Sequence[tuple[str, str, int]],
    chosen: str,
    others: Mapping[str, str | None],
    *,
    name: str = "state",
    total: tuple[str, int] | None = None,
    tones: Mapping[str, str] | None = None,
) -> None:
    """Chips for (value, label, count); `chosen` is the one that is on. `others` are the parameters to keep.

    The count's colour comes from the state's tone; `tones` names the state where the value is none itself. A chip that is
    on leads back to all.
    """
    made = []
    if total is not None:
        on = ' class="on" aria-current="true"' if not chosen else ""
        made.append(f'<a href="{esc(href(path, others))}"{on}>{esc(total[0])} <b>{total[1]:,}</b></a>')
    for value, label, count in counts:
        tone = words.state((tones or {}).get(value, value)).tone
        is_on = value == chosen
        target = href(path, {**others, name: None if is_on else value})
        cls = f"c-{tone}" + (" on" if is_on else "") + ("" if count or is_on else " zero")
        current = ' aria-current="true"' if is_on else ""
        made.append(f'<a href="{esc(target)}" class="{cls}"{current}><i></i>{esc(label)} <b>{count:,}</b></a>')
    st.html(f'<nav class="chips" aria-label="Filter by {esc(name)}">{"".join(made)}</nav>')
