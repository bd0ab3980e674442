"""When a job should run, found by brute force: walk every UTC minute and look at the wall clock. Knows nothing of cronsim."""

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
DAY_NAMES = {"SUN": 0, "MON": 1, "TUE": 2, "WED": 3, "THU": 4, "FRI": 5, "SAT": 6}


def numbers(field: str, low: int, high: int) -> set[int]:
    """The values a field of plain numbers, ranges, lists and steps stands for."""
    found: set[int] = set()
    for part in field.upper().split(","):
        span, _, step = part.partition("/")
        for name, value in DAY_NAMES.items():
            span = span.replace(name, str(value))
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first, last = (int(n) for n in span.split("-"))
        else:
            first = int(span)
            last = high if step else first
        found.update(range(first, last + 1, int(step or 1)))
    return found


class Expression:
    """A cron expression, read by hand."""

    def __init__(self, cron: str) -> None:
        minute, hour, day, month, weekday = cron.split()
        self.minutes, self.hours = numbers(minute, 0, 59), numbers(hour, 0, 23)
        self.days, self.months = numbers(day, 1, 31), numbers(month, 1, 12)
        self.weekdays = {d % 7 for d in numbers(weekday, 0, 7)}
        self.both = day.startswith("*") or weekday.startswith("*")
        self.follows_elapsed_time = len(self.hours) == 24

    def on(self, day: date) -> bool:
        """Is this local day one of its days?"""
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (by_day and by_weekday if self.both else by_day or by_weekday)


class Oracle:
    """Every slot of some expressions in one zone between two UTC minutes (both included)."""

    def __init__(self, zone: str, crons: list[str], start: datetime, end: datetime) -> None:
        self.slots: dict[str, list[datetime]] = {c: [] for c in crons}
        self._expressions = {c: Expression(c) for c in crons}
        # which expressions care about this minute of the day: keeps the walk over millions of minutes affordable
        self._by_minute: dict[tuple[int, int], list[str]] = {}
        for cron, expression in self._expressions.items():
            for hour in expression.hours:
                for minute in expression.minutes:
                    self._by_minute.setdefault((hour, minute), []).append(cron)
        self._walk(ZoneInfo(zone), start, end)

    def between(self, cron: str, after: datetime, until: datetime) -> list[datetime]:
        """The slots in (after, until]."""
        known = self.slots[cron]
        return known[bisect_right(known, after) : bisect_right(known, until)]

    def _walk(self, place: ZoneInfo, start: datetime, end: datetime) -> None:
        # two days before the start, so that an hour shown twice or a gap at the start is seen as one
        instant = start - timedelta(days=2)
        furthest = instant.astimezone(place).replace(tzinfo=None) - MINUTE
        while instant <= end:
            shown = instant.astimezone(place).replace(tzinfo=None)
            skipped = furthest + MINUTE
            while skipped < shown:  # the minutes of the gap, all at this instant
                self._visit(skipped, instant, start, in_gap=True)
                skipped += MINUTE
            self._visit(shown, instant, start, again=shown <= furthest)
            furthest = max(furthest, shown)
            instant += MINUTE

    def _visit(self, shown: datetime, instant: datetime, start: datetime, in_gap: bool = False, again: bool = False) -> None:
        for cron in self._by_minute.get((shown.hour, shown.minute), ()):
            expression = self._expressions[cron]
            if (in_gap or again) and expression.follows_elapsed_time != again:
                continue
            known = self.slots[cron]
            if instant >= start and expression.on(shown.date()) and not (known and known[-1] == instant):
                known.append(instant)


def year(start: int, zone: str, crons: list[str], years: int = 1) -> Oracle:
    """The oracle of whole UTC years."""
    first = datetime(start, 1, 1, tzinfo=UTC)
    return Oracle(zone, crons, first, datetime(start + years, 1, 1, tzinfo=UTC))
