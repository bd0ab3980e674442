"""Calendar periods in an organisation's zone, and how a day reads."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Period:
    """Whole local days from `first` to `last`, both inclusive."""

    first: date
    last: date

    def bounds(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """The instants [start, end) in UTC; a day with a clock change is 23 or 25 hours long."""
        return midnight(self.first, zone), midnight(self.last + timedelta(days=1), zone)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant the local day begins, UTC."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def week_of(day: date) -> Period:
    """Monday to Sunday around `day`."""
    monday = day - timedelta(days=day.weekday())
    return Period(monday, monday + timedelta(days=6))


def week_before(day: date) -> Period:
    """The last whole week that ended before the week of `day`."""
    return week_of(day - timedelta(days=7))


def month_before(day: date) -> Period:
    """The calendar month before the one of `day`."""
    last = day.replace(day=1) - timedelta(days=1)
    return Period(last.replace(day=1), last)


def show_day(day: date) -> str:
    """21 Nov 2026."""
    return f"{day.day} {day:%b %Y}"


def show_local_day(at: datetime | None, zone: ZoneInfo) -> str:
    """The local day of an instant, as `show_day`; an en dash for None."""
    return "–" if at is None else show_day(at.astimezone(zone).date())


def days_between(earlier: datetime, later: datetime) -> float:
    """Elapsed days to one decimal, never negative."""
    return round(max(0.0, (later - earlier).total_seconds() / 86_400), 1)
