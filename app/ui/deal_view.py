"""One deal for people: its figures, its way through the stages, its account and what was drafted about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import streamlit as st

from app.ui import page, words
from app.ui.words import esc
from core.domains.crm.queries import DealDetail
from core.domains.drafts.queries import DraftRow

DRAFTS_SHOWN = 5
SOURCES = {"csv": "from a file", "pipedrive": "from Pipedrive", "manual": "added by hand"}


def where_it_stands(detail: DealDetail) -> str:
    """One sentence under the title."""
    deal = detail.deal
    if deal.status != "open":
        closed = f" on {words.date_text(deal.closed_at.astimezone(words.zone()).date())}" if deal.closed_at else ""
        return f"{words.state(deal.status).word}{closed}."
    parts = []
    if deal.days_in_stage is not None:
        parts.append(f"in {deal.stage} for {words.many(deal.days_in_stage, 'day')}")
    if deal.expected_close_on:
        late = (words.today() - deal.expected_close_on).days
        parts.append(
            f"close date passed {words.many(late, 'day')} ago"
            if late > 0
            else f"expected to close {words.date_text(deal.expected_close_on)}"
        )
    if deal.days_quiet is not None:
        parts.append("active today" if deal.days_quiet <= 0 else f"no activity for {words.many(deal.days_quiet, 'day')}")
    said = ", ".join(parts)
    return said[:1].upper() + said[1:] + "." if said else "Its source gives no dates."


def figures(detail: DealDetail) -> None:
    """The line of facts."""
    deal = detail.deal
    parts = [
        ("Value", words.amount(deal.value_minor, deal.currency) if deal.value_minor is not None else "not given"),
        ("Owner", deal.owner or "nobody"),
        ("Product", detail.product),
        ("Contact", " · ".join(p for p in (detail.contact_name, detail.contact_email) if p) or None),
        ("Opened", words.date_text(deal.opened_at.astimezone(words.zone()).date()) if deal.opened_at else None),
        ("Last activity", words.ago(deal.last_activity_at) if deal.last_activity_at else None),
        ("Id", None if detail.demo else f"{words.short(detail.external_id, 60)}, {SOURCES.get(detail.source, detail.source)}"),
    ]
    st.html(
        '<div class="facts">'
        + "".join(f"<span><small>{esc(k)}</small><b>{esc(words.short(v))}</b></span>" for k, v in parts if v)
        + "</div>"
    )


@dataclass(slots=True)
class Span:
    """A stage the deal was in: since when and for how many days, None where its source does not say."""

    stage: str
    status: str
    at: datetime | None
    days: float | None = None


def way(detail: DealDetail) -> None:
    """Stages as segments of a bar, as long as the deal stayed in each."""
    if not detail.history:
        page.empty("No stage history", "The source did not say when the deal entered its stages.")
        return
    st.html(f'<ol class="way">{"".join(_segment(s) for s in spans(detail))}</ol>')


def spans(detail: DealDetail) -> list[Span]:
    """The stages in order. An export mostly dates only the first and the last: what lies between is there without a date."""
    made: list[Span] = []
    for change in sorted(detail.history, key=lambda h: h.at):
        if change.previous and (not made or made[-1].stage != change.previous):
            made.append(Span(change.previous, "open", None, change.days_in_previous))
        elif made and (since := made[-1].at):
            made[-1].days = (change.at - since).total_seconds() / 86400
        made.append(Span(change.stage, change.status, change.at))
    deal = detail.deal
    if made[-1].stage != deal.stage:
        made.append(Span(deal.stage, deal.status, None))
    elif deal.status == "open":
        made[-1].days = float(deal.days_in_stage or 0)
    return made


def _segment(span: Span) -> str:
    tone = words.state(span.status).tone
    length = "" if span.days is None else words.many(round(span.days), "day")
    grow = 1.0 if span.days is None else max(1.0, min(span.days, 120.0))
    since = "date not known"
    if span.at is not None:
        since = words.date_text(span.at.astimezone(words.zone()).date())
    return (
        f'<li class="c-{tone}" style="flex-grow:{grow:.1f}"><b>{esc(words.short(span.stage, 40))}</b><span>{esc(length)}</span>'
        f'<small title="{esc(words.when(span.at))}">{esc(since)}</small></li>'
    )


def account_card(detail: DealDetail) -> None:
    """The company, and what it has bought."""
    a = detail.account
    if a is None:
        st.html(
            '<div class="card"><h2>Account</h2><ul class="rows"><li><span>The source names no account.</span></li></ul></div>'
        )
        return
    parts = [
        ("Name", a.name),
        ("Industry", a.industry),
        ("People", f"{a.employees:,}" if a.employees else None),
        ("Country", a.country),
        ("Website", a.website),
        ("Deals", f"{a.deals:,}, of which {a.open:,} open and {a.won:,} won"),
        ("Bought", words.amount(a.won_minor)),
    ]
    inner = "".join(f"<dt>{esc(k)}</dt><dd>{esc(words.short(v))}</dd>" for k, v in parts if v)
    st.html(f'<div class="card"><h2>Account</h2><dl class="kv">{inner}</dl></div>')


def drafts_card(written: Sequence[DraftRow]) -> None:
    """What agents drafted about the deal; nothing of it has been sent."""
    items = "".join(_draft(d) for d in written[:DRAFTS_SHOWN])
    blank = "<p>No draft yet. Sales AI writes one when the deal has been quiet for a week.</p>"
    note = "<small>not sent; yours to use</small>" if written else ""
    st.html(f'<div class="card"><div class="top"><h2>Follow-up drafts</h2>{note}</div>{items or blank}</div>')


def _draft(draft: DraftRow) -> str:
    writer = "a template" if draft.composer == "template" else draft.composer
    run = f', <a href="/run?run={draft.run_id}">run #{draft.run_id}</a>' if draft.run_id else ""
    head = f"{esc(words.short(draft.title))}<small>{esc(words.ago(draft.created_at))}</small>"
    return (
        f'<details class="fold"><summary>{head}</summary>'
        f'<div class="draft">{esc(draft.body)}</div><p class="byline">Written by {esc(writer)}{run}</p></details>'
    )
