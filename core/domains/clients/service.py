"""Commands on clients."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.config import get_settings
from core.domains.clients import rules
from core.domains.clients.models import Client, ClientStatus
from core.errors import BadInput, Conflict, NotFound
from core.kit.actor import Actor
from core.runtime.events import service as events
from core.runtime.events.models import Priority
from core.runtime.orgs.models import Organisation, OrgKind

_TOLD_ABOUT_TROUBLE = ("Delivery AI", "Sales AI", "Executive AI")


@dataclass(frozen=True, slots=True)
class NewClient:
    """What a new client needs. `retainer_minor` is per month in minor units; 0 means no retainer."""

    name: str
    industry: str | None = None
    plan: str | None = None
    owner_user_id: int | None = None
    retainer_minor: int = 0
    currency: str = "USD"
    contact_name: str | None = None
    contact_email: str | None = None
    since: date | None = None
    time_zone: str | None = None


def create(session: Session, new: NewClient, by: Actor) -> int:
    """Create a client and its own organisation. Returns the client's id.

    Raises BadInput for an empty name or a negative retainer, Conflict when there is a client of that name.
    """
    name = " ".join(new.name.split())
    if not name:
        raise BadInput("A client needs a name.", "Type the company's name.")
    if new.retainer_minor < 0:
        raise BadInput("A retainer can't be negative.", "Use 0 for a client without a retainer.")
    taken = session.scalar(select(Client.name).where(func.lower(Client.name) == name.lower()))
    if taken is not None:
        raise Conflict(f"There is a client called {taken} already.", "Open that one, or use another name.")
    org = Organisation(name=name, kind=OrgKind.CLIENT, time_zone=new.time_zone or get_settings().time_zone)
    session.add(org)
    session.flush()
    client = Client(
        org_id=org.id, name=name, industry=new.industry, plan=new.plan, owner_user_id=new.owner_user_id,
        retainer_minor=new.retainer_minor, currency=new.currency, contact_name=new.contact_name,
        contact_email=new.contact_email, since=new.since,
    )  # fmt: skip
    session.add(client)
    session.flush()
    events.publish(
        session, "client.created", f"{by.label} added the client {name}.", org_id=org.id, actor=by, subject=("client", client.id)
    )
    return client.id


def set_status(session: Session, client_id: int, status: ClientStatus, by: Actor, *, reason: str = "") -> None:
    """Change a client's status; the same status again changes nothing. Raises NotFound."""
    client = _locked(session, client_id)
    before = client.status
    if before == status:
        return
    session.execute(update(Client).where(Client.id == client_id).values(status=status.value))
    trouble = status in (ClientStatus.AT_RISK, ClientStatus.CHURNED)
    events.publish(
        session,
        f"client.{status.value}",
        f"{by.label} marked {client.name} as {status.value.replace('_', ' ')}{': ' + reason if reason else ''}.",
        org_id=client.org_id,
        actor=by,
        subject=("client", client_id),
        to_agents=_TOLD_ABOUT_TROUBLE if trouble else (),
        priority=Priority.HIGH if trouble else Priority.NORMAL,
        payload={"from": before, "to": status.value, "reason": reason},
        demo=client.demo,
    )


def set_health(session: Session, client_id: int, score: int, by: Actor) -> None:
    """Record a health score from 0 to 100. Falling under the threshold tells people once. Raises BadInput, NotFound."""
    if not 0 <= score <= 100:
        raise BadInput("A health score is a number from 0 to 100.", "Correct it and try again.")
    client = _locked(session, client_id)
    before = client.health_score
    if before == score:
        return
    session.execute(update(Client).where(Client.id == client_id).values(health_score=score))
    fell = before >= rules.UNHAPPY_BELOW > score
    events.publish(
        session,
        "client.health_low" if fell else "client.health",
        f"The health score of {client.name} went from {before} to {score}.",
        org_id=client.org_id,
        actor=by,
        subject=("client", client_id),
        to_agents=_TOLD_ABOUT_TROUBLE if fell else (),
        priority=Priority.HIGH if fell else Priority.LOW,
        payload={"from": before, "to": score},
        demo=client.demo,
    )


def _locked(session: Session, client_id: int) -> Client:
    client = session.execute(
        select(Client).where(Client.id == client_id).with_for_update().execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if client is None:
        raise NotFound(f"There is no client {client_id}.", "It may have been cleared; reload the list.")
    return client
