"""People outside whom we must not write to."""

import enum

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from core.kit.columns import CreatedAt, Demo, Id, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class Why(enum.StrEnum):
    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    OPT_OUT = "opt_out"
    MANUAL = "manual"


class Suppression(Base):
    """A person nothing is sent to. It holds for every sender and every organisation; `org_id` says where it was learned."""

    __tablename__ = "suppressions"
    __table_args__ = (
        one_of("why", Why),
        UniqueConstraint("org_id", "person", name="suppressions_once"),
        Index("suppressions_by_person", "person"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    person: Mapped[str]
    """The address as `rules.person_key` writes it."""
    address: Mapped[str]
    """As it was given."""
    why: Mapped[str]
    source: Mapped[str]
    """Who or what said so, in words."""
    note: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    demo: Mapped[Demo]
