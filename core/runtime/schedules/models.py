"""Schedules: when a job is due. A due slot is a run with the key `schedule:{name}:{due_at}`."""

import enum
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Demo, Id, Instant, Json, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class Overlap(enum.StrEnum):
    """What happens to a slot that comes due while the last run is still going."""

    SKIP = "skip"
    QUEUE = "queue"


class CatchUp(enum.StrEnum):
    """What happens to slots that came due while nothing was running. Slots inside the grace always run."""

    NONE = "none"
    LATEST = "latest"
    ALL = "all"


class Schedule(Base):
    """A scheduled job. `cursor` is the instant up to which slots have been turned into runs."""

    __tablename__ = "schedules"
    __table_args__ = (
        one_of("overlap", Overlap),
        one_of("catch_up", CatchUp),
        UniqueConstraint("org_id", "name", name="schedules_name"),
        Index("schedules_enabled", "enabled"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    name: Mapped[str]
    """Slug used by the CLI and the API, e.g. ceo-morning-brief."""
    title: Mapped[str]
    department: Mapped[str]
    agent: Mapped[str]
    kind: Mapped[str]
    """The run kind its slots have; which handler runs them."""
    task: Mapped[str]
    """What the agent is told, in words a person can edit."""
    facts: Mapped[list[str]] = mapped_column(JSONB, server_default=text("'[]'"))
    """Keys of the fact sections the job may use, in order."""
    cron: Mapped[str]
    time_zone: Mapped[str]
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    paused_until: Mapped[Instant | None]
    grace_s: Mapped[int] = mapped_column(server_default=text("900"))
    """A slot that starts later than this is late; one found later than this is missed unless catch_up says otherwise."""
    overlap: Mapped[str] = mapped_column(server_default=text("'skip'"))
    catch_up: Mapped[str] = mapped_column(server_default=text("'latest'"))
    timeout_s: Mapped[int] = mapped_column(server_default=text("600"))
    payload: Mapped[Json]
    cursor: Mapped[CreatedAt]
    next_due_at: Mapped[Instant | None]
    builtin: Mapped[bool] = mapped_column(server_default=text("false"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    """Goes up with each edit; an edit names the version it saw."""
    created_by: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """Set when the schedule itself is broken (e.g. its cron no longer parses); it does not fire until edited."""
    demo: Mapped[Demo]
