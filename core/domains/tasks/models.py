"""Work for people: created only for a reason that justifies it."""

import enum

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Demo, Id, Instant, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class TaskReason(enum.StrEnum):
    """What justifies asking a person: nothing else does."""

    CLIENT_ASKED = "client_asked"
    COMPLIANCE_DUE = "compliance_due"
    SAFETY = "safety"


class Task(Base):
    """Something a person is to do."""

    __tablename__ = "tasks"
    __table_args__ = (
        one_of("reason", TaskReason),
        Index("tasks_open", "user_id", "due_at", postgresql_where=text("done_at IS NULL")),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    title: Mapped[str]
    detail: Mapped[str]
    reason: Mapped[str]
    evidence: Mapped[str]
    """What shows the reason: the client's words, the deadline, the danger."""
    user_id: Mapped[int | None] = mapped_column(BigInteger)
    role: Mapped[str | None]
    """Whose it is when it is no one person's: anybody of that role may do it."""
    action_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    due_at: Mapped[Instant | None]
    done_at: Mapped[Instant | None]
    done_by: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    demo: Mapped[Demo]
