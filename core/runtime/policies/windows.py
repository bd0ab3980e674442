"""Sliding windows as pure arithmetic: when the next one fits, and quiet hours.

A window holds at most `cap` instants within any `length`. Instants under way count as now, so the next one is decided against all
that may still arrive at the vendor: whatever the vendor's own log shows later, no window of it has more than `cap`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

SPREAD_S: Final = 900
"""Those that wait for the same moment go on one after the other within so many seconds."""
_SATURDAY = 5


def next_free(
    taken: Sequence[datetime], booked: Sequence[datetime], cap: int, length: timedelta, now: datetime
) -> datetime | None:
    """The first moment from now at which one more fits between all that is taken and booked; None when none ever does (cap 0).

    No window of that length then holds more than `cap`. Each answer, once booked, moves the next one on: a thousand that wait get
    a thousand different moments, `cap` of them in each window.
    """
    if cap < 1:
        return None
    window = length.total_seconds()
    margin, pace = min(1.0, window / 100), window / cap / 50
    start = now.timestamp()
    waiting = sorted(b.timestamp() for b in booked)
    line = sorted([*(t.timestamp() for t in taken), *waiting])
    found = start
    while True:
        at = _behind_full(line, cap, window, margin, found)
        for b in waiting:
            if abs(at - b) < pace:
                at = b + pace
        if at == found:
            return now + timedelta(seconds=at - start)
        found = at


def _behind_full(line: Sequence[float], cap: int, window: float, margin: float, at: float) -> float:
    """The first moment from `at` that lies in no window which holds `cap` of the line already."""
    for first in range(len(line) - cap + 1):
        low, high = line[first], line[first + cap - 1]
        if high - low <= window and high - window - margin < at < low + window + margin:
            at = low + window + margin
    return at


def quiet_until(now: datetime, zone: ZoneInfo, start: time, end: time, *, weekends: bool) -> datetime | None:
    """The end of the quiet hours that `now` lies in, UTC; None when it lies in none. `start` = `end`: no quiet hours by night.

    A weekend is quiet from Saturday 00:00 until Monday's `end`.
    """
    at = now
    for _ in range(8):
        local = at.astimezone(zone)
        day = _quiet_day(local, start, end, weekends=weekends)
        if day is None:
            return None if at == now else at
        at = datetime.combine(local.date() + timedelta(days=day), end if start != end else time.min, tzinfo=zone).astimezone(UTC)
        if at <= now:  # an hour that the clock change skips or repeats
            at = now + timedelta(hours=1)
    return at


def _quiet_day(local: datetime, start: time, end: time, *, weekends: bool) -> int | None:
    """In how many days the quiet time that `local` lies in ends, at the hour `end`; None when it is not quiet."""
    clock, weekday = local.time(), local.weekday()
    if weekends and weekday >= _SATURDAY:
        return 7 - weekday
    if start == end:
        return None
    if start < end:
        return 0 if start <= clock < end else None
    if clock >= start:
        return 1
    return 0 if clock < end else None


def apart(at: datetime, action_id: int, spread_s: float = SPREAD_S) -> datetime:
    """`at` and a little more, another little for each action, so that all that wait for one moment don't wake at once."""
    steps = round(spread_s * 1000)
    return at + timedelta(milliseconds=(action_id * 7919) % steps) if steps > 0 else at


def drops_below(ago: Sequence[float], cap: int, length_s: float) -> float | None:
    """None when fewer than `cap` of what happened so many seconds ago lies within the last `length_s`; else in how many seconds
    that is so. What is yet to come has a negative age. With a cap of 0 it never is: a thousand lengths."""
    if sum(1 for s in ago if s < length_s) < cap:
        return None
    if cap == 0:
        return length_s * 1000
    return length_s - sorted(ago)[cap - 1]
