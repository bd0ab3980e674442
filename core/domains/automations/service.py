"""Commands on automations: register one that went live, record a day of its runs."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.domains.automations.models import Automation, AutomationDay
from core.domains.clients import queries as clients
from core.errors import BadInput, NotFound
from core.kit.actor import Actor
from core.runtime.events import service as events


@dataclass(frozen=True, slots=True)
class NewAutomation:
    """A workflow that went live at a client."""

    client_id: int
    name: str
    platform: str
    ticket_id: int | None = None
    external_id: str | None = None
    external_url: str | None = None


def register(session: Session, new: NewAutomation, by: Actor) -> int:
    """Put a deployed workflow on the list. Returns its id. Raises BadInput, NotFound."""
    name = " ".join(new.name.split())
    if not name:
        raise BadInput("An automation needs a name.", "Use the workflow's name at the client.")
    client = clients.get(session, new.client_id)
    made = Automation(
        org_id=client.org_id, client_id=client.id, ticket_id=new.ticket_id, name=name, platform=new.platform,
        external_id=new.external_id, external_url=new.external_url, demo=client.demo,
    )  # fmt: skip
    session.add(made)
    session.flush()
    events.publish(
        session, "automation.registered", f"“{name}” runs at {client.name} now.", org_id=client.org_id, actor=by,
        subject=("automation", made.id), demo=client.demo,
    )  # fmt: skip
    return made.id


def record_day(session: Session, automation_id: int, day: date, runs: int, errors: int) -> None:
    """Set how often an automation ran and failed on a UTC day; the last word counts. Raises BadInput, NotFound."""
    if not 0 <= errors <= runs:
        raise BadInput("A day has at least as many runs as errors, and neither is negative.", "Check the figures.")
    automation = session.get(Automation, automation_id)
    if automation is None:
        raise NotFound(f"There is no automation {automation_id}.", "It may have been cleared; reload the list.")
    statement = insert(AutomationDay).values(
        org_id=automation.org_id, automation_id=automation_id, day=day, runs=runs, errors=errors, demo=automation.demo
    )
    session.execute(
        statement.on_conflict_do_update(
            constraint="automation_days_once",
            set_={"runs": statement.excluded.runs, "errors": statement.excluded.errors},
        )
    )
