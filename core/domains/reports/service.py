"""Commands on client reports: save one. Its mail decides it, see `mail`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import literal_column, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.domains.reports.models import ClientReport, ReportStatus
from core.kit.actor import Actor
from core.runtime.events import service as events

_REPLACEABLE = (ReportStatus.DRAFT, ReportStatus.PENDING_REVIEW)


@dataclass(frozen=True, slots=True)
class NewReport:
    """A report on one client's period, both days inclusive. `content` is Markdown; `metrics` as the model describes."""

    client_id: int
    org_id: UUID
    client: str
    period_start: date
    period_end: date
    content: str
    email_subject: str
    email_body: str
    metrics: Mapping[str, Any]
    report_type: str = "monthly"
    demo: bool = False
    """Whether the client is one of the demo's."""


def save(session: Session, new: NewReport, by: Actor, *, run_id: int | None = None) -> tuple[int, bool]:
    """Write the report of a client and period, replacing one that nobody has decided on. Returns (id, written).

    A report that was approved, sent or rejected stays as it is, and `written` is False.
    """
    values = {
        "org_id": new.org_id, "client_id": new.client_id, "report_type": new.report_type, "period_start": new.period_start,
        "period_end": new.period_end, "content": new.content, "email_subject": new.email_subject, "email_body": new.email_body,
        "metrics": dict(new.metrics), "status": ReportStatus.PENDING_REVIEW.value, "run_id": run_id, "created_by": by.label,
        "demo": new.demo,
    }  # fmt: skip
    fixed = ("org_id", "client_id", "report_type", "period_start")
    statement: Any = (
        insert(ClientReport)
        .values(values)
        .on_conflict_do_update(
            constraint="client_reports_period",
            set_={k: v for k, v in values.items() if k not in fixed},
            where=ClientReport.status.in_(_REPLACEABLE),
        )
        .returning(ClientReport.id, literal_column("xmax = 0").label("created"))
    )
    row = session.execute(statement).first()
    if row is None:
        kept = session.execute(
            select(ClientReport.id).where(
                ClientReport.client_id == new.client_id,
                ClientReport.report_type == new.report_type,
                ClientReport.period_start == new.period_start,
            )
        ).scalar_one()
        return kept, False
    if row.created:
        events.publish(
            session, "report.ready", f"The {new.report_type} report for {new.client} is ready for review.", org_id=new.org_id,
            actor=by, subject=("report", row.id), to_agents=("Delivery AI",), cause_run_id=run_id,
            payload={"client_id": new.client_id, "period_start": new.period_start.isoformat()}, demo=new.demo,
        )  # fmt: skip
    return row.id, True
