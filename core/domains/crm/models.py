"""Deals and what surrounds them: accounts, owners, stages, stage history and imports."""

import enum
from datetime import date
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Currency, Demo, Id, Instant, Json, JsonList, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId

# what lists are sorted by. CASE and not coalesce(): under row-level security PostgreSQL lets no coalesce() into an index
# condition, and a page deep in a list would read everything before it
VALUE_KEY = "CASE WHEN value_minor IS NULL THEN 0 ELSE value_minor END"
NO_ACTIVITY = "TIMESTAMPTZ '1970-01-01 00:00:00+00'"
"""Where deals of which no activity is known stand in a list: behind all others."""
ACTIVITY_KEY = f"CASE WHEN last_activity_at IS NULL THEN {NO_ACTIVITY} ELSE last_activity_at END"


class DealStatus(enum.StrEnum):
    OPEN = "open"
    WON = "won"
    LOST = "lost"


class Account(Base):
    """A company we sell to. It becomes a client when a deal is won and delivery starts."""

    __tablename__ = "accounts"
    __table_args__ = (UniqueConstraint("org_id", "name", name="accounts_name"),)

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    name: Mapped[str]
    industry: Mapped[str | None]
    employees: Mapped[int | None]
    website: Mapped[str | None]
    country: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    demo: Mapped[Demo]


class Owner(Base):
    """The salesperson a deal belongs to, by the name the source gives; linked to a user when it is one of ours."""

    __tablename__ = "owners"
    __table_args__ = (UniqueConstraint("org_id", "name", name="owners_name"),)

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    name: Mapped[str]
    user_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id", ondelete="SET NULL"))
    demo: Mapped[Demo]


class Stage(Base):
    """A stage of the pipeline. `probability_percent` weighs the forecast until there is history to weigh it by."""

    __tablename__ = "stages"
    __table_args__ = (one_of("status", DealStatus), UniqueConstraint("org_id", "name", name="stages_name"))

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    name: Mapped[str]
    position: Mapped[int]
    status: Mapped[str]
    """open, won or lost: what a deal in this stage is."""
    probability_percent: Mapped[int] = mapped_column(server_default=text("0"))
    demo: Mapped[Demo]


class Deal(Base):
    """An opportunity. `status` repeats its stage's status so that lists need no join."""

    __tablename__ = "deals"
    __table_args__ = (
        one_of("status", DealStatus),
        UniqueConstraint("org_id", "source", "external_id", name="deals_external"),
        Index("deals_by_status", "status", "stage_id"),
        Index("deals_by_activity", "status", "last_activity_at"),
        Index("deals_by_expected", "status", "expected_close_on"),
        Index("deals_by_owner", "owner_id", "status"),
        Index("deals_by_closed", "closed_at"),
        Index("deals_by_created", "opened_at"),
        Index("deals_by_account", "account_id"),
        Index("deals_by_updated", "updated_at"),
        Index("deals_by_import", "import_id"),
        Index("deals_by_value", "status", text(f"({VALUE_KEY}) DESC"), text("id DESC")),
        Index("deals_listed", text(f"({ACTIVITY_KEY}) DESC"), text("id DESC")),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    source: Mapped[str]
    """Where it came from: csv, pipedrive, demo, manual."""
    external_id: Mapped[str]
    title: Mapped[str]
    account_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("accounts.id", ondelete="SET NULL"))
    owner_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("owners.id", ondelete="SET NULL"))
    stage_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("stages.id"))
    furthest_stage_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("stages.id", ondelete="SET NULL"))
    """The furthest open stage it is known to have reached; kept when it is won or lost. None: not known."""
    status: Mapped[str]
    product: Mapped[str | None]
    contact_name: Mapped[str | None]
    contact_email: Mapped[str | None]
    value_minor: Mapped[int | None] = mapped_column(BigInteger)
    """None when the source gives no value; 0 when it says zero."""
    currency: Mapped[Currency]
    opened_at: Mapped[Instant | None]
    """When the deal was opened in its source; None when the source does not say."""
    stage_since: Mapped[Instant | None]
    last_activity_at: Mapped[Instant | None]
    expected_close_on: Mapped[date | None]
    closed_at: Mapped[Instant | None]
    row_hash: Mapped[str | None]
    """Hash of the imported values, so that a second import changes nothing."""
    import_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("deal_imports.id", ondelete="SET NULL"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    demo: Mapped[Demo]


class StageChange(Base):
    """A deal entered a stage."""

    __tablename__ = "stage_changes"
    __table_args__ = (Index("stage_changes_by_deal", "deal_id", "at"), Index("stage_changes_by_time", "at"))

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    deal_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("deals.id", ondelete="CASCADE"))
    from_stage_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("stages.id", ondelete="SET NULL"))
    to_stage_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("stages.id", ondelete="CASCADE"))
    from_since: Mapped[Instant | None]
    """When it had entered the stage it left; None when that is not known."""
    at: Mapped[Instant]
    actor: Mapped[str]
    demo: Mapped[Demo]


class DealImport(Base):
    """One import of a file or one pull from Pipedrive: what it did, and the rows it turned away."""

    __tablename__ = "deal_imports"

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    source: Mapped[str]
    file_name: Mapped[str]
    file_sha256: Mapped[str | None]
    mapping: Mapped[Json]
    row_count: Mapped[int] = mapped_column(server_default=text("0"))
    created: Mapped[int] = mapped_column(server_default=text("0"))
    updated: Mapped[int] = mapped_column(server_default=text("0"))
    unchanged: Mapped[int] = mapped_column(server_default=text("0"))
    rejected: Mapped[JsonList]
    """[{"line", "reason", "row"}]"""
    cursor: Mapped[Any | None] = mapped_column(JSONB)
    """Where a paged pull resumes after it was cut off."""
    by: Mapped[str]
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[Instant | None]
    demo: Mapped[Demo]
