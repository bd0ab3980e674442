"""Read models of tasks."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from core.domains.tasks.models import Task, TaskReason
from core.kit import clock

REASONS = {
    TaskReason.CLIENT_ASKED: "The client asked",
    TaskReason.COMPLIANCE_DUE: "A deadline is due",
    TaskReason.SAFETY: "Safety demands it",
}


@dataclass(frozen=True, slots=True)
class TaskRow:
    """An open task. `reason` is in words; `late` when its day has passed."""

    id: int
    title: str
    detail: str
    reason: str
    evidence: str
    due_at: datetime | None
    late: bool
    mine: bool
    """False when it is anybody's of the role."""
    action_id: int | None
    created_at: datetime


def _theirs(user_id: int, role: str) -> ColumnElement[bool]:
    return and_(Task.done_at.is_(None), or_(Task.user_id == user_id, and_(Task.user_id.is_(None), Task.role == role)))


def open_for(session: Session, user_id: int, role: str, *, limit: int = 20) -> list[TaskRow]:
    """What a person is to do: their own and their role's, the most urgent first."""
    rows = session.scalars(
        select(Task).where(_theirs(user_id, role)).order_by(Task.due_at.asc().nulls_last(), Task.id).limit(limit)
    )
    now = clock.now()
    return [
        TaskRow(
            t.id, t.title, t.detail, REASONS[TaskReason(t.reason)], t.evidence, t.due_at,
            t.due_at is not None and t.due_at < now, t.user_id is not None, t.action_id, t.created_at,
        )
        for t in rows
    ]  # fmt: skip
