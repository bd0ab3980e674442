"""Commands on client reports: save one, decide on one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import literal_column, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.domains.reports import mail
from core.domains.reports.models import ClientReport, ReportStatus
from core.domains.reports.rules import fingerprint as fingerprint
from core.errors import BadInput, Conflict, NotFound
from core.kit.actor import Actor
from core.runtime.actions.models import Decided
from core.runtime.agents import proposals
from core.runtime.events import service as events

_REPLACEABLE = (ReportStatus.DRAFT, ReportStatus.PENDING_REVIEW)
_DECISIONS = {ReportStatus.APPROVED: "approved", ReportStatus.REJECTED: "rejected"}


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


def decide(session: Session, report_id: int, status: ReportStatus, by: Actor, *, seen: str | None = None) -> None:
    """Approve or reject a report that waits for review, and the mail that would take it to the client with it.

    `seen` is the `fingerprint` of what the person read; when the report has changed since, nothing is decided.
    Raises BadInput, NotFound, or Conflict when somebody else was first.
    """
    word = _DECISIONS.get(status)
    if word is None:
        raise BadInput("A report can be approved or rejected.", "Choose one of the two.")
    report = session.execute(select(ClientReport).where(ClientReport.id == report_id).with_for_update()).scalar_one_or_none()
    if report is None:
        raise NotFound(f"There is no report {report_id}.", "It may have been cleared; reload the list.")
    if report.status == status:
        return  # a double click
    if report.status != ReportStatus.PENDING_REVIEW:
        raise Conflict(f"This report was already {report.status}.", "Reload to see who decided.")
    if seen is not None and seen != fingerprint(report.content, report.email_subject, report.email_body):
        raise Conflict("This report was rewritten after you opened it.", "Read the new text, then decide.")
    session.execute(update(ClientReport).where(ClientReport.id == report_id).values(status=status.value))
    asked = Decided.APPROVE if status is ReportStatus.APPROVED else Decided.REJECT
    proposals.decide(session, f"{mail.PREFIX}{report_id}:", asked, by)
    events.publish(
        session, f"report.{word}", f"{by.label} {word} the report “{report.email_subject}”.", org_id=report.org_id, actor=by,
        subject=("report", report_id), cause_run_id=report.run_id, demo=report.demo,
    )  # fmt: skip
