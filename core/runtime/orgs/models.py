"""Organisations: the agency itself and each client. A tenant row names its organisation."""

import enum
from typing import Annotated
from uuid import UUID

from sqlalchemy import ForeignKey, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Demo, one_of
from core.kit.db import Base

AGENCY_ID = UUID("00000000-0000-4000-8000-000000000001")
"""The agency's own organisation; the first migration creates it."""

OrgId = Annotated[UUID, mapped_column(Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), index=True)]


class OrgKind(enum.StrEnum):
    AGENCY = "agency"
    CLIENT = "client"


class Organisation(Base):
    """A tenant. Its row is visible to itself and to staff."""

    __tablename__ = "organisations"
    __table_args__ = (one_of("kind", OrgKind),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=text("gen_random_uuid()"))
    name: Mapped[str]
    kind: Mapped[str]
    time_zone: Mapped[str] = mapped_column(server_default=text("'America/Chicago'"))
    created_at: Mapped[CreatedAt]
    demo: Mapped[Demo]
