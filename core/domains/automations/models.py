"""Automations that run at clients, and how often they ran each day."""

import enum
from datetime import date

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Demo, Id, Instant, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class Health(enum.StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILING = "failing"
    INACTIVE = "inactive"
    UNKNOWN = "unknown"


class Automation(Base):
    """A workflow in a client's n8n, Make or Zapier."""

    __tablename__ = "automations"
    __table_args__ = (one_of("health", Health), Index("automations_by_client", "client_id"))

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    client_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("clients.id", ondelete="CASCADE"))
    ticket_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("tickets.id", ondelete="SET NULL"))
    name: Mapped[str]
    platform: Mapped[str]
    external_id: Mapped[str | None]
    external_url: Mapped[str | None]
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    health: Mapped[str] = mapped_column(server_default=text("'unknown'"))
    last_run_at: Mapped[Instant | None]
    last_checked_at: Mapped[Instant | None]
    last_error: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    demo: Mapped[Demo]


class AutomationDay(Base):
    """Runs and errors of one automation on one UTC day."""

    __tablename__ = "automation_days"
    __table_args__ = (
        UniqueConstraint("automation_id", "day", name="automation_days_once"),
        Index("automation_days_by_day", "day"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    automation_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("automations.id", ondelete="CASCADE"))
    day: Mapped[date]
    runs: Mapped[int] = mapped_column(server_default=text("0"))
    errors: Mapped[int] = mapped_column(server_default=text("0"))
    demo: Mapped[Demo]
