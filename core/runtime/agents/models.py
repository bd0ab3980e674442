"""What an agent run knew and what it cost."""

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Demo, Id, Instant, Json, JsonList
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class RunFact(Base):
    """One fact of one run, with the rows behind it as they were at the time."""

    __tablename__ = "run_facts"
    __table_args__ = (UniqueConstraint("run_id", "key", name="run_facts_key"),)

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    run_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("runs.id", ondelete="CASCADE"))
    position: Mapped[int]
    section: Mapped[str]
    key: Mapped[str]
    label: Mapped[str]
    value: Mapped[Any] = mapped_column(JSONB)
    """A number, a text or null; money is integer minor units."""
    unit: Mapped[str]
    """count, money:USD, percent, days, hours, text, date."""
    shown: Mapped[str]
    """The value as a person reads it; the only form the prose may use."""
    as_of: Mapped[Instant]
    query: Mapped[str]
    """Dotted name of the query behind it."""
    params: Mapped[Json]
    rows: Mapped[JsonList]
    """At most 50 of the rows behind it, as plain objects; the first is the most important."""
    row_count: Mapped[int] = mapped_column(server_default=text("0"))
    href: Mapped[str | None]
    """Where in the app the whole list opens, e.g. /pipeline?stage=Engaging."""
    demo: Mapped[Demo]


class ModelCall(Base):
    """One call of the model: what it cost and how it ended. Never the key, never the whole prompt."""

    __tablename__ = "model_calls"
    __table_args__ = (Index("model_calls_by_day", "created_at"), Index("model_calls_by_run", "run_id"))

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    run_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("runs.id", ondelete="CASCADE"))
    purpose: Mapped[str]
    model: Mapped[str]
    prompt: Mapped[str]
    """Prompt file and version, e.g. report@3."""
    outcome: Mapped[str]
    """See `core.runtime.agents.outcomes`."""
    input_tokens: Mapped[int] = mapped_column(server_default=text("0"))
    output_tokens: Mapped[int] = mapped_column(server_default=text("0"))
    cost_microusd: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    duration_ms: Mapped[int] = mapped_column(server_default=text("0"))
    detail: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    demo: Mapped[Demo]
