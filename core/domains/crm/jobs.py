"""Scheduled work on the pipeline, and the run that pulls it from Pipedrive."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from core.domains.crm import follow_up_mail, follow_ups, pull, queries, rules
from core.domains.crm.queries import DealFilter, DealRow
from core.domains.drafts import queries as drafts_queries
from core.domains.drafts import service as drafts
from core.kit.dates import show_day
from core.runtime.agents.specs import Intent, JobSpec, Production, register
from core.runtime.events import service as events
from core.runtime.events.models import Priority
from core.runtime.runs import handlers
from core.runtime.runs.context import RunContext
from core.runtime.runs.handlers import Handler
from core.runtime.runs.models import Queue

FOR_ROLE = "sales"
_PAGE = 200
"""Quiet deals looked at in one go, most valuable first, for some that have no note yet."""
_FLAGGED = 50


def review(production: Production) -> dict[str, int]:
    """Flag overdue deals for Tony and draft follow-up notes. Returns {"notes", "without_note", "overdue"}."""
    run = production.run
    overdue = run.step("flag_overdue", lambda s: _flag_overdue(s, production), label="Flag overdue deals for Tony")
    chosen = run.step("choose_notes", lambda s: _choose(s, production), label="Choose the deals to follow up")
    written = 0
    for done, deal_id in enumerate(chosen["deals"]):
        run.progress(0.8 + 0.15 * done / len(chosen["deals"]), f"Follow-up note {done + 1} of {len(chosen['deals'])}")
        written += run.step_outside(f"note:{deal_id}", _writing(production, deal_id), label="Draft a follow-up note")
    remaining = max(0, chosen["quiet"] - chosen["had_note"] - written)
    run.step("tell_notes", lambda s: _tell(s, run, written, remaining), label="Tell Tony what is ready")
    return {"notes": written, "without_note": remaining, "overdue": overdue}


def _flag_overdue(session: Session, production: Production) -> int:
    """One event for all overdue deals, the most valuable of them by name."""
    found = queries.overdue_close(session, limit=_FLAGGED, now=production.when.now)
    if found.total:
        run = production.run
        noun = "deal is" if found.total == 1 else "deals are"
        events.publish(
            session, "deals.overdue", f"{found.total:,} {noun} past the expected close date, for Tony to close or date anew.",
            actor=run.actor, cause_run_id=run.run_id, priority=Priority.HIGH, to_agents=("Sales AI",),
            subject=("run", run.run_id),
            payload={"for": FOR_ROLE, "total": found.total, "deals": [_overdue_row(d) for d in found.deals]},
        )  # fmt: skip
    return found.total


def _overdue_row(deal: DealRow) -> dict[str, Any]:
    due = show_day(deal.expected_close_on) if deal.expected_close_on else "–"
    return {"id": deal.id, "deal": deal.title, "owner": deal.owner, "expected close": due}


def _choose(session: Session, production: Production) -> dict[str, Any]:
    """The most valuable quiet deals without a note since they fell quiet; how many are quiet; how many passed had a note."""
    when = production.when
    quiet = DealFilter(status="open", only="quiet")
    chosen: list[int] = []
    had, after = 0, None
    while len(chosen) < follow_ups.MAX_NOTES:
        page = queries.deals_page(session, quiet, sort="value", after=after, limit=_PAGE, now=when.now)
        keys = {d.id: follow_ups.key(d.id, _last_day(d, when.zone)) for d in page.deals}
        known = drafts_queries.existing_keys(session, list(keys.values()), org_id=when.org_id)
        had += len(known)
        chosen += [deal_id for deal_id, key in keys.items() if key not in known]
        after = page.next
        if after is None:
            break
    return {
        "deals": chosen[: follow_ups.MAX_NOTES], "quiet": queries.quiet(session, limit=1, now=when.now).total, "had_note": had,
    }  # fmt: skip


def _last_day(deal: DealRow, zone: ZoneInfo) -> date | None:
    return deal.last_activity_at.astimezone(zone).date() if deal.last_activity_at else None


def _writing(production: Production, deal_id: int) -> Callable[[], int]:
    def work() -> int:
        """Write, then save; saving again after a crash between the two replaces the same draft."""
        run, when = production.run, production.when
        with run.transaction() as session:
            detail = queries.deal_detail(session, deal_id, now=when.now)
        note = follow_ups.note(detail, when.zone)
        body, composer = production.writer.write(follow_ups.PURPOSE, note.facts, note.template)
        with run.transaction() as session:
            draft_id, _ = drafts.save(
                session, kind="follow_up", key=note.key, title=note.title, body=body, subject=("deal", deal_id),
                for_role=FOR_ROLE, fact_keys=[f.key for f in note.facts], composer=composer, run_id=run.run_id,
                org_id=when.org_id, demo=detail.demo,
            )  # fmt: skip
            why_not = follow_up_mail.propose(session, production.actor, draft_id, detail, note, body, composer)
        if why_not:
            run.log(why_not)
        return 1

    return work


def _tell(session: Session, run: RunContext, written: int, remaining: int) -> int:
    if written:
        noun = "follow-up note is" if written == 1 else "follow-up notes are"
        rest = f"; {remaining:,} more quiet deals wait for their turn" if remaining else ""
        events.publish(
            session, "drafts.ready", f"{written:,} {noun} ready for Tony to review{rest}.", actor=run.actor,
            cause_run_id=run.run_id, subject=("run", run.run_id), payload={"for": FOR_ROLE, "notes": written, "rest": remaining},
        )  # fmt: skip
    return written


def pull_run(ctx: RunContext) -> dict[str, Any]:
    """Handler of `crm.pipedrive_pull`; payload {"restart": bool}. Returns the counts of the pull."""

    def opened() -> AbstractContextManager[Session]:
        return ctx.transaction()

    result = pull.pull_pipedrive(
        by=ctx.actor, restart=bool(ctx.payload.get("restart")) and ctx.held.attempt <= 1, transaction=opened, check=ctx.check,
        progress=lambda done: ctx.progress(0.5, f"{done:,} deals"),
    )  # fmt: skip
    return {
        "rows": result.rows, "created": result.created, "updated": result.updated, "unchanged": result.unchanged,
        "rejected": result.rejected_total, "import_id": result.import_id,
    }  # fmt: skip


handlers.register(Handler(pull.PULL, pull_run, Queue.BACKGROUND, timeout_s=3600, max_attempts=5))

register(
    JobSpec(
        name="sales-pipeline-review",
        title="Sales Pipeline Review",
        department="sales",
        agent="Sales AI",
        cron="0 8 * * 1-5",
        task=f"""Review the pipeline for Tony, as he starts his day.
1. Find all deals with no activity in {rules.QUIET_DAYS} days or more and draft a follow-up note for each.
   Tony approves before one is sent.
2. Find the deals whose expected close date has passed and flag them for Tony.
3. Find the deals with no value and list them for Tony to update.
4. Name the top 3 deals most likely to close this week, and say why.""",
        sections=("crm.top_to_close", "crm.quiet_deals", "crm.overdue_close", "crm.zero_value"),
        event_type="pipeline_review",
        intents=(
            Intent("slack", "#sales"),
            Intent("slack", "#sales", "[[produced.notes]] follow-up notes are ready for Tony to review."),
        ),
        produce=review,
        timeout_s=1800,
        proposes=("slack.post", "mail.send"),
    )
)
