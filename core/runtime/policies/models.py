"""Policies as they are set, and what they decided."""

import enum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Demo, Id, Instant, Json, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class Verdict(enum.StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    APPROVAL = "needs_approval"
    DEFER = "defer"


class Stage(enum.StrEnum):
    PROPOSE = "propose"
    EDIT = "edit"
    SEND = "send"


class PolicySetting(Base):
    """A policy's numbers for one organisation; the agency's own row is everybody's default. No row: the built-in numbers."""

    __tablename__ = "policy_settings"
    __table_args__ = (UniqueConstraint("org_id", "policy", name="policy_settings_once"),)

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    policy: Mapped[str]
    values: Mapped[Json]
    pending: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """A change that waits for a second admin: {"changes", "by", "by_id", "at"}."""
    version: Mapped[int] = mapped_column(server_default=text("1"))
    edited_by: Mapped[str]
    edited_at: Mapped[CreatedAt]
    demo: Mapped[Demo]


class PolicyVerdict(Base):
    """What one policy said about one action at one stage, with all it looked at, so that it can be asked again."""

    __tablename__ = "policy_verdicts"
    __table_args__ = (
        one_of("verdict", Verdict),
        one_of("stage", Stage),
        Index("policy_verdicts_by_action", "action_id", "id"),
        Index("policy_verdicts_by_policy", "policy", text("at DESC")),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    action_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("actions.id", ondelete="CASCADE"))
    policy: Mapped[str]
    stage: Mapped[str]
    verdict: Mapped[str]
    reason: Mapped[str]
    inputs: Mapped[Json]
    values: Mapped[Json]
    until: Mapped[Instant | None]
    at: Mapped[CreatedAt]
    demo: Mapped[Demo]
