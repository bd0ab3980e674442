# ruff: noqa: S608  (statements are put together from constants of ours; every value is a bound parameter)
"""The pipeline as a whole: value by stage, conversion, ageing, pace, win rate, totals. One statement each.

Amounts are minor units of the agency's currency; deals in another currency are counted but not added up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.domains.crm import rules
from core.domains.crm.queries.filters import CONDITIONS, DealFilter, base_params, day_start

_VALUE = "coalesce(sum(d.value_minor) FILTER (WHERE d.currency = :currency), 0)"
EVERYTHING = DealFilter()


@dataclass(frozen=True, slots=True)
class StageInfo:
    """A stage of the pipeline; `status` is open, won or lost."""

    id: int
    name: str
    position: int
    status: str
    probability_percent: int


@dataclass(frozen=True, slots=True)
class StageTotal:
    """Deals in one stage now, and how many of them need something. Money in minor units."""

    stage: StageInfo
    deals: int
    value_minor: int
    zero_value: int
    quiet: int
    overdue: int
    other_currency: int


@dataclass(frozen=True, slots=True)
class Conversion:
    """Of the deals that reached an open stage: how many got further, were won or lost, or are still in it.

    Percentages are of `entered`; `win_percent` is of the decided ones. None when there is nothing to divide by.
    """

    stage: StageInfo
    entered: int
    moved_on: int
    won: int
    lost: int
    still_here: int
    setting_percent: int

    @property
    def next_percent(self) -> float | None:
        return 100.0 * self.moved_on / self.entered if self.entered else None

    @property
    def won_percent(self) -> float | None:
        return 100.0 * self.won / self.entered if self.entered else None

    @property
    def win_percent(self) -> float | None:
        return 100.0 * self.won / (self.won + self.lost) if self.won + self.lost else None

    @property
    def weight(self) -> rules.Weight:
        """What a deal in this stage is weighed by in the forecast."""
        return rules.weight(self.won, self.lost, self.setting_percent)


@dataclass(frozen=True, slots=True)
class StageAges:
    """Open deals of a stage by days in it; `buckets` go with `bucket_names()`. `unknown`: no date says."""

    stage: StageInfo
    buckets: tuple[int, ...]
    unknown: int


@dataclass(frozen=True, slots=True)
class Activity:
    """What happened in a period [first, last], both local days. Money in minor units, rates in percent, cycle in days."""

    first: date
    last: date
    new: int
    new_minor: int
    won: int
    won_minor: int
    lost: int
    cycle_days: float | None

    @property
    def win_percent(self) -> float | None:
        return 100.0 * self.won / (self.won + self.lost) if self.won + self.lost else None


@dataclass(frozen=True, slots=True)
class Totals:
    """A period beside the one of equal length before it, and the open pipeline at the end of each.

    `open_before` counts deals opened before this period and not closed then, at the value they have today.
    """

    current: Activity
    previous: Activity
    open_deals: int
    open_minor: int
    open_before: int
    open_before_minor: int


@dataclass(frozen=True, slots=True)
class OwnerInfo:
    """A salesperson with the open deals they have."""

    id: int
    name: str
    open_deals: int
    open_minor: int


def stages(session: Session) -> list[StageInfo]:
    """All stages in pipeline order."""
    found = session.execute(text("SELECT id, name, position, status, probability_percent FROM stages ORDER BY position, id"))
    return [StageInfo(*row) for row in found]


def owners(session: Session) -> list[OwnerInfo]:
    """All owners by name, with their open deals."""
    found = session.execute(
        text(
            "SELECT o.id, o.name, coalesce(t.deals, 0), coalesce(t.value, 0) FROM owners o LEFT JOIN ("
            f"  SELECT d.owner_id, count(*) AS deals, {_VALUE} AS value FROM deals d WHERE d.status = 'open' GROUP BY d.owner_id"
            ") t ON t.owner_id = o.id ORDER BY o.name"
        ),
        base_params(),
    )
    return [OwnerInfo(r[0], r[1], r[2], int(r[3])) for r in found]


def pipeline_version(session: Session) -> str:
    """Changes whenever a deal or stage does: what a page may key its cache by. Costs one index-only scan."""
    row = session.execute(
        text(
            "SELECT (SELECT count(*) FROM deals), (SELECT max(updated_at) FROM deals), (SELECT count(*) FROM stages), "
            "(SELECT coalesce(sum(position * id), 0) FROM stages)"
        )
    ).one()
    return f"{row[0]}-{row[1].timestamp() if row[1] else 0:.6f}-{row[2]}-{row[3]}"


def pipeline_by_stage(session: Session, f: DealFilter = EVERYTHING, *, now: datetime | None = None) -> list[StageTotal]:
    """Every stage in order, also empty ones, with its deals under the filter."""
    where, params = f.where()
    found = session.execute(
        text(
            f"SELECT d.stage_id, count(*) AS deals, {_VALUE} AS value, "
            f"count(*) FILTER (WHERE {CONDITIONS['zero']}) AS zero, count(*) FILTER (WHERE {CONDITIONS['quiet']}) AS quiet, "
            f"count(*) FILTER (WHERE {CONDITIONS['overdue']}) AS overdue, "
            "count(*) FILTER (WHERE d.currency <> :currency) AS other "
            f"FROM deals d WHERE {where} GROUP BY d.stage_id"
        ),
        base_params(now) | params,
    )
    by_id = {r.stage_id: r for r in found}
    made = []
    for stage in stages(session):
        r = by_id.get(stage.id)
        figures = (r.deals, int(r.value), r.zero, r.quiet, r.overdue, r.other) if r else (0, 0, 0, 0, 0, 0)
        made.append(StageTotal(stage, *figures))
    return made


def stage_conversion(session: Session, f: DealFilter = EVERYTHING) -> list[Conversion]:
    """Open stages in order with the share of deals that got further; the period is `f.opened_from/to`.

    A deal counts for its furthest stage and every stage before it. A won deal has passed all of them; a lost one whose
    way is not known counts for the first. The filter's stage and status are left out: they would cut the funnel.
    """
    where, params = DealFilter(
        owner_ids=f.owner_ids, opened_from=f.opened_from, opened_to=f.opened_to, text=f.text
    ).where()  # fmt: skip
    found = session.execute(
        text(
            "SELECT d.status, CASE WHEN d.status = 'open' THEN d.stage_id ELSE d.furthest_stage_id END AS reached, "
            "d.furthest_stage_id AS furthest, "
            f"count(*) AS deals FROM deals d WHERE {where} GROUP BY 1, 2, 3"
        ),
        base_params() | params,
    ).all()
    open_stages = [s for s in stages(session) if s.status == "open"]
    place = {s.id: i for i, s in enumerate(open_stages)}
    last = len(open_stages) - 1
    made = []
    for index, stage in enumerate(open_stages):
        entered = moved = won = lost = here = 0
        for row in found:
            # a deal that was moved back has still reached the later stage
            reached = last if row.status == "won" else max(place.get(row.reached, 0), place.get(row.furthest, 0))
            if reached < index:
                continue
            entered += row.deals
            won += row.deals if row.status == "won" else 0
            lost += row.deals if row.status == "lost" else 0
            here += row.deals if row.status == "open" and place.get(row.reached) == index else 0
            moved += row.deals if reached > index or row.status == "won" else 0
        made.append(Conversion(stage, entered, moved, won, lost, here, stage.probability_percent))
    return made


def weights(conversions: Sequence[Conversion]) -> dict[int, rules.Weight]:
    """Stage id → what its deals are weighed by."""
    return {c.stage.id: c.weight for c in conversions}


def bucket_names() -> tuple[str, ...]:
    """The words of the ageing buckets, youngest first."""
    return (*(words for _, words in rules.AGE_BUCKETS), rules.OLDEST_BUCKET)


def ageing(session: Session, f: DealFilter = EVERYTHING, *, now: datetime | None = None) -> list[StageAges]:
    """Open deals of each open stage by how long they have been in it."""
    where, params = f.where(but="status")
    bounds = [days for days, _ in rules.AGE_BUCKETS]
    found = session.execute(
        text(
            "SELECT d.stage_id, width_bucket("
            "CAST(extract(epoch FROM CAST(:now AS timestamptz) - coalesce(d.stage_since, d.opened_at)) / 86400.0 AS float8), "
            f"CAST(:bounds AS float8[])) AS bucket, count(*) AS deals FROM deals d "
            f"WHERE d.status = 'open' AND {where} GROUP BY 1, 2"
        ),
        # "up to 7 days" holds everything younger than its eighth day
        base_params(now) | params | {"bounds": [b + 1.0 for b in bounds]},
    )
    counted: dict[int, dict[int | None, int]] = {}
    for row in found:
        counted.setdefault(row.stage_id, {})[row.bucket] = row.deals
    made = []
    for stage in stages(session):
        if stage.status == "open":
            own = counted.get(stage.id, {})
            made.append(StageAges(stage, tuple(own.get(i, 0) for i in range(len(bounds) + 1)), own.get(None, 0)))
    return made


def stage_pace(session: Session, *, now: datetime | None = None) -> dict[int, rules.Pace]:
    """Stage id → how long deals stayed in it: those that left it in the last year, the latest PACE_SAMPLE of them.

    A stage that no deal has left with a known date is missing.
    """
    params = base_params(now)
    params |= {"since": params["now"] - timedelta(days=rules.HISTORY_DAYS), "sample": rules.PACE_SAMPLE}
    found = session.execute(
        text(
            "SELECT stage_id, count(*) AS sample, percentile_cont(ARRAY[0.5, 0.75]) WITHIN GROUP (ORDER BY days) AS marks FROM ("
            "  SELECT c.from_stage_id AS stage_id, CAST(extract(epoch FROM c.at - c.from_since) / 86400.0 AS float8) AS days"
            "  FROM stage_changes c WHERE c.at BETWEEN :since AND :now AND c.from_since <= c.at AND c.from_stage_id IS NOT NULL"
            "  ORDER BY c.at DESC LIMIT :sample) spent GROUP BY stage_id"
        ),
        params,
    )
    return {r.stage_id: rules.Pace(r.marks[0], r.marks[1], r.sample) for r in found}


def usual_cycle_days(session: Session, *, now: datetime | None = None) -> float | None:
    """The three-quarter mark of days from opening to winning, over the latest PACE_SAMPLE wins; None without wins."""
    found = session.execute(
        text(
            "SELECT percentile_cont(0.75) WITHIN GROUP (ORDER BY days) FROM ("
            "  SELECT CAST(extract(epoch FROM d.closed_at - d.opened_at) / 86400.0 AS float8) AS days FROM deals d"
            "  WHERE d.status = 'won' AND d.closed_at >= d.opened_at AND d.closed_at <= :now"
            "  ORDER BY d.closed_at DESC LIMIT :sample) won"
        ),
        base_params(now) | {"sample": rules.PACE_SAMPLE},
    ).scalar_one()
    return None if found is None else float(found)


def totals(session: Session, first: date, last: date, f: DealFilter = EVERYTHING) -> Totals:
    """What happened from `first` to `last` (local days, both count) and in the period of the same length before.

    Owner and text of the filter count; its own periods, stage and status do not.
    """
    where, params = DealFilter(owner_ids=f.owner_ids, text=f.text).where()
    length = last - first + timedelta(days=1)
    spans = {
        "before": day_start(first - length),
        "start": day_start(first),
        "end": day_start(last + timedelta(days=1)),
    }
    row = session.execute(text(_TOTALS.format(where=where)), base_params() | params | spans).one()._mapping

    def activity(prefix: str, start: date, end: date) -> Activity:
        cycle = row[f"{prefix}_cycle"]
        return Activity(
            start, end, row[f"{prefix}_new"], int(row[f"{prefix}_new_minor"]), row[f"{prefix}_won"],
            int(row[f"{prefix}_won_minor"]), row[f"{prefix}_lost"], None if cycle is None else float(cycle),
        )  # fmt: skip

    return Totals(
        activity("now", first, last),
        activity("was", first - length, first - timedelta(days=1)),
        row["open_deals"], int(row["open_minor"]), row["open_before"], int(row["open_before_minor"]),
    )  # fmt: skip


def _period_columns(prefix: str, start: str, end: str) -> str:
    opened = f"d.opened_at >= {start} AND d.opened_at < {end}"
    closed = f"d.closed_at >= {start} AND d.closed_at < {end}"
    money = "coalesce(sum(d.value_minor) FILTER (WHERE {} AND d.currency = :currency), 0)"
    return (
        f"count(*) FILTER (WHERE {opened}) AS {prefix}_new, {money.format(opened)} AS {prefix}_new_minor, "
        f"count(*) FILTER (WHERE d.status = 'won' AND {closed}) AS {prefix}_won, "
        f"{money.format(closed + chr(32) + 'AND d.status = ' + chr(39) + 'won' + chr(39))} AS {prefix}_won_minor, "
        f"count(*) FILTER (WHERE d.status = 'lost' AND {closed}) AS {prefix}_lost, "
        "percentile_cont(0.5) WITHIN GROUP (ORDER BY CAST(extract(epoch FROM d.closed_at - d.opened_at) / 86400.0 AS float8)) "
        f"FILTER (WHERE d.status = 'won' AND {closed} AND d.closed_at >= d.opened_at) AS {prefix}_cycle"
    )


# a deal without an opening date was there from the moment we first saw it
_OPEN_THEN = "coalesce(d.opened_at, d.created_at) < :start AND (d.status = 'open' OR d.closed_at >= :start)"
_TOTALS = (
    f"SELECT {_period_columns('now', ':start', ':end')}, {_period_columns('was', ':before', ':start')}, "
    "count(*) FILTER (WHERE d.status = 'open') AS open_deals, "
    "coalesce(sum(d.value_minor) FILTER (WHERE d.status = 'open' AND d.currency = :currency), 0) AS open_minor, "
    f"count(*) FILTER (WHERE {_OPEN_THEN}) AS open_before, "
    f"coalesce(sum(d.value_minor) FILTER (WHERE {_OPEN_THEN} AND d.currency = :currency), 0) AS open_before_minor "
    # whatever has happened before both periods and is over needs no look: three index scans instead of the whole table
    "FROM deals d WHERE (d.status = 'open' OR d.closed_at >= :before OR d.opened_at >= :before) AND {where}"
)
