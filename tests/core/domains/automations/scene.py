"""Automations with days of runs."""

from datetime import UTC, date, datetime

from sqlalchemy import update

from core.domains.automations import service
from core.domains.automations.models import Automation
from core.domains.automations.service import NewAutomation
from core.kit.actor import SYSTEM

LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)


def automation(
    session, client: int, *days: tuple[date, int, int], name="Invoice intake", since=LONG_AGO, ticket=None, **values
) -> int:
    """An automation that went live at `since`, with (day, runs, errors)."""
    made = service.register(session, NewAutomation(client, name, "n8n", ticket_id=ticket), SYSTEM)
    session.execute(update(Automation).where(Automation.id == made).values(created_at=since, **values))
    for day, runs, errors in days:
        service.record_day(session, made, day, runs, errors)
    session.expire_all()
    return made
