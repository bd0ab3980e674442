"""Monthly client reports. A report waits for a person before it goes anywhere."""

import enum
from datetime import date

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Demo, Id, Instant, Json, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class ReportStatus(enum.StrEnum):
    DRAFT = "draft"
    PENDING_REVIEW = "pending_review"
    APPROVED = "approved"
    SENT = "sent"
    REJECTED = "rejected"


class ClientReport(Base):
    """One client's report over one period. `org_id` is the client's organisation."""

    __tablename__ = "client_reports"
    __table_args__ = (
        one_of("status", ReportStatus),
        UniqueConstraint("client_id", "report_type", "period_start", name="client_reports_period"),
        Index("client_reports_by_status", "status"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    client_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("clients.id", ondelete="CASCADE"))
    report_type: Mapped[str] = mapped_column(server_default=text("'monthly'"))
    period_start: Mapped[date]
    period_end: Mapped[date]
    """Last day of the period, inclusive."""
    content: Mapped[str]
    """Markdown."""
    email_subject: Mapped[str | None]
    email_body: Mapped[str | None]
    metrics: Mapped[Json]
    """{"automations_active", "tasks", "errors", "hours_saved", "hours_saved_basis": "assumed" | "measured"}"""
    status: Mapped[str] = mapped_column(server_default=text("'pending_review'"))
    run_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("runs.id", ondelete="SET NULL"))
    sent_at: Mapped[Instant | None]
    created_by: Mapped[str] = mapped_column(server_default=text("'Delivery AI'"))
    created_at: Mapped[CreatedAt]
    demo: Mapped[Demo]
