"""Deals that changed stage in a period."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.config import get_settings
from core.domains.crm.queries.filters import day_start
from core.kit import clock, money
from core.kit.dates import show_local_day


@dataclass(frozen=True, slots=True)
class Move:
    """A deal entered `to`; `previous` is None when it was opened there. Money in minor units."""

    deal_id: int
    title: str
    previous: str | None
    to: str
    at: datetime
    actor: str
    value_minor: int | None
    currency: str

    def as_row(self) -> dict[str, Any]:
        """As a row behind a fact, in words a person reads."""
        zone = clock.zone(get_settings().time_zone)
        return {
            "deal": self.title, "from": self.previous or "new", "to": self.to, "on": show_local_day(self.at, zone),
            "value": money.show(self.value_minor, self.currency), "by": self.actor, "href": f"/deal?id={self.deal_id}",
            "id": self.deal_id,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moves:
    """The latest moves of a period, and how many deals moved in all."""

    moves: list[Move]
    deals: int


def between(session: Session, first: date, last: date, *, limit: int = 50) -> Moves:
    """Deals that changed stage from `first` to `last` (local days, both count); being opened is no change of stage."""
    found = session.execute(
        text(
            "WITH hit AS (SELECT c.* FROM stage_changes c WHERE c.at >= :start AND c.at < :end AND c.from_stage_id IS NOT NULL) "
            "SELECT h.deal_id, d.title, f.name AS previous, t.name AS to_name, h.at, h.actor, d.value_minor, d.currency, "
            "(SELECT count(DISTINCT deal_id) FROM hit) AS deals "
            "FROM (SELECT * FROM hit ORDER BY at DESC, id DESC LIMIT :limit) h "
            "JOIN deals d ON d.id = h.deal_id JOIN stages t ON t.id = h.to_stage_id "
            "LEFT JOIN stages f ON f.id = h.from_stage_id ORDER BY h.at DESC, h.id DESC"
        ),
        {"start": day_start(first), "end": day_start(last + timedelta(days=1)), "limit": limit},
    ).all()
    moves = [Move(r.deal_id, r.title, r.previous, r.to_name, r.at, r.actor, r.value_minor, r.currency) for r in found]
    return Moves(moves, found[0].deals if found else 0)
