"""What a monthly client report says and how; the figures it assumes stand in `automations.rules`."""

import hashlib

from core.domains.automations import rules as automations
from core.domains.automations.queries import ClientUse
from core.kit.dates import Period
from core.runtime.agents.facts import Fact, count, duration, percent, text

ASSUMED = "assumed"
"""Basis of hours saved: nobody measured how long the task took by hand."""
QUERY = "automations.queries.by_client"
DEPLOYED = "delivery.deployments.by_client"


def month_name(period: Period) -> str:
    """October 2026."""
    return f"{period.first:%B %Y}"


def metrics(use: ClientUse, deployments: int) -> dict[str, object]:
    """The figures of a report, as `client_reports.metrics` keeps them."""
    return {
        "automations_active": use.active,
        "automations_worked": use.worked,
        "automations": len(use.automations),
        "deployments": deployments,
        "runs": use.runs,
        "tasks": use.tasks,
        "errors": use.errors,
        "error_percent": use.error_percent,
        "hours_saved": use.hours_saved,
        "hours_saved_basis": ASSUMED,
        "minutes_per_task": automations.MINUTES_PER_TASK,
    }


def facts(use: ClientUse, period: Period, deployments: int) -> tuple[Fact, ...]:
    """What the writer of the report may say, each with the automations behind it."""
    rows = [
        {"automation": a.name, "platform": a.platform, "runs": a.runs, "errors": a.errors, "on": "yes" if a.active else "no"}
        for a in use.automations
    ]
    number = len(rows)
    made = [
        text("report.client", "Client", use.client.name, QUERY),
        text("report.month", "Month", month_name(period), QUERY),
        count("report.worked", "Automations that ran in the month", use.worked, QUERY, rows, noun="automation", row_count=number),
        count("report.active", "Automations switched on now", use.active, QUERY, rows, row_count=number),
        count("report.deployments", "Deployments in the month", deployments, DEPLOYED, (), noun="deployment", row_count=0),
        count("report.tasks", "Tasks done", use.tasks, QUERY, rows, noun="task", row_count=number),
        count("report.errors", "Runs that failed", use.errors, QUERY, rows, noun="run", row_count=number),
        percent("report.error_share", "Share of runs that failed", use.error_percent, QUERY, rows),
        duration("report.hours", "Hours saved, assumed", use.hours_saved, "hours", QUERY, rows),
        count(
            "report.minutes", "Minutes assumed for one task", automations.MINUTES_PER_TASK, QUERY, (), noun="minute", row_count=0
        ),
    ]
    for place, automation in enumerate(use.automations[:5], start=1):
        row, label = [rows[place - 1]], f"Automation {place}"
        made.append(text(f"report.top{place}", label, automation.name, QUERY, row))
        made.append(count(f"report.top{place}.runs", f"{label}: runs", automation.runs, QUERY, row, noun="run", row_count=1))
        made.append(
            count(f"report.top{place}.errors", f"{label}: errors", automation.errors, QUERY, row, noun="error", row_count=1)
        )
    return tuple(made)


def template(use: ClientUse) -> str:
    """The report without a model: Markdown that cites `facts`."""
    lines = [
        "## Summary",
        "In [[report.month]], [[report.worked]] worked for [[report.client]] and completed [[report.tasks]]. "
        "Switched on now: [[report.active]].",
        "That is about [[report.hours]] saved. This is an estimate: it assumes [[report.minutes]] a task and was not measured.",
        "",
        "## Automations",
    ]
    for place, _ in enumerate(use.automations[:5], start=1):
        lines.append(f"- [[report.top{place}]]: [[report.top{place}.runs]], [[report.top{place}.errors]].")
    lines += ["", "We made [[report.deployments]] for you in the month."]
    lines += ["", "## Reliability", _reliability(use)]
    return "\n".join(lines)


def _reliability(use: ClientUse) -> str:
    share = use.error_percent
    if share is None:
        return "Nothing ran this month. We will check with you whether the automations are still needed."
    if use.errors == 0:
        return "Every run ended well."
    said = "[[report.errors]] failed, which is [[report.error_share]] of all runs."
    if share > automations.ERROR_SHARE_PERCENT:
        return said + " That is more than we accept; we are looking into the cause."
    return said + " We look at each failure and repair what repeats."


def email_subject(use: ClientUse, period: Period) -> str:
    """Subject of the mail the report goes out with."""
    return f"{use.client.name}: your automations in {month_name(period)}"


def email_body(use: ClientUse, period: Period) -> str:
    """The covering mail, ready to send once a person has approved it."""
    greeting = f"Hello {use.client.contact_name}," if use.client.contact_name else "Hello,"
    number = use.worked
    return (
        f"{greeting}\n\n"
        f"your report for {month_name(period)} is below. {number:,} automation{'' if number == 1 else 's'} completed "
        f"{use.tasks:,} task{'' if use.tasks == 1 else 's'} for you and saved about {use.hours_saved:,.1f} hours, "
        f"assuming {automations.MINUTES_PER_TASK} minutes a task.\n\n"
        "If something should run differently, just answer this mail.\n\n"
        "Dan\nManageAI"
    )


def fingerprint(content: str, email_subject: str | None, email_body: str | None) -> str:
    """What a decision binds to: everything of the report that would leave the house."""
    return hashlib.sha256("\n".join((content, email_subject or "", email_body or "")).encode()).hexdigest()
