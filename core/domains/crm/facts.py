"""What agents may know of the pipeline. Few named deals and the counts behind them, so that a prompt stays small."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from core.config import get_settings
from core.domains.crm import links, queries, rules
from core.domains.crm.queries import DealFilter, DealList, DealRow
from core.domains.crm.queries import moves as moved
from core.kit import money
from core.kit.dates import show_day, show_local_day, week_before
from core.runtime.agents.facts import MAX_ROWS, FactContext, Section, section
from core.runtime.agents.section_builder import SectionBuilder

LISTED = 5
"""How many deals a section names; the rest are behind the count."""
_STAGES_LISTED = 6
_OPEN = DealFilter(status="open")


def deal_rows(found: Sequence[DealRow], when: FactContext) -> list[dict[str, Any]]:
    """Deals as the rows behind a fact, in words a person reads."""
    return [
        {
            "deal": d.title, "account": d.account or "–", "owner": d.owner or "nobody", "stage": d.stage,
            "value": money.show(d.value_minor, d.currency), "days in stage": d.days_in_stage, "days quiet": d.days_quiet,
            "last activity": show_local_day(d.last_activity_at, when.zone),
            "expected close": show_day(d.expected_close_on) if d.expected_close_on else "–",
            "href": links.deal(d.id), "id": d.id,
        }
        for d in found
    ]  # fmt: skip


def _value(built: SectionBuilder, name: str, label: str, row: DealRow, rows: list[dict[str, Any]]) -> str:
    href = links.deal(row.id)
    if row.value_minor is None:
        return built.text(name, label, "no value yet", rows, href=href)
    return built.money(name, label, row.value_minor, rows, currency=row.currency, row_count=1, href=href)


def _rest(built: SectionBuilder, total: int, named: int) -> None:
    if total > named:
        rest = built.count("more", "Further deals of this list, not named", total - named, (), noun="deal", row_count=0)
        built.line(f"- and {rest} more.")


def _other_currency(built: SectionBuilder, deals: int) -> None:
    """Say that a value leaves deals out, where it does: amounts of different currencies are never added up."""
    if deals:
        other = built.count("other_currency", "Deals in another currency, not in the value", deals, (), noun="deal", row_count=0)
        built.line(f"- not in that value: {other} in another currency than {get_settings().currency}.")


def _head(built: SectionBuilder, found: DealList, label: str, when: FactContext) -> tuple[str, str]:
    """The count and the value of a list, both with its first deals behind them."""
    rows = deal_rows(found.deals, when)
    count = built.count("count", label, found.total, rows, noun="deal", row_count=found.total)
    value = built.money(
        "value", f"{label}: value", found.value_minor, rows, currency=get_settings().currency, row_count=found.total
    )  # fmt: skip
    return count, value


@section("crm.pipeline_summary", "Pipeline", "Open deals and their value by stage, and what moved yesterday.")
def pipeline_summary(session: Session, when: FactContext) -> Section:
    """Open deals, their value, the stages they are in, and the moves of yesterday."""
    built = SectionBuilder("crm.pipeline_summary", "Pipeline", query="crm.queries.pipeline_by_stage", href=links.pipeline(_OPEN))
    currency = get_settings().currency
    stages = [s for s in queries.pipeline_by_stage(session, _OPEN, now=when.now) if s.stage.status == "open" and s.deals]
    rows: list[dict[str, Any]] = [
        {
            "stage": s.stage.name, "deals": s.deals, "value": money.show(s.value_minor, currency), "quiet": s.quiet,
            "past close date": s.overdue, "no value": s.zero_value,
            "href": links.pipeline(DealFilter(status="open", stage_ids=(s.stage.id,))),
        }
        for s in stages
    ]  # fmt: skip
    total = built.count("open", "Open deals", sum(s.deals for s in stages), rows, noun="open deal", row_count=len(rows))
    value = built.money(
        "value", "Value of open deals", sum(s.value_minor for s in stages), rows, currency=currency, row_count=len(rows)
    )  # fmt: skip
    yesterday = when.today - timedelta(days=1)
    moves = moved.between(session, yesterday, yesterday, limit=MAX_ROWS)
    moves_rows = [m.as_row() for m in moves.moves]
    count = built.count(
        "moved", "Deals that changed stage yesterday", moves.deals, moves_rows, noun="deal", row_count=moves.deals,
        query="crm.queries.moves.between", href="/activity?kind=deals",
    )  # fmt: skip
    built.line(f"The pipeline holds {total} worth {value}; {count} changed stage yesterday.")
    _other_currency(built, sum(s.other_currency for s in stages))
    for number, (s, row) in enumerate(zip(stages[:_STAGES_LISTED], rows, strict=False), start=1):
        label = f"Stage {number}"
        name = built.text(f"stage{number}", label, s.stage.name, [row], href=row["href"])
        deals = built.count(f"stage{number}.deals", f"{label}: deals", s.deals, [row], noun="deal", row_count=1, href=row["href"])
        worth = built.money(
            f"stage{number}.value", f"{label}: value", s.value_minor, [row], currency=currency, row_count=1, href=row["href"]
        )  # fmt: skip
        built.line(f"- {name}: {deals} worth {worth}")
    quiet = built.count(
        "quiet", "Open deals without recent activity", sum(s.quiet for s in stages), rows, noun="deal", row_count=len(rows),
        href=links.pipeline(DealFilter(only="quiet")),
    )  # fmt: skip
    overdue = built.count(
        "overdue", "Open deals past their close date", sum(s.overdue for s in stages), rows, noun="deal", row_count=len(rows),
        href=links.pipeline(DealFilter(only="overdue")),
    )  # fmt: skip
    built.line(f"{quiet} without recent activity, {overdue} past the expected close date.")
    return built.build()


@section("crm.quiet_deals", "Quiet deals", "Open deals without activity for a week or longer.")
def quiet_deals(session: Session, when: FactContext) -> Section:
    """The most valuable open deals nobody has touched for `rules.QUIET_DAYS`."""
    built = SectionBuilder(
        "crm.quiet_deals", "Quiet deals", query="crm.queries.quiet", href=links.pipeline(DealFilter(only="quiet"))
    )
    found = queries.quiet(session, limit=MAX_ROWS, now=when.now)
    count, value = _head(built, found, "Quiet deals", when)
    after = built.duration("after", "A deal is quiet after", rules.QUIET_DAYS, "days")
    built.line(f"{count} without activity for {after} or longer, worth {value} together.")
    _other_currency(built, found.other_currency)
    for number, d in enumerate(found.deals[:LISTED], start=1):
        rows, href, label = deal_rows([d], when), links.deal(d.id), f"Quiet deal {number}"
        title = built.text(f"deal{number}", label, d.title, rows, href=href)
        worth = _value(built, f"deal{number}.value", f"{label}: value", d, rows)
        owner = built.text(f"deal{number}.owner", f"{label}: owner", d.owner or "nobody", rows, href=href)
        if d.days_quiet is None:
            built.line(f"- {title} of {owner}, {worth}, no activity on record")
        else:
            silent = built.duration(f"deal{number}.quiet", f"{label}: quiet for", d.days_quiet, "days", rows, href=href)
            built.line(f"- {title} of {owner}, {worth}, quiet for {silent}")
    _rest(built, found.total, LISTED)
    return built.build()


@section("crm.overdue_close", "Overdue close dates", "Open deals whose expected close date has passed.")
def overdue_close(session: Session, when: FactContext) -> Section:
    """Open deals past their expected close date, the most valuable by name, for Tony to close or date anew."""
    built = SectionBuilder(
        "crm.overdue_close", "Overdue close dates", query="crm.queries.overdue_close",
        href=links.pipeline(DealFilter(only="overdue")),
    )  # fmt: skip
    found = queries.overdue_close(session, limit=MAX_ROWS, now=when.now)
    count, value = _head(built, found, "Deals past their close date", when)
    built.line(f"{count} past the expected close date, worth {value} together, for Tony to close or date anew.")
    _other_currency(built, found.other_currency)
    for number, d in enumerate(found.deals[:LISTED], start=1):
        if d.expected_close_on is None:
            continue
        rows, href, label = deal_rows([d], when), links.deal(d.id), f"Overdue deal {number}"
        title = built.text(f"deal{number}", label, d.title, rows, href=href)
        worth = _value(built, f"deal{number}.value", f"{label}: value", d, rows)
        owner = built.text(f"deal{number}.owner", f"{label}: owner", d.owner or "nobody", rows, href=href)
        due = built.day(f"deal{number}.due", f"{label}: expected close", d.expected_close_on, rows, href=href)
        built.line(f"- {title} of {owner}, {worth}, expected to close on {due}")
    _rest(built, found.total, LISTED)
    return built.build()


@section("crm.zero_value", "Deals without a value", "Open deals that say zero or nothing about their value.")
def zero_value(session: Session, when: FactContext) -> Section:
    """Open deals with no value, for Tony to fill in."""
    built = SectionBuilder(
        "crm.zero_value", "Deals without a value", query="crm.queries.zero_value", href=links.pipeline(DealFilter(only="zero"))
    )
    found = queries.zero_value(session, limit=MAX_ROWS, now=when.now)
    rows = deal_rows(found.deals, when)
    count = built.count("count", "Deals without a value", found.total, rows, noun="deal", row_count=found.total)
    built.line(f"{count} without a value, for Tony to fill in.")
    for number, d in enumerate(found.deals[:LISTED], start=1):
        row, href, label = deal_rows([d], when), links.deal(d.id), f"Deal without a value {number}"
        title = built.text(f"deal{number}", label, d.title, row, href=href)
        owner = built.text(f"deal{number}.owner", f"{label}: owner", d.owner or "nobody", row, href=href)
        stage = built.text(f"deal{number}.stage", f"{label}: stage", d.stage, row, href=href)
        built.line(f"- {title} of {owner}, in {stage}")
    _rest(built, found.total, LISTED)
    return built.build()


@section("crm.top_to_close", "Most likely to close this week", "The open deals with the best chance, and why.")
def top_to_close(session: Session, when: FactContext) -> Section:
    """The three open deals most likely to close this week, with their score and the reasons for it."""
    built = SectionBuilder(
        "crm.top_to_close", "Most likely to close this week", query="crm.queries.top_to_close", href=links.pipeline(_OPEN)
    )
    found = queries.top_to_close(session, limit=3, now=when.now)
    built.line("These open deals have the best chance, the best first:" if found else "There is no open deal.")
    for number, likely in enumerate(found, start=1):
        d, href, label = likely.deal, links.deal(likely.deal.id), f"Likely deal {number}"
        parts = {
            "points for the stage": round(likely.score.stage), "points for the close date": round(likely.score.close),
            "points for activity": round(likely.score.activity), "points for age": round(likely.score.cycle),
        }  # fmt: skip
        rows = [row | {"score": likely.score.total, **parts} for row in deal_rows([d], when)]
        title = built.text(f"deal{number}", label, d.title, rows, href=href)
        worth = _value(built, f"deal{number}.value", f"{label}: value", d, rows)
        owner = built.text(f"deal{number}.owner", f"{label}: owner", d.owner or "nobody", rows, href=href)
        points = built.count(
            f"deal{number}.score", f"{label}: score out of 100", likely.score.total, rows, row_count=1, href=href
        )  # fmt: skip
        why = built.text(f"deal{number}.why", f"{label}: why", "; ".join(likely.reasons), rows, href=href)
        built.line(f"- {title} of {owner}, {worth}, score {points}: {why}")
    return built.build()


@section("crm.week", "Deals last week", "New, won and lost deals of last week, and how the pipeline's value changed.")
def week(session: Session, when: FactContext) -> Section:
    """Last week's new, won and lost deals beside the week before, and the open value now beside the week's start."""
    period = week_before(when.today)
    built = SectionBuilder(
        "crm.week", "Deals last week", query="crm.queries.totals", href=links.pipeline(),
        params={"first": period.first.isoformat(), "last": period.last.isoformat()},
    )  # fmt: skip
    totals = queries.totals(session, period.first, period.last)
    now, before, currency = totals.current, totals.previous, get_settings().currency
    opened = links.pipeline(DealFilter(opened_from=period.first, opened_to=period.last))
    won_link = links.pipeline(DealFilter(status="won", closed_from=period.first, closed_to=period.last))
    lost_link = links.pipeline(DealFilter(status="lost", closed_from=period.first, closed_to=period.last))
    rows = [
        {
            "week": f"{show_day(a.first)} – {show_day(a.last)}", "new": a.new, "new value": money.show(a.new_minor, currency),
            "won": a.won, "won value": money.show(a.won_minor, currency), "lost": a.lost,
        }
        for a in (now, before)
    ]  # fmt: skip
    new = built.count("new", "New deals last week", now.new, rows, noun="new deal", href=opened)
    new_before = built.count("new_before", "New deals the week before", before.new, rows)
    won = built.count("won", "Deals won last week", now.won, rows, noun="deal", href=won_link)
    won_value = built.money("won_value", "Value won last week", now.won_minor, rows, currency=currency, href=won_link)
    won_before = built.money("won_before", "Value won the week before", before.won_minor, rows, currency=currency)
    lost = built.count("lost", "Deals lost last week", now.lost, rows, href=lost_link)
    value = built.money(
        "value", "Open pipeline value now", totals.open_minor, rows, currency=currency, href=links.pipeline(_OPEN)
    )  # fmt: skip
    change = totals.open_minor - totals.open_before_minor
    moved_by = built.money("value_change", "Change of the open pipeline's value", abs(change), rows, currency=currency)
    built.line(f"{new} against {new_before} the week before.")
    built.line(f"{won} won for {won_value} against {won_before} the week before; {lost} lost.")
    direction = "unchanged" if change == 0 else f"{'up' if change > 0 else 'down'} {moved_by} on the week before"
    built.line(f"The open pipeline is worth {value}, {direction}.")
    return built.build()
