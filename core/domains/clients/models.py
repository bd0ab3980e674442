"""Clients of the agency. Each has an organisation of its own."""

import enum
from datetime import date

from sqlalchemy import BigInteger, ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Currency, Demo, Id, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class ClientStatus(enum.StrEnum):
    ACTIVE = "active"
    AT_RISK = "at_risk"
    PAUSED = "paused"
    CHURNED = "churned"


class Client(Base):
    """A client account. `org_id` is the client's own organisation."""

    __tablename__ = "clients"
    __table_args__ = (one_of("status", ClientStatus),)

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    name: Mapped[str]
    industry: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default=text("'active'"))
    plan: Mapped[str | None]
    health_score: Mapped[int] = mapped_column(server_default=text("100"))
    """0 to 100."""
    owner_user_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id", ondelete="SET NULL"))
    retainer_minor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Monthly retainer in minor units; 0 = not a retainer client."""
    currency: Mapped[Currency]
    contact_name: Mapped[str | None]
    contact_email: Mapped[str | None]
    since: Mapped[date | None]
    created_at: Mapped[CreatedAt]
    demo: Mapped[Demo]
