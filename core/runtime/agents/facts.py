"""Facts: what an agent may know. Each carries its value, how it reads, and the rows behind it.

A domain registers a *section* of facts in its `facts.py`; a job names the sections it uses. Prose, whoever writes
it, cites facts as `[[fact.key]]`, and a person sees the fact's `shown` text with a link to its rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from core.errors import BadInput
from core.kit import money as money_text

MAX_ROWS = 50
"""Rows kept behind one fact; `row_count` says how many there are in all, `href` opens them all."""


@dataclass(frozen=True, slots=True)
class FactContext:
    """What a collector may depend on. `now` is UTC; `zone` is the organisation's; `params` are the job's own."""

    now: datetime
    zone: ZoneInfo
    org_id: UUID
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """The local date."""
        return self.now.astimezone(self.zone).date()


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is so. `value` is a number, text or None (money in minor units); `shown` is how prose may say it.

    `rows` are JSON objects, most important first; `query` is the dotted name of the query that found them.
    """

    key: str
    label: str
    value: int | float | str | None
    unit: str
    shown: str
    query: str
    rows: tuple[dict[str, Any], ...] = ()
    row_count: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    href: str | None = None
    untrusted: bool = False
    """Its text came from outside: a deal's title, a name, an error message. See `section`."""


@dataclass(frozen=True, slots=True)
class Section:
    """Facts on one question, and how to say them without a model: `lines` are sentences that cite facts.

    A line may contain no digits outside of citations. A line that starts with "- " is a list item.
    """

    key: str
    title: str
    facts: tuple[Fact, ...]
    lines: tuple[str, ...]


Collector = Callable[[Session, FactContext], Section]


@dataclass(frozen=True, slots=True)
class SectionSpec:
    """A registered section: its key, its title, one sentence on what it holds, and who collects it.

    `untrusted` says that its texts come from outside; figures and days never do, whatever they are about.
    """

    key: str
    title: str
    description: str
    collect: Collector
    untrusted: bool = True


_sections: dict[str, SectionSpec] = {}


def section(key: str, title: str, description: str, *, untrusted: bool = True) -> Callable[[Collector], Collector]:
    """Register a collector under `key`, e.g. "crm.pipeline_summary".

    Texts of its facts count as written by somebody outside, unless `untrusted` says that they are all our own.
    """

    def register(collect: Collector) -> Collector:
        known = _sections.get(key)
        if known is not None and known.collect is not collect:
            raise ValueError(f"two collectors for fact section {key!r}")
        _sections[key] = SectionSpec(key, title, description, collect, untrusted)
        return collect

    return register


def sections() -> tuple[SectionSpec, ...]:
    """All registered sections, by key."""
    return tuple(_sections[k] for k in sorted(_sections))


def get_section(key: str) -> SectionSpec:
    """The section. Raises BadInput when there is none of that key."""
    try:
        return _sections[key]
    except KeyError:
        raise BadInput(f"There are no facts called “{key}”.", f"Known: {', '.join(sorted(_sections))}.") from None


def from_outside(section: str, unit: str) -> bool:
    """Whether a fact of this section and unit holds text from outside. Of a section nobody knows any more it does."""
    known = _sections.get(section)
    return unit == "text" and (known is None or known.untrusted)


def _fact(
    key: str, label: str, value: int | float | str | None, unit: str, shown: str, query: str,
    rows: Sequence[Mapping[str, Any]], row_count: int | None, params: Mapping[str, Any] | None, href: str | None,
) -> Fact:  # fmt: skip
    kept = tuple(dict(r) for r in rows[:MAX_ROWS])
    return Fact(
        key, label, value, unit, shown, query, kept, len(rows) if row_count is None else row_count, dict(params or {}), href,
        unit == "text",
    )  # fmt: skip


def count(
    key: str, label: str, value: int, query: str, rows: Sequence[Mapping[str, Any]] = (), *, noun: str = "",
    row_count: int | None = None, params: Mapping[str, Any] | None = None, href: str | None = None,
) -> Fact:  # fmt: skip
    """A whole number. `noun` is a singular English noun: 1 deal, 3 deals; without one the bare number is shown."""
    shown = f"{value:,}"
    if noun:
        plural = noun[:-1] + "ies" if noun.endswith("y") and noun[-2:] not in ("ay", "ey", "oy") else noun + "s"
        shown += " " + (noun if value == 1 else plural)
    return _fact(key, label, value, "count", shown, query, rows, row_count if row_count is not None else value, params, href)


def money(
    key: str, label: str, minor: int, query: str, rows: Sequence[Mapping[str, Any]] = (), *, currency: str = "USD",
    row_count: int | None = None, params: Mapping[str, Any] | None = None, href: str | None = None,
) -> Fact:  # fmt: skip
    """An amount in minor units."""
    return _fact(key, label, minor, f"money:{currency}", money_text.show(minor, currency), query, rows, row_count, params, href)


def percent(
    key: str, label: str, value: float | None, query: str, rows: Sequence[Mapping[str, Any]] = (), *,
    row_count: int | None = None, params: Mapping[str, Any] | None = None, href: str | None = None,
) -> Fact:  # fmt: skip
    """A share: 12.3 means 12.3 %. None shows as "no figure"."""
    shown = "no figure" if value is None else f"{value:.1f} %"
    return _fact(key, label, value, "percent", shown, query, rows, row_count, params, href)


def duration(
    key: str, label: str, value: float, unit: str, query: str, rows: Sequence[Mapping[str, Any]] = (), *,
    row_count: int | None = None, params: Mapping[str, Any] | None = None, href: str | None = None,
) -> Fact:  # fmt: skip
    """A length of time in "days" or "hours"."""
    number = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
    shown = f"{number} {unit[:-1] if value == 1 else unit}"
    return _fact(key, label, value, unit, shown, query, rows, row_count, params, href)


def text(
    key: str, label: str, value: str, query: str, rows: Sequence[Mapping[str, Any]] = (), *,
    row_count: int | None = None, params: Mapping[str, Any] | None = None, href: str | None = None,
) -> Fact:  # fmt: skip
    """A name or another text from a record, shortened to 120 characters. It may hold digits; citing it is how prose says it."""
    shown = " ".join(value.split())
    shown = shown if len(shown) <= 120 else shown[:119] + "…"
    return _fact(key, label, value, "text", shown, query, rows, row_count, params, href)


def day(
    key: str, label: str, value: date, query: str, rows: Sequence[Mapping[str, Any]] = (), *,
    row_count: int | None = None, params: Mapping[str, Any] | None = None, href: str | None = None,
) -> Fact:  # fmt: skip
    """A calendar day, shown as 21 Nov 2026."""
    shown = f"{value.day} {value:%b %Y}"
    return _fact(key, label, value.isoformat(), "date", shown, query, rows, row_count, params, href)
