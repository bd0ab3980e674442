"""Builds: tickets with their status history, and deployments."""

import enum

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Currency, Demo, Id, Instant, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class TicketStatus(enum.StrEnum):
    SUBMITTED = "SUBMITTED"
    ANALYZING = "ANALYZING"
    BUILDING = "BUILDING"
    REVIEW_PENDING = "REVIEW_PENDING"
    APPROVED = "APPROVED"
    DEPLOYED = "DEPLOYED"
    CLOSED = "CLOSED"
    FAILED = "FAILED"


OPEN_STATUSES = (
    TicketStatus.SUBMITTED,
    TicketStatus.ANALYZING,
    TicketStatus.BUILDING,
    TicketStatus.REVIEW_PENDING,
    TicketStatus.APPROVED,
)


class Platform(enum.StrEnum):
    N8N = "n8n"
    MAKE = "make"
    ZAPIER = "zapier"


class Ticket(Base):
    """A build. `org_id` is the client's organisation (the agency's for internal work)."""

    __tablename__ = "tickets"
    __table_args__ = (
        one_of("status", TicketStatus),
        one_of("platform", Platform),
        Index("tickets_by_status", "status", "status_since"),
        Index("tickets_by_client", "client_id"),
        Index("tickets_by_assignee", "assignee_user_id", "status"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    client_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("clients.id", ondelete="SET NULL"))
    deal_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("deals.id", ondelete="SET NULL"))
    title: Mapped[str]
    problem: Mapped[str | None]
    solution: Mapped[str | None]
    platform: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=text("'SUBMITTED'"))
    status_since: Mapped[CreatedAt]
    assignee_user_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id", ondelete="SET NULL"))
    reviewer_user_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id", ondelete="SET NULL"))
    value_minor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    currency: Mapped[Currency]
    due_at: Mapped[Instant | None]
    created_at: Mapped[CreatedAt]
    closed_at: Mapped[Instant | None]
    demo: Mapped[Demo]


class TicketStatusChange(Base):
    """A ticket entered a status."""

    __tablename__ = "ticket_status_changes"
    __table_args__ = (
        Index("ticket_status_changes_by_ticket", "ticket_id", "at"),
        Index("ticket_status_changes_by_time", "to_status", "at"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    ticket_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tickets.id", ondelete="CASCADE"))
    from_status: Mapped[str | None]
    to_status: Mapped[str]
    at: Mapped[CreatedAt]
    actor: Mapped[str]
    note: Mapped[str | None]
    demo: Mapped[Demo]


class DeploymentStatus(enum.StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"


class Deployment(Base):
    """One deployment of a ticket's workflow to the client's platform."""

    __tablename__ = "deployments"
    __table_args__ = (
        one_of("status", DeploymentStatus),
        one_of("platform", Platform),
        Index("deployments_by_time", "at"),
        Index("deployments_by_client", "client_id", "status"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    ticket_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("tickets.id", ondelete="SET NULL"))
    client_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("clients.id", ondelete="CASCADE"))
    platform: Mapped[str]
    status: Mapped[str]
    error: Mapped[str | None]
    url: Mapped[str | None]
    value_minor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    currency: Mapped[Currency]
    at: Mapped[CreatedAt]
    demo: Mapped[Demo]
