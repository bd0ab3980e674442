"""What the builders of the demo share: the dice, the clock, and bulk inserts that mark every row."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Table, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

# imported for their tables, which the builders fill by name: a domain's classes stay its own
from core.domains.automations import queries as _automations  # noqa: F401
from core.domains.crm.queries import deals as _deals  # noqa: F401
from core.domains.delivery import queries as _delivery  # noqa: F401
from core.domains.drafts import queries as _drafts  # noqa: F401
from core.domains.reports import queries as _reports  # noqa: F401
from core.kit.db import Base
from core.runtime.actions import models as _actions  # noqa: F401
from core.runtime.agents import models as _agents  # noqa: F401
from core.runtime.orgs.models import AGENCY_ID

Row = dict[str, Any]
HISTORY = timedelta(weeks=8)


@dataclass(frozen=True, slots=True)
class DemoClient:
    """A client of the demo agency, as the builders need it."""

    id: int
    org_id: UUID
    name: str
    industry: str


@dataclass
class World:
    """One load of the demo. The same seed and the same `now` give the same agency."""

    session: Session
    now: datetime
    zone: ZoneInfo
    rng: random.Random
    users: dict[str, int] = field(default_factory=dict)
    clients: list[DemoClient] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    made: dict[str, int] = field(default_factory=dict)

    def put(self, table: str, rows: Sequence[Row]) -> list[int]:
        """Insert rows that share their columns, marked as demo. Returns their ids in order."""
        if not rows:
            return []
        target = self.table(table)
        self.made[table] = self.made.get(table, 0) + len(rows)
        statement = insert(target).returning(target.c.id, sort_by_parameter_order=True)
        return list(self.session.scalars(statement, [{**row, "demo": True} for row in rows]))

    def put_many(self, table: str, rows: Sequence[Row]) -> None:
        """Like `put` when nobody needs the ids."""
        if rows:
            self.made[table] = self.made.get(table, 0) + len(rows)
            self.session.execute(insert(self.table(table)), [{**row, "demo": True} for row in rows])

    def put_named(self, table: str, column: str, rows: Sequence[Row]) -> dict[str, int]:
        """Insert those that no row of the agency has the name of yet. Returns ids by name, old and new."""
        target = self.table(table)
        names = [row[column] for row in rows]
        made = self.session.execute(
            upsert(target).values([{"org_id": AGENCY_ID, **row, "demo": True} for row in rows]).on_conflict_do_nothing()
            .returning(target.c.id)
        ).all()  # fmt: skip
        self.made[table] = self.made.get(table, 0) + len(made)
        known = select(target.c[column], target.c.id).where(target.c.org_id == AGENCY_ID, target.c[column].in_(names))
        found: dict[str, int] = {r[0]: r[1] for r in self.session.execute(known)}
        return {n: found[n] for n in names}  # in their order, so that the same day draws the same agency

    @staticmethod
    def table(name: str) -> Table:
        """The table of that name."""
        return Base.metadata.tables[name]

    def tell(
        self, type: str, summary: str, at: datetime, *, org_id: UUID = AGENCY_ID, actor: str = "System",
        subject: tuple[str, int] | None = None, payload: Mapping[str, Any] | None = None, to_agents: Sequence[str] = (),
        priority: str = "normal", run_id: int | None = None,
    ) -> None:  # fmt: skip
        """Note an event; all of them are written at the end, in the order of their time."""
        if at > self.now:
            return
        self.events.append(
            {
                "org_id": org_id, "type": type, "summary": summary, "payload": dict(payload or {}), "actor": actor,
                "actor_user_id": self.users.get(actor), "to_agents": list(to_agents), "priority": priority,
                "subject_type": subject[0] if subject else None, "subject_id": subject[1] if subject else None,
                "cause_run_id": run_id, "created_at": at,
            }
        )  # fmt: skip

    def hours(self, least: float, most: float) -> timedelta:
        """A length of time between two numbers of hours."""
        return timedelta(hours=self.rng.uniform(least, most))

    def office_time(self, first: datetime, last: datetime) -> datetime:
        """An instant between the two, in office hours where there are any between them; never in the future."""
        last = min(last, self.now)
        first = min(first, last)
        found = last
        for _ in range(30):
            found = first + (last - first) * self.rng.random()
            local = found.astimezone(self.zone)
            if local.weekday() < 5 and 8 <= local.hour < 18:
                break
        return found
