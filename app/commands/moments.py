"""Times a person types: 2026-12-01, 2026-12-01 09:00, tomorrow 9:00, friday, 3d, 12h."""

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.errors import BadInput

_HELP = "Use a date (2026-12-01), a date and time (2026-12-01 09:00), tomorrow, a weekday (friday 9:00) or a length (3d, 12h)."
_LENGTH = re.compile(r"\+?(\d{1,5})\s*([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def length(text: str) -> timedelta | None:
    """A length of time such as 30m, 12h, 3d or 2w; None when it is none."""
    found = _LENGTH.fullmatch(text.strip().lower())
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


def future(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """The instant a person means, read in `zone`; a day without a time is its midnight. Raises BadInput."""
    words = text.strip().lower()
    ahead = length(words)
    if ahead is not None:
        return now + ahead
    day, _, at = words.partition(" ")
    today = now.astimezone(zone).date()
    if day == "tomorrow":
        found = today + timedelta(days=1)
    elif day in _DAYS:
        found = today + timedelta(days=(_DAYS.index(day) - today.weekday() - 1) % 7 + 1)
    else:
        return _written(text.strip(), zone)
    return datetime.combine(found, _time(at, text), tzinfo=zone)


def _time(text: str, whole: str) -> time:
    if not text:
        return time()
    try:
        return time.fromisoformat(text.strip().zfill(5))
    except ValueError:
        raise BadInput(f"“{whole}” is not a time.", _HELP) from None


def _written(text: str, zone: ZoneInfo) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"“{text}” is not a time.", _HELP) from None
    return found if found.tzinfo else found.replace(tzinfo=zone)
