"""Commands on tickets and deployments. Each change, its history and its event commit together."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.domains.clients import queries as clients
from core.domains.delivery import rules
from core.domains.delivery.models import Deployment, DeploymentStatus, Platform, Ticket, TicketStatus, TicketStatusChange
from core.errors import BadInput, Conflict, NotFound
from core.kit.actor import Actor
from core.runtime.events import service as events
from core.runtime.events.models import Priority
from core.runtime.orgs.models import AGENCY_ID

_LISTENERS = {
    TicketStatus.SUBMITTED: ("Engineering AI",),
    TicketStatus.APPROVED: ("Engineering AI", "Delivery AI"),
    TicketStatus.DEPLOYED: ("Delivery AI", "Marketing AI", "Executive AI"),
    TicketStatus.FAILED: ("Engineering AI",),
}


@dataclass(frozen=True, slots=True)
class NewTicket:
    """A build to be made. `client_id` None is internal work; `value_minor` is in minor units."""

    title: str
    platform: Platform
    client_id: int | None = None
    deal_id: int | None = None
    problem: str | None = None
    solution: str | None = None
    assignee_user_id: int | None = None
    reviewer_user_id: int | None = None
    value_minor: int = 0
    currency: str = "USD"
    due_at: datetime | None = None


def create_ticket(session: Session, new: NewTicket, by: Actor, *, cause_run_id: int | None = None) -> int:
    """Submit a ticket. Returns its id. Raises BadInput for an empty title, NotFound for an unknown client."""
    title = " ".join(new.title.split())
    if not title:
        raise BadInput("A ticket needs a title.", "Say in a few words what is to be built.")
    org_id = clients.get(session, new.client_id).org_id if new.client_id is not None else AGENCY_ID
    ticket = Ticket(
        org_id=org_id, client_id=new.client_id, deal_id=new.deal_id, title=title, problem=new.problem, solution=new.solution,
        platform=Platform(new.platform).value, status=TicketStatus.SUBMITTED.value, assignee_user_id=new.assignee_user_id,
        reviewer_user_id=new.reviewer_user_id, value_minor=new.value_minor, currency=new.currency, due_at=new.due_at,
    )  # fmt: skip
    session.add(ticket)
    session.flush()
    session.add(TicketStatusChange(org_id=org_id, ticket_id=ticket.id, to_status=TicketStatus.SUBMITTED.value, actor=by.label))
    events.publish(
        session, "ticket.created", f"{by.label} submitted “{title}”.", org_id=org_id, actor=by, subject=("ticket", ticket.id),
        to_agents=_LISTENERS[TicketStatus.SUBMITTED], cause_run_id=cause_run_id, payload={"client_id": new.client_id},
    )  # fmt: skip
    return ticket.id


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move did. `changed` is False when the ticket was there already; then there is no new event."""

    ticket_id: int
    before: TicketStatus
    after: TicketStatus
    changed: bool
    event_id: int | None = None


def move(
    session: Session,
    ticket_id: int,
    to: TicketStatus,
    by: Actor,
    *,
    note: str | None = None,
    expected: TicketStatus | None = None,
    cause_run_id: int | None = None,
) -> Moved:
    """Move a ticket one step through the status machine.

    `expected` is the status the caller saw; when somebody has moved the ticket since, nothing changes.
    Raises NotFound, or Conflict with what the ticket may do instead.
    """
    ticket = _locked(session, ticket_id)
    before, after = TicketStatus(ticket.status), TicketStatus(to)
    if before is after:
        return Moved(ticket_id, before, after, changed=False)
    if expected is not None and before is not expected:
        raise Conflict(f"“{ticket.title}” is now {rules.NAMES[before].lower()}.", "Reload to see who moved it.")
    if not rules.can_move(before, after):
        raise Conflict(
            f"A ticket that is {rules.NAMES[before].lower()} can't become {rules.NAMES[after].lower()}.", _ways_on(before)
        )
    closed = {"closed_at": func.clock_timestamp()} if after is TicketStatus.CLOSED else {}
    session.execute(
        update(Ticket)
        .where(Ticket.id == ticket_id)
        .values(status=after.value, status_since=func.clock_timestamp(), **closed)
        .execution_options(synchronize_session=False)
    )
    session.expire(ticket)
    session.add(
        TicketStatusChange(
            org_id=ticket.org_id,
            ticket_id=ticket_id,
            from_status=before.value,
            to_status=after.value,
            actor=by.label,
            note=note,
            demo=ticket.demo,
        )
    )
    event_id = _tell(session, ticket, before, after, by, note, cause_run_id)
    return Moved(ticket_id, before, after, changed=True, event_id=event_id)


def _ways_on(before: TicketStatus) -> str:
    after = [rules.NAMES[s].lower() for s in TicketStatus if s in rules.TRANSITIONS[before]]
    return f"It can become {' or '.join(after)}." if after else "It is finished; submit a new ticket for more work."


def _tell(
    session: Session, ticket: Ticket, before: TicketStatus, after: TicketStatus, by: Actor, note: str | None, run_id: int | None
) -> int:
    revision = rules.is_revision(before, after)
    said = (
        f"{by.label} sent “{ticket.title}” back to building" if revision else f"“{ticket.title}” is {rules.NAMES[after].lower()}"
    )
    return events.publish(
        session,
        f"ticket.{after.value.lower()}",
        f"{said}{': ' + note if note else ''}.",
        org_id=ticket.org_id,
        actor=by,
        subject=("ticket", ticket.id),
        to_agents=_LISTENERS.get(after, ()),
        priority=Priority.HIGH if after is TicketStatus.FAILED else Priority.NORMAL,
        cause_run_id=run_id,
        payload={"from": before.value, "to": after.value, "client_id": ticket.client_id, "revision": revision},
        demo=ticket.demo,
    )


def assign(session: Session, ticket_id: int, user_id: int | None, by: Actor, *, name: str | None = None) -> None:
    """Give a ticket to a person, or to nobody. `name` is how the event calls them. Raises NotFound."""
    ticket = _locked(session, ticket_id)
    if ticket.assignee_user_id == user_id:
        return
    session.execute(update(Ticket).where(Ticket.id == ticket_id).values(assignee_user_id=user_id))
    whom = name or ("nobody" if user_id is None else "somebody else")
    events.publish(
        session, "ticket.assigned", f"{by.label} gave “{ticket.title}” to {whom}.", org_id=ticket.org_id, actor=by,
        subject=("ticket", ticket_id), payload={"assignee_user_id": user_id}, demo=ticket.demo,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewDeployment:
    """The outcome of one deployment of a ticket. `error` is the platform's own words."""

    ticket_id: int
    status: DeploymentStatus
    error: str | None = None
    url: str | None = None


def record_deployment(session: Session, new: NewDeployment, by: Actor, *, cause_run_id: int | None = None) -> int:
    """Write down a deployment; a first success takes an approved ticket to DEPLOYED. Returns the deployment's id.

    A failed deployment leaves the ticket approved: it can be deployed again without another review.
    Raises NotFound, or Conflict for a ticket that nobody has approved.
    """
    ticket = _locked(session, new.ticket_id)
    if ticket.status not in (TicketStatus.APPROVED, TicketStatus.DEPLOYED):
        raise Conflict(
            f"“{ticket.title}” is {rules.NAMES[ticket.status].lower()}, not approved.", "Have it approved, then deploy."
        )
    made = Deployment(
        org_id=ticket.org_id, ticket_id=ticket.id, client_id=ticket.client_id, platform=ticket.platform,
        status=DeploymentStatus(new.status).value, error=new.error, url=new.url, value_minor=ticket.value_minor,
        currency=ticket.currency, demo=ticket.demo,
    )  # fmt: skip
    session.add(made)
    session.flush()
    if new.status is DeploymentStatus.SUCCEEDED and ticket.status == TicketStatus.APPROVED:
        move(session, ticket.id, TicketStatus.DEPLOYED, by, cause_run_id=cause_run_id)
    if new.status is not DeploymentStatus.SUCCEEDED:
        word = "failed" if new.status is DeploymentStatus.FAILED else "was rolled back"
        events.publish(
            session, f"deployment.{new.status.value}", f"The deployment of “{ticket.title}” {word}.", org_id=ticket.org_id,
            actor=by, subject=("ticket", ticket.id), to_agents=("Engineering AI", "Delivery AI"), priority=Priority.HIGH,
            cause_run_id=cause_run_id, payload={"deployment_id": made.id, "error": new.error, "platform": ticket.platform},
            demo=ticket.demo,
        )  # fmt: skip
    return made.id


def _locked(session: Session, ticket_id: int) -> Ticket:
    ticket = session.execute(
        select(Ticket).where(Ticket.id == ticket_id).with_for_update().execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if ticket is None:
        raise NotFound(f"There is no ticket {ticket_id}.", "It may have been cleared; reload the list.")
    return ticket
