"""Which deals: a filter that lives in the page's URL and becomes a WHERE clause."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from core.config import get_settings
from core.domains.crm import rules
from core.domains.crm.models import DealStatus
from core.kit import clock

ONLY = {
    "quiet": f"No activity for {rules.QUIET_DAYS} days or more",
    "overdue": "Expected close date has passed",
    "zero": "No value",
}
"""Lists of open deals that need something → how to say it."""

_QUIET = "(d.last_activity_at < :quiet_before OR (d.last_activity_at IS NULL AND d.created_at < :quiet_before))"
CONDITIONS = {
    "quiet": f"d.status = 'open' AND {_QUIET}",
    "overdue": "d.status = 'open' AND d.expected_close_on < :today",
    "zero": "d.status = 'open' AND CASE WHEN d.value_minor IS NULL THEN 0 ELSE d.value_minor END = 0",
}
"""List → SQL condition on deals d; the parameters are in `base_params`."""


def base_params(now: datetime | None = None) -> dict[str, Any]:
    """Parameters every query may use: now, today (in the agency's zone), quiet_before, currency."""
    at = now or clock.now()
    settings = get_settings()
    zone = clock.zone(settings.time_zone)
    return {
        "now": at,
        "today": at.astimezone(zone).date(),
        "quiet_before": at - timedelta(days=rules.QUIET_DAYS),
        "currency": settings.currency,
        "zone": settings.time_zone,
    }


def day_start(day: date) -> datetime:
    """Midnight at the start of a day in the agency's zone."""
    return datetime.combine(day, time(), clock.zone(get_settings().time_zone))


def _ids(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(int(p) for p in text.split(",") if p.strip().isdecimal() and len(p.strip()) < 18))


def _days(text: str) -> tuple[date | None, date | None]:
    first, _, last = text.partition("..")

    def one(part: str) -> date | None:
        try:
            day = date.fromisoformat(part.strip())
        except ValueError:
            return None
        return day if 1900 <= day.year <= 2200 else None  # the years an import reads; beyond them there is no next day

    return one(first), one(last)


@dataclass(frozen=True, slots=True)
class DealFilter:
    """Which deals to look at. Empty means all. Days are local and both ends count.

    In a URL: owner=1,2 · stage=3 · status=open · opened=2026-01-01..2026-03-31 · closed=… · q=text · show=quiet|overdue|zero.
    """

    owner_ids: tuple[int, ...] = ()
    stage_ids: tuple[int, ...] = ()
    status: str | None = None
    opened_from: date | None = None
    opened_to: date | None = None
    closed_from: date | None = None
    closed_to: date | None = None
    text: str = ""
    only: str | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> "DealFilter":
        """Read it from URL parameters; what can't be understood is left out rather than refused."""

        def get(name: str) -> str:
            value = params.get(name) or ""
            return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

        opened, closed = _days(get("opened")), _days(get("closed"))
        status, only = get("status"), get("show")
        return cls(
            owner_ids=_ids(get("owner")),
            stage_ids=_ids(get("stage")),
            status=status if status in [s.value for s in DealStatus] else None,
            opened_from=opened[0],
            opened_to=opened[1],
            closed_from=closed[0],
            closed_to=closed[1],
            text=" ".join(get("q").replace("\x00", "").split())[:100],
            only=only if only in ONLY else None,
        )

    def to_params(self) -> dict[str, str]:
        """The URL parameters that `from_params` reads back; empty parts are left out."""

        def span(first: date | None, last: date | None) -> str:
            return f"{first or ''}..{last or ''}" if first or last else ""

        made = {
            "owner": ",".join(map(str, self.owner_ids)),
            "stage": ",".join(map(str, self.stage_ids)),
            "status": self.status or "",
            "opened": span(self.opened_from, self.opened_to),
            "closed": span(self.closed_from, self.closed_to),
            "q": self.text,
            "show": self.only or "",
        }
        return {k: v for k, v in made.items() if v}

    def where(self, *, but: str = "") -> tuple[str, dict[str, Any]]:
        """(SQL condition on deals d, its parameters). `but` leaves one part out: stage, status, opened, closed or only.

        The text is looked for in the deal's title, which names the account when the source gave no title, and in its id.
        """
        parts: list[str] = []
        params: dict[str, Any] = {}

        def add(part: str, condition: str, **values: Any) -> None:
            if part != but:
                parts.append(condition)
                params.update(values)

        if self.owner_ids:
            add("owner", "d.owner_id = ANY(:owner_ids)", owner_ids=list(self.owner_ids))
        if self.stage_ids:
            add("stage", "d.stage_id = ANY(:stage_ids)", stage_ids=list(self.stage_ids))
        if self.status:
            add("status", "d.status = :status", status=self.status)
        for name, first, last in (
            ("opened", self.opened_from, self.opened_to),
            ("closed", self.closed_from, self.closed_to),
        ):
            if first:
                add(name, f"d.{name}_at >= :{name}_from", **{f"{name}_from": day_start(first)})
            if last:
                add(name, f"d.{name}_at < :{name}_to", **{f"{name}_to": day_start(last + timedelta(days=1))})
        if self.text:
            escaped = self.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            add("text", _TEXT_MATCH, text_like=f"%{escaped}%", text_exact=self.text)
        if self.only:
            add("only", CONDITIONS[self.only])
        return (" AND ".join(parts) or "true"), params


_TEXT_MATCH = (
    "(d.title ILIKE :text_like OR d.external_id = :text_exact "
    "OR d.account_id = ANY(ARRAY(SELECT id FROM accounts WHERE name ILIKE :text_like)))"
)
