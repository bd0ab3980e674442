"""The pipeline for people: its read models cached by the pipeline's version, its tiles, lists and charts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import streamlit as st

from app.ui import chips, page, table, words
from app.ui.chips import Chip
from app.ui.table import Column, Row
from app.ui.words import esc
from core.domains.crm import queries
from core.domains.crm.queries import (
    Conversion,
    DealFilter,
    DealRow,
    Forecast,
    LikelyDeal,
    OwnerInfo,
    StageAges,
    StageTotal,
    StuckList,
    Totals,
)
from core.kit import clock, db
from core.kit.db import STAFF

PERIODS = {"30 d": 30, "90 d": 90, "12 mo": 365}
USUAL = "90 d"
STUCK_SHOWN, LIKELY_SHOWN = 4, 3
COLUMNS = (
    Column("Deal", "text", phone="first"),
    Column("Stage", "text", phone="corner", width="130px"),
    Column("Value", "money", phone="label", align="end", width="110px"),
    Column("Owner", "text", phone="label", width="150px"),
    Column("In stage", "number", phone="label", align="end", width="90px"),
    Column("Expected close", "text", phone="label", width="158px"),
    Column("Last activity", "ago", phone="label", width="120px"),
)


@dataclass(frozen=True, slots=True)
class View:
    """Everything above the list of deals."""

    stages: Sequence[StageTotal]
    conversion: Sequence[Conversion]
    ages: Sequence[StageAges]
    forecast: Forecast
    stuck: StuckList
    likely: Sequence[LikelyDeal]
    totals: Totals
    owners: Sequence[OwnerInfo]


def view(f: DealFilter, days: int) -> View:
    """The read models under a filter. Worked out once for each version of the pipeline, filter and hour: deals grow quiet."""
    with db.transaction(STAFF) as session:
        version = f"{queries.pipeline_version(session)}@{clock.now():%d %H}"
    return _view(version, words.today().isoformat(), f, days)


@st.cache_resource(max_entries=64, show_spinner=False)
def _view(version: str, today: str, f: DealFilter, days: int) -> View:
    last = date.fromisoformat(today)
    first = last - timedelta(days=days - 1)
    period = DealFilter(owner_ids=f.owner_ids, opened_from=first, opened_to=last)
    with db.transaction(STAFF) as session:
        everything = queries.stage_conversion(session, DealFilter())
        weights = queries.weights(everything)
        paces = queries.stage_pace(session)
        cycle = queries.usual_cycle_days(session)
        return View(
            queries.pipeline_by_stage(session, f),
            queries.stage_conversion(session, period),
            queries.ageing(session, f),
            queries.forecast(session, f, weights=weights),
            queries.stuck(session, f, STUCK_SHOWN, paces=paces),
            queries.top_to_close(session, f, LIKELY_SHOWN, weights=weights, cycle_days=cycle),
            queries.totals(session, first, last, f),
            queries.owners(session),
        )


def href(f: DealFilter, period: str, **changed: str | None) -> str:
    """The page's address with parts of the filter changed."""
    return chips.href("/pipeline", {**f.to_params(), "period": period if period != USUAL else None, **changed})


def tiles(seen: View, f: DealFilter, period: str) -> None:
    """The figures at the top, each with the period before it."""
    now, was, t = seen.totals.current, seen.totals.previous, seen.totals
    money = words.amount
    overdue = sum(s.overdue for s in seen.stages)
    page.tiles(
        [
            page.tile(
                "Open pipeline", money(t.open_minor, compact=True),
                _before(t.open_minor, t.open_before_minor, words.many(t.open_deals, "deal")),
                href=href(f, period, status="open", show=None, stage=None),
            ),
            page.tile(
                "Forecast, weighted", money(seen.forecast.weighted_minor, compact=True),
                f"of {esc(money(seen.forecast.value_minor, compact=True))} open",
            ),
            page.tile(
                f"Won, last {period}", money(now.won_minor, compact=True),
                _before(now.won_minor, was.won_minor, words.many(now.won, "deal")),
                href=href(f, period, status="won", show=None, stage=None),
            ),
            page.tile(
                f"Win rate, last {period}", "–" if now.win_percent is None else f"{now.win_percent:.0f} %",
                _rate_change(now.win_percent, was.win_percent),
            ),
            page.tile(
                "Stuck", f"{seen.stuck.total:,}", f"{esc(money(seen.stuck.value_minor, compact=True))} at risk",
                tone="red", hot=seen.stuck.total > 0, href=href(f, period, show="quiet", status=None, stage=None),
            ),
            page.tile(
                "Past their close date", f"{overdue:,}", f"of {words.many(t.open_deals, 'open deal')}", tone="amber",
                hot=overdue > 0, href=href(f, period, show="overdue", status=None, stage=None),
            ),
        ]
    )  # fmt: skip


def _before(minor: int, before: int, deals: str) -> str:
    # growth from nothing is no comparison
    return f"{page.change(minor, before, f'from {words.amount(before, compact=True)}')} · {deals}" if before else deals


def _rate_change(now: float | None, was: float | None) -> str:
    if now is None:
        return "No deal was decided"
    if was is None:
        return "No earlier figure"
    return page.change(round(now), round(was), f"from {was:.0f} %")


def needs_you(seen: View, f: DealFilter, period: str) -> None:
    """Stuck deals with why now, beside the ones most likely to close."""
    stuck = "".join(_stuck_item(s.deal, s.why_now) for s in seen.stuck.deals)
    rest = seen.stuck.total - len(seen.stuck.deals)
    if rest > 0:
        more = href(f, period, show="quiet", status=None, stage=None)
        stuck += f'<li><a href="{esc(more)}">{rest:,} more; see all quiet deals</a></li>'
    stuck = stuck or "<li><span>No deal is stuck. Every open deal has moved or been touched lately.</span></li>"
    likely = "".join(_likely_item(one) for one in seen.likely)
    likely = likely or "<li><span>No open deal has enough to go by yet.</span></li>"
    st.html(
        '<div class="cols" style="align-items:stretch">'
        f'<div class="card"><h2>Stuck: somebody has to move</h2><ul class="rows">{stuck}</ul></div>'
        f'<div class="card"><h2>Best chances to close next</h2><ul class="rows">{likely}</ul></div></div>'
    )


def _stuck_item(deal: DealRow, why: Sequence[str]) -> str:
    return (
        f'<li><span><a href="/deal?deal={deal.id}">{esc(words.short(deal.title))}</a>'
        f'<br><small class="why">{esc(_sentence(why))}</small></span>'
        f"<small>{esc(deal.owner or 'nobody')}</small></li>"
    )


def _likely_item(likely: LikelyDeal) -> str:
    deal, s = likely.deal, likely.score
    tip = f"stage {s.stage:.0f}, close date {s.close:.0f}, activity {s.activity:.0f}, cycle {s.cycle:.0f}"
    value = esc(words.amount(deal.value_minor, deal.currency))
    return (
        f'<li><span><a href="/deal?deal={deal.id}">{esc(words.short(deal.title))}</a> · {value}'
        f'<br><small class="why">{esc(_sentence(likely.reasons))}</small></span>'
        f'<small title="{esc(tip)}"><b>{s.total}</b> of 100</small></li>'
    )


def _sentence(parts: Sequence[str]) -> str:
    joined = ", ".join(parts)
    return joined[:1].upper() + joined[1:] + "." if joined else ""


def stage_chips(seen: View, f: DealFilter, period: str) -> None:
    """Stages with their counts, and the lists that need something; each is a link, and one that is on leads back to all."""
    clear = {"stage": None, "status": None, "show": None}
    stage = f.stage_ids[0] if len(f.stage_ids) == 1 else None
    everything = not (f.stage_ids or f.status or f.only)
    open_deals = sum(s.deals for s in seen.stages if s.stage.status == "open")
    only_open = f.status == "open" and stage is None and not f.only

    def chip(label: str, count: int, on: bool, tone: str, **wanted: str) -> Chip:
        return Chip(label, count, href(f, period, **{**clear, **({} if on else wanted)}), on, tone)

    made = [Chip("All deals", sum(s.deals for s in seen.stages), href(f, period, **clear), everything)]
    made.append(chip("Open", open_deals, only_open, "", status="open"))
    for s in seen.stages:
        tone, ended = words.state(s.stage.status).tone, s.stage.status != "open"
        # the tiles ask for all that was won; with one stage that means won it is the same list
        alone = ended and stage is None and f.status == s.stage.status
        made.append(chip(words.short(s.stage.name, 30), s.deals, stage == s.stage.id or alone, tone, stage=str(s.stage.id)))
    needs = [
        chip(said, sum(getattr(s, attr) for s in seen.stages), f.only == key, "amber", show=key) for key, said, attr in NEEDS
    ]
    st.html(chips.links(made, "Filter by stage") + '<div style="height:8px"></div>' + chips.links(needs, "Filter by need"))


NEEDS = (
    ("quiet", "Quiet for a week", "quiet"),
    ("overdue", "Past their close date", "overdue"),
    ("zero", "No value", "zero_value"),
)


def row(deal: DealRow) -> Row:
    """One deal of the list."""
    late = deal.expected_close_on is not None and deal.status == "open" and deal.expected_close_on < words.today()
    cells = [
        table.text(words.short(deal.title), deal.account if deal.account and deal.account not in deal.title else None),
        deal.stage,
        words.amount(deal.value_minor, deal.currency) if deal.value_minor is not None else None,
        deal.owner,
        None if deal.days_in_stage is None else f"{deal.days_in_stage} d",
        _expected(deal, late),
        table.ago(deal.last_activity_at),
    ]
    return Row(deal.id, cells, words.short(deal.title), tone="amber" if late else "", href=f"/deal?deal={deal.id}")


def _expected(deal: DealRow, late: bool) -> str | None:
    if deal.status != "open" and deal.closed_at:
        return f"{words.state(deal.status).word} {words.date_text(deal.closed_at.astimezone(words.zone()).date())}"
    if deal.expected_close_on is None:
        return None
    return words.date_text(deal.expected_close_on) + (", passed" if late else "")
