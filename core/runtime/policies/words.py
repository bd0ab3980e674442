"""How policies speak: spans, moments and counts in sentences for people."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

_NAMES = ("Slack", "Pipedrive", "Facebook", "Meta", "Resend", "CRM")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def span(seconds: float) -> str:
    """A length of time after "the last": "hour", "24 hours", "7 days", "3 seconds"."""
    for size, one in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size and seconds % size == 0 and not (one == "day" and seconds == size):
            n = int(seconds // size)
            return one if n == 1 else f"{n} {one}s"
    return f"{seconds:g} seconds"


def moment(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """A moment after a verb: "at 14:05", "tomorrow at 08:00", "on Mon 23 Nov at 08:00"."""
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    clock = f"at {local.hour:02}:{local.minute:02}" + (f":{local.second:02}" if abs((at - now).total_seconds()) < 60 else "")
    days = (local.date() - today).days
    if days == 0:
        return clock
    if days == 1:
        return f"tomorrow {clock}"
    return f"on {_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]} {clock}"


def lower(word: str) -> str:
    """A kind's word inside a sentence: "Mail" as "mail", "Slack message" as it is."""
    return word if word.startswith(_NAMES) else word[:1].lower() + word[1:]


def many(n: int, word: str) -> str:
    """ "1 mail", "50 mails"."""
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}{'es' if word.endswith(('s', 'x', 'ch', 'sh')) else 's'}"


def was(n: int) -> str:
    """ "was" or "were"."""
    return "was" if n == 1 else "were"


def listed(items: Sequence[str], at_most: int = 3) -> str:
    """ "a, b and c"; "a, b and 4 more"."""
    shown = list(items[:at_most])
    more = len(items) - len(shown)
    if more > 0:
        return f"{', '.join(shown)} and {more:,} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""
