"""Accounts at vendors, their secrets encrypted, and the evidence of key rotations."""

import enum
from typing import Any

from sqlalchemy import BigInteger, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Demo, Id, Instant, Json, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class ConnectionState(enum.StrEnum):
    UNTESTED = "untested"
    WORKING = "working"
    FAILING = "failing"


class Connection(Base):
    """One account at one vendor. `secret` is AES-256-GCM; its associated data is organisation, table, column and row."""

    __tablename__ = "connections"
    __table_args__ = (
        one_of("state", ConnectionState),
        UniqueConstraint("org_id", "vendor", "name", name="connections_once"),
        Index("connections_by_key", "key_id"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vendor: Mapped[str]
    """slack, resend, smtp, pipedrive …"""
    name: Mapped[str] = mapped_column(server_default=text("'main'"))
    config: Mapped[Json]
    """What is no secret: sender address, host, port, workspace."""
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    key_id: Mapped[str | None]
    hint: Mapped[str | None]
    """The secret's last four characters."""
    state: Mapped[str] = mapped_column(server_default=text("'untested'"))
    tested_at: Mapped[Instant | None]
    said: Mapped[str | None]
    """What the last test said, in a sentence."""
    version: Mapped[int] = mapped_column(server_default=text("1"))
    edited_by: Mapped[str]
    created_at: Mapped[CreatedAt]
    edited_at: Mapped[CreatedAt]
    demo: Mapped[Demo]


class KeyRotation(Base):
    """Evidence of one rotation: from which key to which, how many rows, and when it was complete. Not a tenant table."""

    __tablename__ = "key_rotations"

    id: Mapped[Id]
    to_key: Mapped[str]
    rows: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    left: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """Rows still under other keys, by key id, when it ended."""
    by: Mapped[str]
    started_at: Mapped[CreatedAt]
    finished_at: Mapped[Instant | None]
