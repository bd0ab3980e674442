# ruff: noqa: S608  (statements are put together from constants of ours; every value is a bound parameter)
"""What the open pipeline is worth, by month, weighed by what really happened to such deals."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.domains.crm import rules
from core.domains.crm.queries import pipeline
from core.domains.crm.queries.filters import DealFilter, base_params
from core.domains.crm.queries.pipeline import StageInfo


@dataclass(frozen=True, slots=True)
class ForecastMonth:
    """Open deals expected to close in a month: its first day; None for deals without a date. Money in minor units."""

    month: date | None
    overdue: bool
    """Their date has passed; `month` is then the current one."""
    deals: int
    value_minor: int
    weighted_minor: int


@dataclass(frozen=True, slots=True)
class StageWeight:
    """What a stage's deals were weighed by: the chance in percent, and whether it comes from history."""

    stage: StageInfo
    weight: rules.Weight


@dataclass(frozen=True, slots=True)
class Forecast:
    """Months in order, overdue first and undated last, with the weights used. Money in minor units."""

    months: list[ForecastMonth]
    stage_weights: list[StageWeight]
    value_minor: int
    weighted_minor: int

    @property
    def basis(self) -> str:
        """One sentence on what the weights rest on."""
        from_history = [w for w in self.stage_weights if w.weight.from_history]
        if len(from_history) == len(self.stage_weights) and from_history:
            return "Weighted by how many deals that reached each stage were won."
        if not from_history:
            return f"Weighted by the stages' own settings; fewer than {rules.MIN_HISTORY} deals were decided so far."
        names = ", ".join(w.stage.name for w in self.stage_weights if not w.weight.from_history)
        return f"Weighted by win history, except {names}: too few decided deals, so the stage's own setting is used."


def forecast(
    session: Session, f: DealFilter | None = None, *, weights: Mapping[int, rules.Weight] | None = None,
    now: datetime | None = None,
) -> Forecast:  # fmt: skip
    """The open pipeline by month of expected close. `weights` may be handed in by a page that has them already."""
    known = weights if weights is not None else pipeline.weights(pipeline.stage_conversion(session))
    where, params = (f or DealFilter()).where(but="status")
    values = base_params(now) | params
    found = session.execute(
        text(
            "SELECT d.stage_id, CAST(date_trunc('month', greatest(d.expected_close_on, CAST(:today AS date))) AS date) AS month, "
            "d.expected_close_on < :today AS overdue, count(*) AS deals, "
            "coalesce(sum(d.value_minor) FILTER (WHERE d.currency = :currency), 0) AS value "
            f"FROM deals d WHERE d.status = 'open' AND d.expected_close_on IS NOT NULL AND {where} GROUP BY 1, 2, 3 "
            "UNION ALL SELECT d.stage_id, NULL, false, count(*), "
            "coalesce(sum(d.value_minor) FILTER (WHERE d.currency = :currency), 0) "
            f"FROM deals d WHERE d.status = 'open' AND d.expected_close_on IS NULL AND {where} GROUP BY 1"
        ),
        values,
    )
    sums: dict[tuple[bool, date | None], list[float]] = {}
    for row in found:
        entry = sums.setdefault((bool(row.overdue), row.month), [0, 0, 0.0])
        percent = known[row.stage_id].percent if row.stage_id in known else 0.0
        entry[0] += row.deals
        entry[1] += int(row.value)
        entry[2] += int(row.value) * percent / 100
    months = [
        ForecastMonth(month, overdue, int(s[0]), int(s[1]), round(s[2]))
        for (overdue, month), s in sorted(sums.items(), key=lambda i: (not i[0][0], i[0][1] is None, i[0][1] or date.min))
    ]
    used = [StageWeight(s, known[s.id]) for s in pipeline.stages(session) if s.id in known]
    return Forecast(months, used, sum(m.value_minor for m in months), sum(m.weighted_minor for m in months))
