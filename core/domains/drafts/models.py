"""Drafts: texts an agent wrote for a person to review. Nothing here has left the house."""

import enum

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Demo, Id, JsonList, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class DraftKind(enum.StrEnum):
    FOLLOW_UP = "follow_up"
    CASE_STUDY = "case_study"
    LINKEDIN_POST = "linkedin_post"
    BLOG_OUTLINE = "blog_outline"
    CLIENT_EMAIL = "client_email"


class DraftStatus(enum.StrEnum):
    PENDING_REVIEW = "pending_review"
    APPROVED = "approved"
    DISMISSED = "dismissed"
    SUPERSEDED = "superseded"


class Draft(Base):
    """A draft about one subject. `key` makes a second run of the same slot replace, not repeat."""

    __tablename__ = "drafts"
    __table_args__ = (
        one_of("kind", DraftKind),
        one_of("status", DraftStatus),
        UniqueConstraint("org_id", "key", name="drafts_key"),
        Index("drafts_by_status", "status", "kind"),
        Index("drafts_by_run", "run_id"),
        Index("drafts_by_subject", "subject_type", "subject_id"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    kind: Mapped[str]
    key: Mapped[str]
    title: Mapped[str]
    body: Mapped[str]
    """Markdown."""
    status: Mapped[str] = mapped_column(server_default=text("'pending_review'"))
    subject_type: Mapped[str | None]
    subject_id: Mapped[int | None] = mapped_column(BigInteger)
    for_role: Mapped[str | None]
    """Whose review it waits for."""
    fact_keys: Mapped[JsonList]
    composer: Mapped[str] = mapped_column(server_default=text("'template'"))
    """template or the model's name."""
    run_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("runs.id", ondelete="SET NULL"))
    created_at: Mapped[CreatedAt]
    demo: Mapped[Demo]
