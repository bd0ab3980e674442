"""A client's report as mail: proposed with the report, decided with it, and the report counts as sent once the mail has gone."""

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.domains.reports.models import ClientReport, ReportStatus
from core.domains.reports.rules import fingerprint
from core.errors import NotFound
from core.kit.actor import Actor
from core.runtime.actions import followers
from core.runtime.actions.followers import Told
from core.runtime.actions.models import Action
from core.runtime.agents import proposals, prose
from core.runtime.agents.facts import Fact
from core.runtime.agents.proposals import MAIL, Asking, Message, Target
from core.runtime.agents.untrusted import clean

PREFIX = "report:"
OWNER_ROLE = "delivery"
_STATUS = {"approved": ReportStatus.APPROVED, "rejected": ReportStatus.REJECTED, "done": ReportStatus.SENT}


def propose(
    session: Session, by: Actor, report_id: int, address: str | None, facts: tuple[Fact, ...], composer: str, which: str
) -> bool:  # fmt: skip
    """Propose the mail of a report that waits for review, in place of one for an older text. False: there is no address.

    `by` is the agent in its run; `which` names the facts, so that they can be collected anew to see whether they changed.
    """
    report = session.execute(select(ClientReport).where(ClientReport.id == report_id)).scalar_one_or_none()
    if report is None:
        raise NotFound(f"There is no report {report_id}.", "It may have been cleared; reload the list.")
    prefix = f"{PREFIX}{report_id}:"
    key = proposals.fresh_key(session, prefix + fingerprint(report.content, report.email_subject, report.email_body)[:16])
    proposals.withdraw_others(session, prefix, key, by, "The report was written anew.")
    if not address:
        return False
    text = f"{report.email_body}\n\n{prose.unescaped(report.content)}"
    message = Message(
        MAIL, Target(address, "the client's contact in our records"), proposals.without_links(text),
        f"{report.created_by} wrote the {report.report_type} report for Dan to review.", composer,
        clean(report.email_subject or "Your report")[:250], facts, {f.key: which for f in facts},
    )  # fmt: skip
    proposals.propose(session, message, Asking(by.label, by.id, key, report.org_id, OWNER_ROLE, report.demo))
    return True


def follow(session: Session, action: Action, told: Told) -> None:
    """Follower of reports' mails: the report's status goes with them. A dry run sends nothing, so it is no sending.

    A report whose mail came to nothing is a draft again, which the next run writes and proposes anew.
    """
    status = ReportStatus.DRAFT if proposals.came_to_nothing(told) else _STATUS.get(told.what)
    number = (action.key or "").removeprefix(PREFIX).partition(":")[0]
    if status is None or not number.isdigit():
        return
    values: dict[str, object] = {"status": status.value}
    if status is ReportStatus.SENT:
        dry = told.payload.get("mode", action.mode) == "dry_run"
        values = {"status": ReportStatus.APPROVED.value} if dry else values | {"sent_at": func.clock_timestamp()}
    session.execute(update(ClientReport).where(ClientReport.id == int(number)).values(**values))


followers.register(PREFIX, follow)
