"""What the latest runs of the demo wrote: client reports, content drafts and follow-up notes."""

from datetime import timedelta

from sqlalchemy import select

from core.domains.automations import queries as automations
from core.domains.crm import follow_ups
from core.domains.crm import queries as crm
from core.domains.delivery import deployments
from core.domains.delivery import queries as delivery
from core.domains.demo.history import PastRun
from core.domains.demo.world import Row, World
from core.domains.drafts import content
from core.domains.reports import rules as report_rules
from core.kit.dates import midnight, month_before, week_before
from core.runtime.agents import prose, template
from core.runtime.agents.facts import Fact, FactContext
from core.runtime.orgs.models import AGENCY_ID

_NOTES = 6


def reports(world: World, run: PastRun, when: FactContext) -> int:
    """Last month's reports: most are approved by now, the last few wait for Dan."""
    period = month_before(when.today)
    before = midnight(when.today.replace(day=1), when.zone)
    mine = {c.id for c in world.clients}
    used = automations.by_client(world.session, period.first, period.last, existing_before=before)
    used = [u for u in used if u.client.id in mine]
    deployed = deployments.by_client(world.session, *period.bounds(when.zone))
    rows: list[Row] = []
    for place, use in enumerate(used):
        count = deployed[use.client.id].succeeded if use.client.id in deployed else 0
        content_text = prose.filled(report_rules.template(use), report_rules.facts(use, period, count))
        rows.append(
            {
                "org_id": use.client.org_id, "client_id": use.client.id, "report_type": "monthly", "period_start": period.first,
                "period_end": period.last, "content": content_text, "email_subject": report_rules.email_subject(use, period),
                "email_body": report_rules.email_body(use, period), "metrics": report_rules.metrics(use, count),
                "status": "pending_review" if place % 4 == 3 else "approved", "run_id": run.id, "created_by": run.spec.agent,
                "created_at": run.row["finished_at"],
            }
        )  # fmt: skip
    for row, report_id, use in zip(rows, world.put("client_reports", rows), used, strict=True):
        world.tell(
            "report.ready", f"The monthly report for {use.client.name} is ready for review.", run.row["finished_at"],
            org_id=use.client.org_id, actor=run.spec.agent, subject=("report", report_id), to_agents=("Delivery AI",),
            run_id=run.id,
        )  # fmt: skip
        if row["status"] == "approved":
            at = world.office_time(run.row["finished_at"], run.row["finished_at"] + timedelta(days=4))
            world.tell(
                "report.approved", f"Dan approved the report “{row['email_subject']}”.", at, org_id=use.client.org_id,
                actor="Dan", subject=("report", report_id),
            )  # fmt: skip
    return len(rows)


def content_drafts(world: World, run: PastRun, when: FactContext) -> int:
    """This week's content drafts, under the keys the real job uses, so that a run of it replaces them."""
    week = week_before(when.today)
    start, end = week.bounds(when.zone)
    done = delivery.closed(world.session, start, end, when.now, limit=20)
    used = automations.runs_of_tickets(
        world.session, [t.id for t in done.rows], when.today - timedelta(days=30), when.today - timedelta(days=1)
    )
    builds = [content.Build(t, used.get(t.id)) for t in sorted(done.rows, key=lambda t: t.id) if t.demo]
    if not builds:
        return 0
    rows = [
        _draft(run, "case_study", f"case_study:{b.ticket.id}", f"Case study: {b.ticket.title}", content.case_study(b),
               content.facts(b), b.ticket.id)
        for b in builds
    ]  # fmt: skip
    for place, angle in enumerate(content.ANGLES):
        b = builds[place % len(builds)]
        rows.append(
            _draft(run, "linkedin_post", f"linkedin:{week.first}:{place + 1}", f"LinkedIn: {b.ticket.title} ({angle})",
                   content.linkedin_post(b, place), content.facts(b), b.ticket.id)
        )  # fmt: skip
    rows.append(
        _draft(run, "blog_outline", f"blog:{week.first}", "Blog: what last week's builds taught us",
               content.blog_outline(builds), content.blog_facts(builds), None)
    )  # fmt: skip
    return _save(world, run, rows, "Robert")


def follow_up_notes(world: World, run: PastRun, when: FactContext) -> int:
    """Notes for some of the demo's quiet deals, the most valuable first."""
    quiet = crm.quiet(world.session, limit=3 * _NOTES, now=when.now)
    rows: list[Row] = []
    for deal in quiet.deals:
        detail = crm.deal_detail(world.session, deal.id, now=when.now)
        if detail.demo and len(rows) < _NOTES:
            note = follow_ups.note(detail, when.zone)
            row = _draft(run, "follow_up", note.key, note.title, note.template, note.facts, None)
            rows.append({**row, "subject_type": "deal", "subject_id": deal.id, "for_role": "sales"})
    return _save(world, run, rows, "Tony")


def _save(world: World, run: PastRun, rows: list[Row], whom: str) -> int:
    """Insert drafts, and tell of each; one that is there already under its key stays."""
    known = world.table("drafts")
    taken = set(world.session.scalars(select(known.c.key).where(known.c.org_id == AGENCY_ID)))
    rows = [r for r in rows if r["key"] not in taken]
    type_ = "content_draft" if whom == "Robert" else "drafts.ready"
    for row, draft_id in zip(rows, world.put("drafts", rows), strict=True):
        world.tell(
            type_, f"{row['title']} is ready for {whom} to review.", run.row["finished_at"], actor=run.spec.agent,
            subject=("draft", draft_id), run_id=run.id, payload={"kind": row["kind"]},
        )  # fmt: skip
    return len(rows)


def _draft(run: PastRun, kind: str, key: str, title: str, body: str, found: tuple[Fact, ...], ticket_id: int | None) -> Row:
    return {
        "org_id": AGENCY_ID, "kind": kind, "key": key, "title": title, "body": prose.filled(body, found),
        "status": "pending_review", "subject_type": "ticket" if ticket_id else None, "subject_id": ticket_id,
        "for_role": "marketing", "fact_keys": [f.key for f in found], "composer": template.NAME, "run_id": run.id,
        "created_at": run.row["finished_at"],
    }  # fmt: skip
