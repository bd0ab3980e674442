"""The sales rules: what counts as quiet, overdue and stuck, how a deal is scored, and how that is said. Pure.

Every threshold stands here once; queries, pages, facts and prompts all read it from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

QUIET_DAYS: Final = 7
"""No activity for this long: a deal is quiet."""
STUCK_DAYS: Final = 30
"""Days in a stage from which a deal is stuck when the stage has too little history to say."""
MIN_HISTORY: Final = 20
"""Deals that must have left a stage, or been decided after it, before its own figures are used."""
HISTORY_DAYS: Final = 365
"""How far back a stage's own pace is measured."""
PACE_SAMPLE: Final = 5_000
"""How many of the latest moves, or wins, that pace is measured on."""
AGE_BUCKETS: Final = ((7, "up to 7 days"), (14, "8–14 days"), (30, "15–30 days"), (60, "31–60 days"), (90, "61–90 days"))
"""Upper bounds in days with their words; older deals are in "over 90 days"."""
OLDEST_BUCKET: Final = "over 90 days"

# the score of "likely to close this week", out of 100
STAGE_POINTS: Final = 40
"""Times the win rate of the deal's stage."""
CLOSE_POINTS: Final = ((7, 25), (30, 12))
"""Expected to close within so many days → points."""
OVERDUE_POINTS: Final = (14, 8)
"""Expected close passed by at most so many days → points; longer gives none."""
ACTIVITY_POINTS: Final = ((7, 20), (14, 12), (30, 5))
"""Last activity within so many days → points."""
CYCLE_POINTS: Final = 15
"""The deal is no older than won deals usually are at closing."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long deals stayed in a stage they have left, in days."""

    median: float
    p75: float
    sample: int

    @property
    def is_telling(self) -> bool:
        """Whether enough deals are behind it to judge a deal by."""
        return self.sample >= MIN_HISTORY

    @property
    def stuck_after(self) -> float:
        """Days in the stage beyond which a deal is stuck."""
        return max(self.p75, float(QUIET_DAYS)) if self.is_telling else float(STUCK_DAYS)


@dataclass(frozen=True, slots=True)
class Weight:
    """The chance, in percent, that a deal in a stage is won, and what it rests on."""

    percent: float
    from_history: bool
    decided: int
    """Deals decided after reaching the stage."""

    @property
    def basis(self) -> str:
        """In words."""
        return f"{self.decided:,} decided deals" if self.from_history else "the stage's own setting"


def weight(won: int, lost: int, setting_percent: int) -> Weight:
    """The stage's win rate where at least MIN_HISTORY deals were decided after reaching it, else its setting."""
    decided = won + lost
    if decided >= MIN_HISTORY:
        return Weight(100.0 * won / decided, True, decided)
    return Weight(float(setting_percent), False, decided)


@dataclass(frozen=True, slots=True)
class Score:
    """Points out of 100 by part, so that a person can see why a deal is on the list."""

    stage: float
    close: float
    activity: float
    cycle: float

    @property
    def total(self) -> int:
        """Rounded sum, 0 to 100."""
        return round(self.stage + self.close + self.activity + self.cycle)


def _within(days: float, steps: Sequence[tuple[int, int]]) -> float:
    return float(next((points for limit, points in steps if days <= limit), 0))


def score(
    win_percent: float,
    days_to_close: int | None,
    days_quiet: float | None,
    age_days: float | None,
    usual_cycle: float | None,
) -> Score:
    """How likely a deal closes this week. None means not known and gives no points."""
    if days_to_close is None:
        close = 0.0
    elif days_to_close < 0:
        close = float(OVERDUE_POINTS[1]) if -days_to_close <= OVERDUE_POINTS[0] else 0.0
    else:
        close = _within(days_to_close, CLOSE_POINTS)
    in_cycle = age_days is not None and usual_cycle is not None and age_days <= usual_cycle
    return Score(
        STAGE_POINTS * win_percent / 100,
        close,
        0.0 if days_quiet is None else _within(days_quiet, ACTIVITY_POINTS),
        float(CYCLE_POINTS) if in_cycle else 0.0,
    )


def days_between(earlier: datetime | None, later: datetime) -> int | None:
    """Whole days from one instant to the other; None when the first is not known."""
    return None if earlier is None else max(0, (later - earlier).days)


def _days(count: float) -> str:
    whole = round(count)
    return f"{whole:,} day" if whole == 1 else f"{whole:,} days"


def why_stuck(stage: str, days_in_stage: int | None, pace: Pace, days_quiet: int | None, value_shown: str | None) -> list[str]:
    """Sentence parts on why a deal needs somebody now, the strongest first."""
    parts = []
    if days_in_stage is not None and days_in_stage >= int(pace.stuck_after):
        if pace.is_telling:
            parts.append(f"{_days(days_in_stage)} in {stage}, where half of the deals move on within {_days(pace.median)}")
        else:
            parts.append(f"{_days(days_in_stage)} in {stage}")
    if days_quiet is not None and days_quiet >= QUIET_DAYS:
        parts.append(f"no activity for {_days(days_quiet)}")
    elif days_quiet is None:
        parts.append("no activity on record")
    if value_shown:
        parts.append(f"worth {value_shown}")
    return parts


def why_likely(win_percent: float, stage: str, days_to_close: int | None, days_quiet: int | None, parts: Score) -> list[str]:
    """Sentence parts on why a deal is likely to close, from the parts of its score."""
    said = [f"{win_percent:.0f} % of deals that reached {stage} were won"]
    if days_to_close is not None and days_to_close < 0 and parts.close:
        said.append(f"its close date passed {_days(-days_to_close)} ago")
    elif days_to_close is not None and parts.close:
        said.append("expected to close today" if days_to_close == 0 else f"expected to close in {_days(days_to_close)}")
    if days_quiet is not None and parts.activity:
        said.append("active today" if days_quiet == 0 else f"last activity {_days(days_quiet)} ago")
    if parts.cycle:
        said.append("not older than won deals usually are")
    return said


def days_overdue(expected: date, today: date) -> int:
    """Days since the expected close date; 0 when it has not passed."""
    return max(0, (today - expected).days)
