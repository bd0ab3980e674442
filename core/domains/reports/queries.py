"""Read models of client reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domains.clients import queries as clients
from core.domains.reports.models import ClientReport, ReportStatus
from core.errors import NotFound


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One report. `content` is Markdown; `period_end` is inclusive."""

    id: int
    client_id: int
    client: str
    report_type: str
    period_start: date
    period_end: date
    content: str
    email_subject: str | None
    email_body: str | None
    metrics: Mapping[str, Any]
    status: str
    run_id: int | None
    sent_at: datetime | None
    created_by: str
    created_at: datetime
    demo: bool


def _rows(session: Session, *where: Any, limit: int) -> list[ReportRow]:
    statement: Any = (
        select(
            ClientReport.id, ClientReport.client_id, ClientReport.report_type, ClientReport.period_start, ClientReport.period_end,
            ClientReport.content, ClientReport.email_subject, ClientReport.email_body, ClientReport.metrics, ClientReport.status,
            ClientReport.run_id, ClientReport.sent_at, ClientReport.created_by, ClientReport.created_at, ClientReport.demo,
        )
        .where(*where)
        .order_by(ClientReport.period_start.desc(), ClientReport.id.desc())
        .limit(limit)
    )  # fmt: skip
    found = session.execute(statement).all()
    companies = clients.by_ids(session, [r.client_id for r in found])
    return [ReportRow(r[0], r[1], companies[r[1]].name if r[1] in companies else "a client that is gone", *r[2:]) for r in found]


def pending(session: Session, limit: int = 100) -> list[ReportRow]:
    """Reports that wait for review, the latest period first."""
    return _rows(session, ClientReport.status == ReportStatus.PENDING_REVIEW, limit=limit)


def pending_count(session: Session) -> int:
    """How many reports wait for review."""
    return session.scalar(select(func.count()).where(ClientReport.status == ReportStatus.PENDING_REVIEW)) or 0


def of_run(session: Session, run_id: int, limit: int = 200) -> list[ReportRow]:
    """What a run wrote."""
    return _rows(session, ClientReport.run_id == run_id, limit=limit)


def of_client(session: Session, client_id: int, limit: int = 24) -> list[ReportRow]:
    """A client's reports, the latest first."""
    return _rows(session, ClientReport.client_id == client_id, limit=limit)


def get(session: Session, report_id: int) -> ReportRow:
    """One report. Raises NotFound."""
    found = _rows(session, ClientReport.id == report_id, limit=1)
    if not found:
        raise NotFound(f"There is no report {report_id}.", "It may have been cleared; reload the list.")
    return found[0]
