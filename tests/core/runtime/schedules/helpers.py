"""Shorthands of the schedule tests."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.events.models import Event
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs.models import Run
from core.runtime.runs.probes import NOOP
from core.runtime.schedules.models import Schedule


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def make(session: Session, name: str = "five-minutes", cron: str = "*/5 * * * *", **values: Any) -> Schedule:
    """A schedule of a kind that does nothing, straight into the table: also with values no person could save."""
    given = {
        "org_id": AGENCY_ID, "name": name, "title": name.replace("-", " ").capitalize(), "department": "engineering",
        "agent": "Engineering AI", "kind": NOOP, "task": "Nothing.", "cron": cron, "time_zone": "UTC",
    }  # fmt: skip
    schedule = Schedule(**(given | values))
    session.add(schedule)
    session.flush()
    session.refresh(schedule)
    return schedule


def slots_of(name: str) -> dict[datetime, str]:
    """What the ledger says of each slot: "run", "missed" or "coalesced"."""
    with database.transaction(STAFF) as session:
        rows = session.execute(select(Run.due_at, Run.reason).where(Run.name == name, Run.due_at.is_not(None)))
        return {r.due_at.astimezone(UTC): r.reason or "run" for r in rows}


def events_of(type_: str) -> list[Event]:
    with database.transaction(STAFF) as session:
        return list(session.scalars(select(Event).where(Event.type == type_).order_by(Event.id)))


def get(name: str) -> Schedule:
    with database.transaction(STAFF) as session:
        return session.scalars(select(Schedule).where(Schedule.name == name)).one()
