"""How many actions of one kind go out in an hour, exact at any concurrency: the gate counts under a lock."""

from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from core.runtime.policies.models import Stage
from core.runtime.policies.registry import Inputs, Number, Policy, Said, Values, allow, defer
from core.runtime.policies.situation import Situation
from core.runtime.policies.words import many, moment, span, was

KEY: Final = "rate_limit"


def cap_of(values: Values, kind: str) -> int:
    """The most allowed for that kind within the window."""
    return int(values["kinds"].get(kind, values["others"]))


def window_of(values: Values) -> timedelta:
    """The window's length."""
    return timedelta(seconds=float(values["window_s"]))


def _rate(s: Situation) -> Inputs:
    return {
        "kind": s.action.kind,
        "word": s.action.word,
        "sent": s.rate.count,
        "ahead": s.rate.ahead,
        "free_at": s.rate.free_at.isoformat() if s.rate.free_at else None,
        "now": s.now.isoformat(),
        "zone": str(s.zone),
    }


def _within(i: Inputs, values: Values) -> Said | None:
    cap, sent, ahead = cap_of(values, i["kind"]), int(i["sent"]), int(i["ahead"])
    counted = f"{many(sent, i['word'])} {was(sent)} sent in the last {span(values['window_s'])}, the most allowed is {cap}"
    if sent + ahead < cap:
        return allow(f"{counted}.")
    until = _until(i, values)
    when = moment(until, datetime.fromisoformat(i["now"]), ZoneInfo(i["zone"]))
    waiting = f", and {ahead} that waited longer {'goes' if ahead == 1 else 'go'} first" if sent < cap else ""
    return defer(f"{counted}{waiting}; the next can go {when}.", until)


def _until(i: Inputs, values: Values) -> datetime:
    now = datetime.fromisoformat(i["now"])
    free: Any = i["free_at"]
    return max(now, datetime.fromisoformat(free)) if free else now + window_of(values)


RATE_LIMIT = Policy(
    KEY,
    "How many in an hour",
    "Keeps an organisation from sending more of one kind within an hour than it may; the rest waits, nothing is dropped.",
    _rate,
    _within,
    (
        Number("kinds", "Most in the window, by kind", "by_kind", {"mail.send": 50, "slack.post": 120}, 0, 5000),
        Number("others", "Most in the window, every other kind", "count", 30, 0, 5000),
        Number("window_s", "Length of the window in seconds", "count", 3600, 60, 86_400, help="3,600 is an hour; it slides."),
    ),
    stages=(Stage.SEND,),
)
