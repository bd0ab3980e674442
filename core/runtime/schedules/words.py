"""Schedules in words: "Weekdays at 7:00 AM"."""

import re
from functools import lru_cache

from core.runtime.schedules import rules

_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_TIMES = r"[\d:]+ [AP]M(?: and [\d:]+ [AP]M)*"
_SHORTER: tuple[tuple[str, str], ...] = (
    (r"\b0(\d):(\d\d) (AM|PM)", r"\1:\2 \3"),
    (r"Monday through Friday", "on weekdays"),
    (r"only (in|on) ", r"\1 "),
    (r"At 0 minutes past the hour, every (\d+) hours", r"Every \1 hours"),
    (r"At 0 minutes past the hour, between ([\d:]+ [AP]M) and (\d+):59", r"Every hour from \1 to \2:00"),
    (r"At 0 and 30 minutes past the hour, at ", "On the hour and half hour at "),
    (r", (between|every|on|in) ", r" \1 "),
    (r"on day (\d+ and \d+) of the month", r"on days \1 of the month"),
)
_RECURRING = (
    (rf"At ({_TIMES}) on weekdays", r"Weekdays at \1"),
    (rf"At ({_TIMES}) on ({'|'.join(_DAYS)})", r"\2s at \1"),
    (rf"At ({_TIMES}) on ({'|'.join(_DAYS)}) and ({'|'.join(_DAYS)})", r"\2s and \3s at \1"),
    (rf"At ({_TIMES}) (on (?:the|days) [\w ]+ of the month)", r"\2 at \1"),
    (rf"At ({_TIMES})", r"Every day at \1"),
)


def _ordinal(day: int) -> str:
    ending = "th" if 10 < day % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


@lru_cache(maxsize=512)
def describe(cron: str) -> str:
    """The schedule as a person reads it, e.g. "Weekdays at 7:00 AM". A broken one is described as such, never raised."""
    from core.errors import BadInput

    try:
        rules.normal(cron)
    except BadInput:
        return f"Not a schedule: {cron[:40]}"
    from cron_descriptor import FormatError, Options, get_description
    from cron_descriptor.Exception import MissingFieldError, WrongArgumentError

    options = Options()
    options.use_24hour_time_format = False
    try:
        text = str(get_description(cron, options))
    except (FormatError, MissingFieldError, WrongArgumentError, ValueError, IndexError):
        return cron
    return _short(text)


def _short(text: str) -> str:
    for pattern, with_ in _SHORTER:
        text = re.sub(pattern, with_, text)
    text = re.sub(r"on day (\d+) of the month", lambda m: f"on the {_ordinal(int(m[1]))} of the month", text)
    for pattern, with_ in _RECURRING:
        if re.fullmatch(pattern, text):
            text = re.sub(pattern, with_, text)
            break
    return text[:1].upper() + text[1:]
