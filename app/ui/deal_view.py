"""One deal for people: its figures, its way through the stages, its account and what was drafted about it."""

from collections.abc import Sequence

import streamlit as st

from app.ui import page, words
from app.ui.words import esc
from core.domains.crm.queries import DealDetail, HistoryItem
from core.domains.drafts.queries import DraftRow


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
        ("Id", f"{detail.external_id} ({detail.source})"),
    ]
    st.html(
        '<div class="facts">' + "".join(f"<span><small>{esc(k)}</small><b>{esc(v)}</b></span>" for k, v in parts if v) + "</div>"
    )


def way(detail: DealDetail) -> None:
    """Stages as segments of a bar, as long as the deal stayed in each."""
    if not detail.history:
        page.empty("No stage history", "The source did not say when the deal entered its stages.")
        return
    st.html(f'<ol class="way">{"".join(_segment(h, n, detail) for h, n in _spans(detail.history))}</ol>')


def _spans(history: Sequence[HistoryItem]) -> list[tuple[HistoryItem, HistoryItem | None]]:
    ordered = sorted(history, key=lambda h: h.at)
    return list(zip(ordered, [*ordered[1:], None], strict=True))


def _segment(item: HistoryItem, following: HistoryItem | None, detail: DealDetail) -> str:
    ended = item.status != "open"
    if following is not None:
        days: float | None = (following.at - item.at).total_seconds() / 86400
    else:
        days = None if ended else float(detail.deal.days_in_stage or 0)
    tone = words.state(item.status).tone
    length = "" if days is None else words.many(round(days), "day")
    grow = 1.0 if days is None else max(1.0, min(days, 120.0))
    return (
        f'<li class="c-{tone}" style="flex-grow:{grow:.1f}"><b>{esc(item.stage)}</b><span>{esc(length)}</span>'
        f'<small title="{esc(words.when(item.at))}">{esc(words.date_text(item.at.astimezone(words.zone()).date()))}</small></li>'
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
    inner = "".join(f"<dt>{esc(k)}</dt><dd>{esc(v)}</dd>" for k, v in parts if v)
    st.html(f'<div class="card"><h2>Account</h2><dl class="kv">{inner}</dl></div>')


def drafts_card(written: Sequence[DraftRow]) -> None:
    """What agents drafted about the deal; nothing of it has been sent."""
    if not written:
        said = "<li><span>No draft. Sales AI writes one when the deal has been quiet for a week.</span></li>"
        st.html(f'<div class="card"><h2>Follow-up drafts</h2><ul class="rows">{said}</ul></div>')
        return
    with st.container(border=True):
        page.section("Follow-up drafts", "not sent; yours to use")
        for draft in written[:3]:
            with st.expander(f"{draft.title} · {words.ago(draft.created_at)}"):
                st.html(f'<div class="draft">{esc(draft.body)}</div>')
                writer = "a template" if draft.composer == "template" else draft.composer
                st.caption(f"Written by {writer}." + (f" [Run {draft.run_id}](/run?run={draft.run_id})" if draft.run_id else ""))
