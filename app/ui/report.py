"""An agent's report: prose in which every number opens the rows it came from."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import streamlit as st

from app.ui import words
from app.ui.words import esc
from core.runtime.agents.prose import Block, Segment
from core.runtime.agents.queries import FactDetail, FactLine, Report


def show(report: Report) -> None:
    """The report with its byline."""
    st.html(f'<article class="report">{html(report.blocks, report.run_id)}</article>{_byline(report)}')


def html(blocks: Sequence[Block], run_id: int) -> str:
    """The blocks as HTML; numbers are links to `?run=ID&fact=KEY`."""
    out: list[str] = []
    listing: str | None = None
    for block in blocks:
        wanted = None if block.kind != "item" else ("ul" if block.number is None else "ol")
        if listing and wanted != listing:
            out.append(f"</{listing}>")
            listing = None
        text = "".join(_segment(s, run_id) for s in block.segments)
        if block.kind == "heading":
            out.append(f"<h3>{text}</h3>")
        elif wanted:
            if listing is None:
                out.append(f"<{wanted}>")
                listing = wanted
            level = f' style="margin-left:{18 * block.level}px"' if block.level else ""
            value = f' value="{block.number}"' if block.number is not None else ""
            out.append(f"<li{value}{level}>{text}</li>")
        else:
            out.append(f"<p>{text}</p>")
    if listing:
        out.append(f"</{listing}>")
    return "".join(out)


def _segment(segment: Segment, run_id: int) -> str:
    text = esc(segment.text)
    if segment.key:
        where = f"/run?run={run_id}&amp;fact={quote(segment.key)}"
        text = f'<a class="fact" href="{where}" title="Show the rows behind this">{text}</a>'
    return f"<strong>{text}</strong>" if segment.strong else text


def _byline(report: Report) -> str:
    who = "Written from the facts by a template" if report.composer == "template" else f"Written by {esc(report.composer)}"
    checked = "every number in it is a cited fact"
    note = f" {esc(report.note)}" if report.note else ""
    return (
        f'<p class="byline">{who}, {checked}. Facts as of '
        f'<time title="{esc(words.when(report.as_of))}">{esc(words.soon(report.as_of))}</time>.{note}</p>'
    )


def forget() -> None:
    """Take the fact out of the address."""
    st.query_params.pop("fact", None)


@st.dialog("Where this comes from", width=860, on_dismiss=forget)
def _opened(fact: FactDetail) -> None:
    st.html(
        f'<div class="factbox"><b>{esc(fact.shown)}</b><span>{esc(fact.label)}</span></div>'
        f'<p class="byline">As of {esc(words.when(fact.as_of))} · found by <code>{esc(fact.query)}</code></p>'
    )
    if not fact.rows:
        st.html('<div class="blank"><b>No rows</b>The figure counts nothing, or comes from a total.</div>')
    else:
        st.html(rows_html(fact.rows))
        if fact.row_count > len(fact.rows):
            st.caption(f"The first {len(fact.rows)} of {words.many(fact.row_count, 'row')}.")
    if fact.href:
        st.html(f'<p class="chips"><a href="{esc(fact.href)}">Open the whole list as it is now</a></p>')


def rows_html(rows: Sequence[dict[str, Any]]) -> str:
    """Rows kept with a fact as a table: names made readable, ids linked where we have a page for them."""
    # JSON kept in the database has lost its order: what names a row goes first, figures go last
    known = dict.fromkeys(k for r in rows for k in r)
    columns = sorted(known, key=lambda c: _place(c, [r.get(c) for r in rows]))
    links = {"deal_id": "/deal?deal=", "run_id": "/run?run="}
    # ids carry the links; as columns of their own they would be noise
    shown = [c for c in columns if c not in ("id", "href", "currency") and not c.endswith("_id")] or columns
    head = "".join(f"<th>{esc(_name(c))}</th>" for c in shown)
    body = []
    for row in rows:
        target = row.get("href") or next((p + str(row[k]) for k, p in links.items() if row.get(k)), None)
        cells = []
        for index, column in enumerate(shown):
            text = esc(_value(column, row.get(column), str(row.get("currency") or "USD")))
            if index == 0 and target:
                text = f'<a href="{esc(target)}">{text}</a>'
            cells.append(f"<td{' class=n' if isinstance(row.get(column), int | float) else ''}>{text}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="scroll"><table class="plain"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


_NAMES = ("title", "name", "deal", "stage", "ticket", "client", "account", "owner", "status", "day", "month")


def _place(column: str, values: Sequence[Any]) -> tuple[int, int]:
    if column in _NAMES:
        return 0, _NAMES.index(column)
    return (2 if any(isinstance(v, int | float) for v in values) else 1), 0


def _name(column: str) -> str:
    return column.removesuffix("_minor").removesuffix("_on").removesuffix("_at").replace("_", " ").capitalize()


def _value(column: str, value: Any, currency: str) -> str:
    if value is None:
        return "–"
    if column.endswith("_minor") and isinstance(value, int):
        return words.amount(value, currency)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, str) and (column.endswith(("_at", "_on")) or column == "at"):
        return words.from_iso(value)
    return str(value)


def open_fact(fact: FactDetail) -> None:
    """Show what is behind a figure."""
    _opened(fact)


def facts_html(facts: Sequence[FactLine], run_id: int) -> str:
    """Every fact the run knew, by section."""
    sections: dict[str, list[FactLine]] = {}
    for fact in facts:
        sections.setdefault(fact.section, []).append(fact)
    out = []
    for name, inside in sections.items():
        items = "".join(
            f'<li><span>{esc(f.label)}</span><a href="/run?run={run_id}&amp;fact={quote(f.key)}">{esc(f.shown)}</a></li>'
            for f in inside
        )
        out.append(f'<div class="card"><h2>{esc(_name(name.rpartition(".")[2]))}</h2><ul class="rows">{items}</ul></div>')
    return f'<div class="cols">{"".join(out)}</div>'
