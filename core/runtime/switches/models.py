"""The kill switch: a row that is on stops every effect in its reach."""

import enum

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped

from core.kit.columns import CreatedAt, Demo, Id, Instant, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class Reach(enum.StrEnum):
    """What a switch stops: everything, one organisation, or one agent."""

    EVERYTHING = "everything"
    ORGANISATION = "organisation"
    AGENT = "agent"


class KillSwitch(Base):
    """One pull of the switch. It stops effects until `resumed_at`; the history of pulls stays.

    `org_id` is the organisation it stops, or the agency's own for the other reaches.
    """

    __tablename__ = "kill_switches"
    __table_args__ = (
        one_of("reach", Reach),
        Index("kill_switches_on", "reach", "org_id", "agent", unique=True, postgresql_where=text("resumed_at IS NULL"),
              postgresql_nulls_not_distinct=True),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    reach: Mapped[str]
    agent: Mapped[str | None]
    reason: Mapped[str]
    pulled_by: Mapped[str]
    pulled_by_id: Mapped[int | None]
    pulled_at: Mapped[CreatedAt]
    resume_asked_by: Mapped[str | None]
    resume_asked_by_id: Mapped[int | None]
    """Two people resume everything: the first one asks, the second one does it."""
    resumed_by: Mapped[str | None]
    resumed_at: Mapped[Instant | None]
    demo: Mapped[Demo]
