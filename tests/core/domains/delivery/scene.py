"""Tickets and deployments in a given state, as if they had got there some time ago."""

from datetime import datetime, timedelta

from sqlalchemy import update

from core.domains.delivery import service
from core.domains.delivery.models import Deployment, DeploymentStatus, Platform, Ticket, TicketStatus, TicketStatusChange
from core.kit import clock
from core.kit.actor import SYSTEM
from core.runtime.orgs.models import AGENCY_ID

DAY = timedelta(days=1)


def ticket(
    session, *, status=TicketStatus.SUBMITTED, since=None, client=None, title="Lead routing", assignee=None, reviewer=None,
    due=None, value=0, demo=False,
) -> int:  # fmt: skip
    """A ticket that entered `status` at `since` (now)."""
    new = service.NewTicket(
        title, Platform.N8N, client, assignee_user_id=assignee, reviewer_user_id=reviewer, due_at=due, value_minor=value
    )
    made = service.create_ticket(session, new, SYSTEM)
    at = since or clock.now()
    session.execute(
        update(Ticket)
        .where(Ticket.id == made)
        .values(status=status, status_since=at, created_at=at, demo=demo, closed_at=at if status == "CLOSED" else None)
    )
    session.execute(update(TicketStatusChange).where(TicketStatusChange.ticket_id == made).values(at=at))
    if status != TicketStatus.SUBMITTED:
        entered(session, made, status, at)
    session.expire_all()
    return made


def entered(session, ticket_id, status, at) -> None:
    """A line of history."""
    session.add(
        TicketStatusChange(org_id=AGENCY_ID, ticket_id=ticket_id, from_status="SUBMITTED", to_status=status, at=at, actor="Brian")
    )
    session.flush()


def deployment(
    session, client, *, at: datetime, status=DeploymentStatus.FAILED, ticket_id=None, value=0, error="It broke."
) -> int:
    """A deployment at a given instant."""
    made = Deployment(
        org_id=AGENCY_ID, client_id=client, ticket_id=ticket_id, platform="n8n", status=status, at=at, value_minor=value,
        error=None if status == DeploymentStatus.SUCCEEDED else error,
    )  # fmt: skip
    session.add(made)
    session.flush()
    return made.id
