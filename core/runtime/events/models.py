"""Events: the outbox and the audit trail (the seeds' `activity_events`)."""

import enum

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Demo, Id, Json, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class Priority(enum.StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class Event(Base):
    """Something that happened, told in the same transaction as the change it tells of."""

    __tablename__ = "events"
    __table_args__ = (
        one_of("priority", Priority),
        Index("events_by_type", "type", text("id DESC")),
        Index("events_by_subject", "subject_type", "subject_id", text("id DESC")),
        Index("events_by_run", "cause_run_id"),
        Index("events_by_created", text("created_at DESC")),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    type: Mapped[str]
    summary: Mapped[str]
    """One sentence for people."""
    payload: Mapped[Json]
    actor: Mapped[str]
    """Who did it, in words: "Tony", "Sales AI", "schedule"."""
    actor_user_id: Mapped[int | None] = mapped_column(BigInteger)
    to_agents: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default=text("'{}'"))
    priority: Mapped[str] = mapped_column(server_default=text("'normal'"))
    subject_type: Mapped[str | None]
    """deal, ticket, client, automation, schedule, report, draft, user …"""
    subject_id: Mapped[int | None] = mapped_column(BigInteger)
    cause_event_id: Mapped[int | None] = mapped_column(BigInteger)
    cause_run_id: Mapped[int | None] = mapped_column(BigInteger)
    hop: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[CreatedAt]
    demo: Mapped[Demo]
