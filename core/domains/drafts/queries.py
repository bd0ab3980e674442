"""Read models of drafts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from core.domains.drafts.models import Draft, DraftStatus
from core.errors import NotFound
from core.runtime.orgs.models import AGENCY_ID

KIND_NAMES = {
    "follow_up": "Follow-up note",
    "case_study": "Case study",
    "linkedin_post": "LinkedIn post",
    "blog_outline": "Blog outline",
    "client_email": "Client email",
}
"""Kinds as people say them."""


@dataclass(frozen=True, slots=True)
class DraftRow:
    """One draft. `body` is Markdown."""

    id: int
    kind: str
    title: str
    body: str
    status: str
    subject_type: str | None
    subject_id: int | None
    for_role: str | None
    composer: str
    run_id: int | None
    created_at: datetime
    demo: bool

    @property
    def kind_name(self) -> str:
        """The kind as people say it."""
        return KIND_NAMES.get(self.kind, self.kind)


def _rows() -> Select[*tuple[Any, ...]]:
    return select(
        Draft.id, Draft.kind, Draft.title, Draft.body, Draft.status, Draft.subject_type, Draft.subject_id,
        Draft.for_role, Draft.composer, Draft.run_id, Draft.created_at, Draft.demo,
    )  # fmt: skip


def pending(
    session: Session, *, for_role: str | None = None, kind: str | None = None, limit: int = 50, before_id: int | None = None
) -> list[DraftRow]:
    """Drafts that wait for review, newest first. `for_role` None or "admin" sees everybody's."""
    statement = _rows().where(Draft.status == DraftStatus.PENDING_REVIEW)
    if for_role is not None and for_role != "admin":
        statement = statement.where(Draft.for_role == for_role)
    if kind is not None:
        statement = statement.where(Draft.kind == kind)
    if before_id is not None:
        statement = statement.where(Draft.id < before_id)
    return [DraftRow(*r) for r in session.execute(statement.order_by(Draft.id.desc()).limit(limit))]


def pending_counts(session: Session) -> dict[tuple[str, str], int]:
    """How many wait for review, by (role, kind); drafts for nobody in particular count under role ""."""
    statement = (
        select(func.coalesce(Draft.for_role, ""), Draft.kind, func.count())
        .where(Draft.status == DraftStatus.PENDING_REVIEW)
        .group_by(Draft.for_role, Draft.kind)
    )
    return {(role, kind): number for role, kind, number in session.execute(statement)}


def of_run(session: Session, run_id: int, limit: int = 200) -> list[DraftRow]:
    """What a run wrote, in the order it wrote it."""
    return [DraftRow(*r) for r in session.execute(_rows().where(Draft.run_id == run_id).order_by(Draft.id).limit(limit))]


def count_of_run(session: Session, run_id: int) -> int:
    """How many drafts a run wrote; those a person had decided on before are not its own."""
    return session.scalar(select(func.count()).where(Draft.run_id == run_id)) or 0


def existing_keys(session: Session, keys: Sequence[str], *, org_id: UUID = AGENCY_ID) -> set[str]:
    """Which of these drafts have been written already, whatever became of them since."""
    return set(session.scalars(select(Draft.key).where(Draft.org_id == org_id, Draft.key.in_(keys))))


def about(session: Session, subject_type: str, subject_id: int, limit: int = 20) -> list[DraftRow]:
    """Drafts about one deal, ticket or client, newest first."""
    statement = _rows().where(Draft.subject_type == subject_type, Draft.subject_id == subject_id)
    return [DraftRow(*r) for r in session.execute(statement.order_by(Draft.id.desc()).limit(limit))]


def get(session: Session, draft_id: int) -> DraftRow:
    """One draft. Raises NotFound."""
    row = session.execute(_rows().where(Draft.id == draft_id)).first()
    if row is None:
        raise NotFound(f"There is no draft {draft_id}.", "It may have been cleared; reload the list.")
    return DraftRow(*row)
