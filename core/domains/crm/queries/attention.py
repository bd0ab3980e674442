# ruff: noqa: S608  (statements are put together from constants of ours; every value is a bound parameter)
"""What needs somebody: stuck deals with why now, quiet ones, and the ones most likely to close."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.domains.crm import rules
from core.domains.crm.models import VALUE_KEY
from core.domains.crm.queries import deals, pipeline
from core.domains.crm.queries.deals import DealList, DealRow
from core.domains.crm.queries.filters import CONDITIONS, DealFilter, base_params
from core.kit import money

_EVERYTHING = DealFilter()


@dataclass(frozen=True, slots=True)
class StuckDeal:
    """A stuck deal and the parts of the sentence that says why it needs somebody now."""

    deal: DealRow
    why_now: list[str]


@dataclass(frozen=True, slots=True)
class StuckList:
    """The first stuck deals, and how many and what value there are in all."""

    deals: list[StuckDeal]
    total: int
    value_minor: int


@dataclass(frozen=True, slots=True)
class LikelyDeal:
    """A deal likely to close: its score out of 100, the parts of it, and the reasons in words."""

    deal: DealRow
    score: rules.Score
    reasons: list[str]


def _pace_values(paces: Mapping[int, rules.Pace], stage_ids: list[int]) -> dict[str, Any]:
    return {
        "pace_stages": stage_ids,
        "pace_days": [paces[i].stuck_after if i in paces else float(rules.STUCK_DAYS) for i in stage_ids],
    }


def stuck(
    session: Session, f: DealFilter = _EVERYTHING, limit: int = 20, *, paces: Mapping[int, rules.Pace] | None = None,
    now: datetime | None = None,
) -> StuckList:  # fmt: skip
    """Open deals that are quiet AND longer in their stage than three quarters of deals stay, most valuable first.

    `paces` may be handed in by a page that has them already.
    """
    known = paces if paces is not None else pipeline.stage_pace(session, now=now)
    open_ids = [s.id for s in pipeline.stages(session) if s.status == "open"]
    where, params = f.where(but="status")
    found = session.execute(
        text(
            f"WITH hit AS (SELECT d.* FROM deals d JOIN unnest(CAST(:pace_stages AS int8[]), CAST(:pace_days AS float8[])) "
            f"AS p(stage_id, days) ON p.stage_id = d.stage_id WHERE {CONDITIONS['quiet']} "
            "AND :now - coalesce(d.stage_since, d.opened_at) > p.days * interval '1 day' "
            f"AND {where}), top AS (SELECT * FROM hit ORDER BY {VALUE_KEY} DESC, id DESC LIMIT :limit) "
            f"SELECT {deals.ROW}, t.total, t.value FROM top d {deals.JOINS} CROSS JOIN "
            "(SELECT count(*) AS total, coalesce(sum(value_minor) FILTER (WHERE currency = :currency), 0) AS value FROM hit) t "
            f"ORDER BY {VALUE_KEY} DESC, d.id DESC"
        ),
        base_params(now) | params | _pace_values(known, open_ids) | {"limit": limit},
    ).all()
    made = []
    for r in found:
        row = deals.to_row(r)
        pace = known.get(row.stage_id, rules.Pace(0, 0, 0))
        value = money.show(row.value_minor, row.currency) if row.value_minor else None
        made.append(StuckDeal(row, rules.why_stuck(row.stage, row.days_in_stage, pace, row.days_quiet, value)))
    return StuckList(made, found[0].total if found else 0, int(found[0].value) if found else 0)


def quiet(session: Session, f: DealFilter = _EVERYTHING, limit: int = 20, *, now: datetime | None = None) -> DealList:
    """Open deals without activity for QUIET_DAYS or more, most valuable first."""
    return deals.list_of(session, replace(f, only="quiet", status="open"), limit=limit, now=now)


def overdue_close(session: Session, f: DealFilter = _EVERYTHING, limit: int = 20, *, now: datetime | None = None) -> DealList:
    """Open deals whose expected close date has passed, most valuable first."""
    return deals.list_of(session, replace(f, only="overdue", status="open"), limit=limit, now=now)


def zero_value(session: Session, f: DealFilter = _EVERYTHING, limit: int = 20, *, now: datetime | None = None) -> DealList:
    """Open deals with no value or a value of zero."""
    return deals.list_of(session, replace(f, only="zero", status="open"), limit=limit, now=now)


def _steps(expression: str, steps: tuple[tuple[int, int], ...]) -> str:
    return "CASE " + " ".join(f"WHEN {expression} <= {days} THEN {points}" for days, points in steps) + " ELSE 0 END"


_TO_CLOSE = "(d.expected_close_on - CAST(:today AS date))"
_QUIET_FOR = "extract(day FROM :now - d.last_activity_at)"
_AGE = "extract(day FROM :now - d.opened_at)"
# the same points as rules.score, so that the database can pick the few best of many; a test holds the two together
_SCORE = (
    f"{rules.STAGE_POINTS} * w.percent / 100.0"
    f" + CASE WHEN {_TO_CLOSE} IS NULL THEN 0"
    f" WHEN {_TO_CLOSE} < 0 THEN CASE WHEN -{_TO_CLOSE} <= {rules.OVERDUE_POINTS[0]} THEN {rules.OVERDUE_POINTS[1]} ELSE 0 END"
    f" ELSE {_steps(_TO_CLOSE, rules.CLOSE_POINTS)} END"
    f" + CASE WHEN d.last_activity_at IS NULL THEN 0 ELSE {_steps(f'greatest(0, {_QUIET_FOR})', rules.ACTIVITY_POINTS)} END"
    f" + CASE WHEN {_AGE} <= CAST(:cycle AS float8) THEN {rules.CYCLE_POINTS} ELSE 0 END"
)


def top_to_close(
    session: Session, f: DealFilter = _EVERYTHING, limit: int = 3, *, weights: Mapping[int, rules.Weight] | None = None,
    cycle_days: float | None = None, now: datetime | None = None,
) -> list[LikelyDeal]:  # fmt: skip
    """The open deals most likely to close this week, best first; equal scores by value.

    `weights` and `cycle_days` (usual age at winning) may be handed in by a page that has them already.
    """
    known = weights if weights is not None else pipeline.weights(pipeline.stage_conversion(session))
    cycle = cycle_days if cycle_days is not None else pipeline.usual_cycle_days(session, now=now)
    where, params = f.where(but="status")
    values = base_params(now) | params
    values |= {
        "weight_stages": list(known),
        "weight_percents": [w.percent for w in known.values()],
        "cycle": cycle,
        "limit": limit,
    }
    found = session.execute(
        text(
            f"SELECT {deals.ROW}, CAST({_AGE} AS int) AS age FROM ("
            f"  SELECT d.*, {_SCORE} AS points FROM deals d "
            "  JOIN unnest(CAST(:weight_stages AS int8[]), CAST(:weight_percents AS float8[])) AS w(stage_id, percent) "
            f"  ON w.stage_id = d.stage_id WHERE d.status = 'open' AND {where} "
            f"  ORDER BY points DESC, {VALUE_KEY} DESC, d.id LIMIT :limit"
            f") d {deals.JOINS} ORDER BY d.points DESC, {VALUE_KEY} DESC, d.id"
        ),
        values,
    ).all()
    made = []
    for r in found:
        row = deals.to_row(r)
        to_close = (row.expected_close_on - values["today"]).days if row.expected_close_on else None
        quiet_for = None if row.days_quiet is None else max(0, row.days_quiet)
        percent = known[row.stage_id].percent
        parts = rules.score(percent, to_close, quiet_for, r.age, cycle)
        made.append(LikelyDeal(row, parts, rules.why_likely(percent, row.stage, to_close, quiet_for, parts)))
    return made
