"""The run ledger: every piece of background work is a row here before it is anything else."""

import enum
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Demo, Id, Instant, Json, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class RunState(enum.StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"


class Reason(enum.StrEnum):
    """Why a run ended or waits as it does; kept apart from `state` so that each word stays its own."""

    ERROR = "error"
    TIMED_OUT = "timed_out"
    BY_PERSON = "by_person"
    MISSED = "missed"
    COALESCED = "coalesced"
    RETRY = "retry"
    POISON = "poison"


class Queue(enum.StrEnum):
    INTERACTIVE = "interactive"
    AGENTS = "agents"
    BACKGROUND = "background"


class CauseKind(enum.StrEnum):
    SCHEDULE = "schedule"
    USER = "user"
    EVENT = "event"
    RUN = "run"
    API = "api"
    SYSTEM = "system"


ACTIVE = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING)
ENDED = (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.QUARANTINED)


class Run(Base):
    """One piece of work. `lease_token` fences every write of the attempt that holds it."""

    __tablename__ = "runs"
    __table_args__ = (
        one_of("state", RunState),
        one_of("queue", Queue),
        UniqueConstraint("key", name="runs_key"),
        Index("runs_runnable", "queue", "priority", "run_after", "id", postgresql_where=text("state IN ('queued', 'waiting')")),
        # not on lease_until: a renewal then changes no index (a HOT update), and few runs are running at a time
        Index("runs_running", "id", postgresql_where=text("state = 'running'")),
        Index("runs_by_name", "name", text("id DESC")),
        Index("runs_by_state", "state", text("id DESC")),
        Index("runs_by_schedule", "schedule_id", text("id DESC"), postgresql_where=text("schedule_id IS NOT NULL")),
        Index("runs_by_created", text("created_at DESC")),
        Index("runs_by_replay", "replay_of", postgresql_where=text("replay_of IS NOT NULL")),
        Index("runs_by_cause", "cause_id", text("id DESC"), postgresql_where=text("cause_kind = 'run'")),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    kind: Mapped[str]
    """Which registered handler runs it."""
    name: Mapped[str]
    """What it is called on the screen and in the CLI, e.g. the schedule's name."""
    key: Mapped[str | None]
    queue: Mapped[str]
    priority: Mapped[int] = mapped_column(server_default=text("100"))
    """Lower runs first."""
    state: Mapped[str] = mapped_column(server_default=text("'queued'"))
    reason: Mapped[str | None]
    payload: Mapped[Json]
    run_after: Mapped[CreatedAt]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    max_attempts: Mapped[int] = mapped_column(server_default=text("3"))
    rescues: Mapped[int] = mapped_column(server_default=text("0"))
    """How often it was taken back from a worker that died or fell silent, whoever was to blame."""
    crashes: Mapped[int] = mapped_column(server_default=text("0"))
    """How often its own process died while its worker lived: the run itself is the likely cause."""
    timeout_s: Mapped[int] = mapped_column(server_default=text("600"))
    lease_until: Mapped[Instant | None]
    lease_token: Mapped[UUID | None] = mapped_column(Uuid)
    worker: Mapped[str | None]
    pushed_at: Mapped[Instant | None]
    cancel_requested_at: Mapped[Instant | None]
    progress: Mapped[float] = mapped_column(server_default=text("0"))
    """0 to 1."""
    progress_note: Mapped[str | None]
    output: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """{"message", "next_step", "type", "trace"}; the trace is for engineers and never on a list."""
    cause_kind: Mapped[str] = mapped_column(server_default=text("'system'"))
    cause_id: Mapped[int | None] = mapped_column(BigInteger)
    """Id of the user, event, run, schedule or API key that caused it."""
    cause_label: Mapped[str | None]
    """Who or what caused it, in words: "Dave", "schedule", "API key n8n"."""
    schedule_id: Mapped[int | None] = mapped_column(ForeignKey("schedules.id", ondelete="SET NULL"))
    due_at: Mapped[Instant | None]
    late: Mapped[bool] = mapped_column(server_default=text("false"))
    """Started later than its schedule's grace allows."""
    replay_of: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("runs.id", ondelete="SET NULL"))
    cost_microusd: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    tokens: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[CreatedAt]
    started_at: Mapped[Instant | None]
    finished_at: Mapped[Instant | None]
    demo: Mapped[Demo]


class StepState(enum.StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RunStep(Base):
    """A named, timed part of a run. A finished step is not redone when the run is resumed."""

    __tablename__ = "run_steps"
    __table_args__ = (one_of("state", StepState), UniqueConstraint("run_id", "name", name="run_steps_once"))

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    name: Mapped[str]
    label: Mapped[str]
    state: Mapped[str]
    attempt: Mapped[int]
    note: Mapped[str | None]
    output: Mapped[Any | None] = mapped_column(JSONB)
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[Instant | None]
    demo: Mapped[Demo]


class RunLog(Base):
    """A line a run wrote for people to read on its page."""

    __tablename__ = "run_logs"
    __table_args__ = (Index("run_logs_by_run", "run_id", "id"),)

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    level: Mapped[str]
    """info, warning or error."""
    message: Mapped[str]
    at: Mapped[CreatedAt]
    demo: Mapped[Demo]


class Heartbeat(Base):
    """The last sign of life of a process (web, gateway, clock, watchdog, each worker). Not a tenant table."""

    __tablename__ = "heartbeats"

    process: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[CreatedAt]
    pid: Mapped[int]
    host: Mapped[str]
    detail: Mapped[Json]
