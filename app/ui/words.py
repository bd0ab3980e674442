"""How things read on the screen: one word, one colour and one icon per state, and times, durations and money for people."""

import html
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from core.config import get_settings
from core.kit import clock, money

TONES: dict[str, tuple[str, str]] = {
    "green": ("#0E8A5F", "#35C68F"),
    "red": ("#C93A3A", "#F27777"),
    "blue": ("#1F5EFF", "#6C9BFF"),
    "amber": ("#B4660A", "#F0A04B"),
    "violet": ("#7A52D1", "#B094F5"),
    "gray": ("#5B6678", "#94A3B8"),
}
"""Colour of a meaning, (light, dark). Chips, strips, tables, Gantt bars and charts all take it from here."""


@dataclass(frozen=True, slots=True)
class State:
    """The word a person reads, the tone, and the icon's name in the component's icon set (shape, so colour is never alone)."""

    word: str
    tone: str
    icon: str


STATES: dict[str, State] = {
    # runs
    "queued": State("Queued", "gray", "clock"),
    "running": State("Running", "blue", "spin"),
    "waiting": State("Waiting", "violet", "pause"),
    "succeeded": State("Succeeded", "green", "check"),
    "failed": State("Failed", "red", "cross"),
    "cancelled": State("Cancelled", "gray", "minus"),
    "quarantined": State("Quarantined", "red", "stop"),
    # why a run ended as it did
    "timed_out": State("Timed out", "red", "clock"),
    "missed": State("Missed", "amber", "skip"),
    "coalesced": State("Coalesced", "gray", "skip"),
    "late": State("Late", "amber", "clock"),
    # jobs
    "on": State("On", "green", "check"),
    "off": State("Off", "gray", "minus"),
    "paused": State("Paused", "violet", "pause"),
    "broken": State("Needs attention", "red", "cross"),
    "never": State("Never ran", "gray", "clock"),
    # health
    "healthy": State("Healthy", "green", "check"),
    "degraded": State("Degraded", "amber", "warn"),
    "failing": State("Failing", "red", "cross"),
    "inactive": State("Inactive", "gray", "minus"),
    "unknown": State("Unknown", "gray", "dot"),
    # deals
    "open": State("Open", "blue", "dot"),
    "won": State("Won", "green", "check"),
    "lost": State("Lost", "red", "cross"),
    # builds
    "SUBMITTED": State("Submitted", "gray", "clock"),
    "ANALYZING": State("Analyzing", "violet", "dot"),
    "BUILDING": State("Building", "blue", "dot"),
    "REVIEW_PENDING": State("Waiting for review", "amber", "warn"),
    "APPROVED": State("Approved", "green", "check"),
    "DEPLOYED": State("Deployed", "green", "check"),
    "CLOSED": State("Closed", "gray", "check"),
    "FAILED": State("Failed", "red", "cross"),
    # reviews
    "draft": State("Draft", "gray", "dot"),
    "pending_review": State("Waiting for review", "amber", "warn"),
    "approved": State("Approved", "green", "check"),
    "sent": State("Sent", "green", "check"),
    "rejected": State("Rejected", "red", "cross"),
    "dismissed": State("Dismissed", "gray", "minus"),
    "superseded": State("Replaced", "gray", "skip"),
    # actions
    "proposed": State("Being checked", "gray", "clock"),
    "denied": State("Denied", "red", "stop"),
    "deferred": State("Scheduled", "violet", "clock"),
    "held": State("Held", "red", "pause"),
    "awaiting_approval": State("Waiting for approval", "amber", "warn"),
    "executing": State("Under way", "blue", "spin"),
    "done": State("Done", "green", "check"),
    "dry_run": State("Dry run", "violet", "check"),
    "outcome_unknown": State("Outcome unknown", "amber", "warn"),
    "expired": State("Expired", "gray", "clock"),
    "withdrawn": State("Withdrawn", "gray", "minus"),
    "undone": State("Undone", "gray", "retry"),
    # why a person is not written to
    "complaint": State("Complained", "red", "warn"),
    "opt_out": State("Opted out", "amber", "minus"),
    "bounce": State("Bounced", "amber", "cross"),
    "manual": State("By hand", "gray", "dot"),
    # log levels and priorities
    "info": State("Info", "gray", "dot"),
    "warning": State("Warning", "amber", "warn"),
    "error": State("Error", "red", "cross"),
    "low": State("Low", "gray", "dot"),
    "normal": State("Normal", "gray", "dot"),
    "high": State("High", "amber", "warn"),
    "urgent": State("Urgent", "red", "warn"),
}


def state(name: str | None) -> State:
    """The word, tone and icon of a state (`timed_out`, `BUILDING`) or of a run's word (`Timed out`)."""
    if not name:
        return STATES["unknown"]
    found = STATES.get(name) or STATES.get(name.lower().replace(" ", "_"))
    return found or State(name.replace("_", " ").capitalize(), "gray", "dot")


def tone_css() -> str:
    """The tones as CSS custom properties that follow the light or dark scheme: `--green`, `--red` …"""
    return ":root{" + "".join(f"--{k}:light-dark({light},{dark});" for k, (light, dark) in TONES.items()) + "}"


def hex_of(tone: str, dark: bool) -> str:
    """The tone's colour for charts."""
    return TONES[tone][1 if dark else 0]


def zone() -> ZoneInfo:
    """The zone times are shown in."""
    return clock.zone(get_settings().time_zone)


def when(at: datetime | None, in_zone: ZoneInfo | None = None) -> str:
    """An instant in full: `Fri 20 Nov 2026, 7:00 AM CST`."""
    if at is None:
        return "–"
    local = at.astimezone(in_zone or zone())
    return f"{local:%a} {local.day} {local:%b %Y}, {local:%I:%M %p %Z}".replace(", 0", ", ")


def clock_time(at: datetime, in_zone: ZoneInfo | None = None) -> str:
    """The time of day: `7:00 AM`."""
    return f"{at.astimezone(in_zone or zone()):%I:%M %p}".lstrip("0")


def day(at: datetime, in_zone: ZoneInfo | None = None) -> str:
    """The day as people say it: `today`, `tomorrow`, `Mon` within the coming week, `Mon 23 Nov`."""
    where = in_zone or zone()
    local, today = at.astimezone(where).date(), clock.now().astimezone(where).date()
    off = (local - today).days
    near = {0: "today", 1: "tomorrow", -1: "yesterday"}.get(off) or (f"{local:%a}" if 1 < off < 7 else None)
    return near or f"{local:%a} {local.day} {local:%b}"


def long_day() -> str:
    """The agency's date in full: `Saturday 21 November`."""
    local = clock.now().astimezone(zone())
    return f"{local:%A} {local.day} {local:%B}"


def soon(at: datetime | None, in_zone: ZoneInfo | None = None) -> str:
    """A future instant: `tomorrow 7:00 AM`."""
    return "–" if at is None else f"{day(at, in_zone)} {clock_time(at, in_zone)}"


def from_iso(text: str) -> str:
    """A stored ISO date or instant as people read it; any other text is returned as it is."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    if len(text) <= 10:
        return f"{at.day} {at:%b %Y}"
    return when(at) if at.tzinfo else text


def ago(at: datetime | None) -> str:
    """How long ago, or in how long: `3 min ago`, `in 2 h`."""
    if at is None:
        return "never"
    seconds = (clock.now() - at).total_seconds()
    text = span(abs(seconds))
    if abs(seconds) < 5:
        return "just now"
    return f"{text} ago" if seconds > 0 else f"in {text}"


def span(seconds: float | None) -> str:
    """A length of time, one unit: `42 s`, `5 min`, `3 h`, `2 d`."""
    if seconds is None:
        return "–"
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds // 86400)} d"


def duration(length: timedelta | float | None) -> str:
    """How long something took (timedelta or seconds): `340 ms`, `4.2 s`, `2 min 5 s`, `1 h 3 min`."""
    if length is None:
        return "–"
    s = length.total_seconds() if isinstance(length, timedelta) else float(length)
    if s < 1:
        return f"{s * 1000:.0f} ms"
    if s < 60:
        return f"{s:.1f} s"
    if s < 3600:
        return f"{int(s // 60)} min {int(s % 60)} s"
    return f"{int(s // 3600)} h {int(s % 3600 // 60)} min"


def cost(microusd: int | None) -> str:
    """Model cost: `$0.0042`, `$1.20`; nothing spent reads as an en dash."""
    if not microusd:
        return "–"
    dollars = microusd / 1_000_000
    return f"${dollars:,.2f}" if dollars >= 0.1 else f"${dollars:.4f}"


def amount(minor: int | None, currency: str | None = None, *, compact: bool = False) -> str:
    """Money in minor units for a person."""
    return money.show(minor, currency or get_settings().currency, compact=compact)


def today() -> date:
    """The local date."""
    return clock.now().astimezone(zone()).date()


def date_text(day_: date) -> str:
    """A calendar day: `21 Nov 2026`."""
    return f"{day_.day} {day_:%b %Y}"


def percent(part: float, whole: float) -> str:
    """A share as `97 %`; nothing to share reads as an en dash."""
    return "–" if not whole else f"{100 * part / whole:.0f} %"


def many(n: int, noun: str, plural: str | None = None) -> str:
    """`1 run`, `3 runs`, `1,204 runs`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def ms(at: datetime | None) -> int | None:
    """Milliseconds since 1970 for the components, which keep relative times fresh by themselves."""
    return None if at is None else int(at.timestamp() * 1000)


def short(text: str, limit: int = 160) -> str:
    """A text on one line, cut where it is longer than people read in that place."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def md(text: object) -> str:
    """Text made safe where Streamlit reads Markdown: toasts, tooltips, labels. Nothing in it becomes a link or an image."""
    apart = re.sub(r"@(?=\w)|://|\bwww(?=\.)", "\\g<0>\u2060", str(text), flags=re.IGNORECASE)  # else addresses become links
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:])", r"\\\1", apart)


def esc(text: object) -> str:
    """Text made safe for HTML. Everything from a record goes through here before `st.html`."""
    return html.escape(str(text), quote=True)
