"""Monthly client reports: written by the agent, reviewed by Dan, and mailed to the client once he approves."""

from collections.abc import Callable
from datetime import date

from sqlalchemy.orm import Session

from core.domains.automations import queries as automations
from core.domains.automations.queries import ClientUse
from core.domains.delivery import deployments
from core.domains.reports import mail, rules, service
from core.kit.dates import Period, midnight, month_before
from core.runtime.agents import staleness
from core.runtime.agents.facts import Fact, FactContext
from core.runtime.agents.specs import Intent, JobSpec, Production, register

MONTH = "reports.month"
"""Names the facts of one client's month, see `_again`."""


def write_reports(production: Production) -> dict[str, int]:
    """One report per client with a deployed automation, each a step of the run. Returns {"reports", "kept", "no_address"}.

    "kept" counts clients whose report for the month a person has decided on already: it stays as it is. "no_address" counts
    reports that can't be mailed, since the client has no contact address.
    """
    run, when = production.run, production.when
    period = month_before(when.today)
    with run.transaction() as session:
        found = automations.by_client(
            session, period.first, period.last, existing_before=midnight(when.today.replace(day=1), when.zone)
        )
        deployed = deployments.by_client(session, *period.bounds(when.zone))
    written = no_address = 0
    for done, use in enumerate(found):
        run.progress(done / len(found), f"Report for {use.client.name}")
        done_now = run.step_outside(
            f"report:{use.client.id}",
            _writing(production, use, period, _made(deployed, use)),
            label=f"Report for {use.client.name}",
        )
        written += done_now["saved"]
        if done_now["saved"] and not done_now["mail"]:
            no_address += 1
            run.log(f"{use.client.name} has no contact address, so its report can't be mailed. Add one and run the job again.")
    return {"reports": written, "kept": len(found) - written, "no_address": no_address}


def _made(deployed: dict[int, deployments.DeploymentCounts], use: ClientUse) -> int:
    mine = deployed.get(use.client.id)
    return mine.succeeded if mine else 0


def _writing(production: Production, use: ClientUse, period: Period, deployed: int) -> Callable[[], dict[str, int]]:
    def work() -> dict[str, int]:
        """Write, then save; saving again after a crash between the two replaces the same row."""
        facts = rules.facts(use, period, deployed)
        content, composer = production.writer.write(
            "The monthly performance report for one client: what its automations did, how reliably, and what that saved.",
            facts,
            rules.template(use),
            org_id=use.client.org_id,
        )
        new = service.NewReport(
            client_id=use.client.id,
            org_id=use.client.org_id,
            client=use.client.name,
            period_start=period.first,
            period_end=period.last,
            content=content,
            email_subject=rules.email_subject(use, period),
            email_body=rules.email_body(use, period),
            metrics=rules.metrics(use, deployed),
            demo=use.client.demo,
        )
        with production.run.transaction() as session:
            report_id, saved = service.save(session, new, production.run.actor, run_id=production.run.run_id)
            which = f"{MONTH}:{use.client.id}/{period.first}/{period.last}"
            address = use.client.contact_email
            mailed = saved and mail.propose(session, production.actor, report_id, address, facts, composer, which)
        return {"saved": int(saved), "mail": int(mailed)}

    return work


def _again(session: Session, when: FactContext, which: str) -> tuple[Fact, ...]:
    """The facts of one client's month, collected anew."""
    client_id, first, last = which.split("/")
    period = Period(date.fromisoformat(first), date.fromisoformat(last))
    before = midnight(when.today.replace(day=1), when.zone)
    found = automations.by_client(session, period.first, period.last, existing_before=before)
    use = next((u for u in found if u.client.id == int(client_id)), None)
    if use is None:
        return ()
    return rules.facts(use, period, _made(deployments.by_client(session, *period.bounds(when.zone)), use))


staleness.register(MONTH, _again)
register(
    JobSpec(
        name="monthly-client-reports",
        title="Monthly Client Reports",
        department="delivery",
        agent="Delivery AI",
        cron="0 9 1 * *",
        task="""Write last month's performance report for every active client with at least one deployed automation.
1. Take the deployments and the run data of the month.
2. Sum up how the automations did: how many are active, how many tasks they completed.
3. Estimate the hours saved at 2 minutes a task, and say that this is assumed.
4. Draft the mail to the client that the report goes out with.
5. Save each report for Dan's review, and propose the mail to the client: it is sent when he approves it.""",
        sections=("automations.month", "delivery.deploy_health"),
        event_type="monthly_reports",
        intents=(Intent("slack", "#delivery", "[[produced.reports]] monthly reports ready for review"),),
        produce=write_reports,
        timeout_s=1800,
    )
)
