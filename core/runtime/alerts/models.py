"""Alerts: something is wrong that a person should know, one row a cause."""

import enum

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Demo, Id, Instant, Json, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class Severity(enum.StrEnum):
    INFO = "info"
    WARNING = "warning"
    HIGH = "high"
    CRITICAL = "critical"


class Alert(Base):
    """One cause, however often it shows: `count` grows until a person acknowledges it or it is over."""

    __tablename__ = "agent_alerts"
    __table_args__ = (
        one_of("severity", Severity),
        Index("agent_alerts_open", "org_id", "cause", unique=True, postgresql_where=text("resolved_at IS NULL")),
        Index("agent_alerts_by_time", text("last_at DESC")),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    cause: Mapped[str]
    """What it is about, e.g. "provider_failures:resend"; the same cause is the same alert."""
    severity: Mapped[str]
    title: Mapped[str]
    detail: Mapped[str]
    """What was seen and what to do, in sentences."""
    numbers: Mapped[Json]
    href: Mapped[str | None]
    count: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    first_at: Mapped[CreatedAt]
    last_at: Mapped[CreatedAt]
    acknowledged_by: Mapped[str | None]
    acknowledged_at: Mapped[Instant | None]
    resolved_at: Mapped[Instant | None]
    resolved_by: Mapped[str | None]
    demo: Mapped[Demo]
