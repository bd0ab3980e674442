"""What the daily checks change: stuck tickets go to analysis, reviewers are nudged, delivery reviews are scheduled."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from core.domains.delivery import queries, rules, service
from core.domains.delivery.models import TicketStatus
from core.errors import Conflict
from core.kit.actor import Actor
from core.kit.dates import show_day, week_of
from core.runtime.events import queries as event_queries
from core.runtime.events import service as events

_AT_MOST = 500


def start_stuck_analyses(session: Session, now: datetime, by: Actor, run_id: int | None = None) -> int:
    """Move tickets that are stuck in SUBMITTED to ANALYZING. Returns how many; one a person moved meanwhile is left alone."""
    stuck = queries.in_status(session, TicketStatus.SUBMITTED, now, longer_than=rules.STUCK_AFTER, limit=_AT_MOST)
    started = 0
    # by id, so that two checks at once lock tickets in the same order
    for ticket in sorted(stuck.rows, key=lambda t: t.id):
        try:
            moved = service.move(
                session, ticket.id, TicketStatus.ANALYZING, by, expected=TicketStatus.SUBMITTED, cause_run_id=run_id,
                note="stuck in the queue, analysis started",
            )  # fmt: skip
        except Conflict:
            continue
        started += moved.changed
    return started


def nudge_reviewers(session: Session, now: datetime, by: Actor, run_id: int | None = None) -> int:
    """Tell reviewers about builds that have waited too long, each ticket at most once in `rules.NUDGE_AGAIN_AFTER`."""
    late = queries.in_status(session, TicketStatus.REVIEW_PENDING, now, longer_than=rules.REVIEW_AFTER, limit=_AT_MOST)
    told = event_queries.subjects_since(session, "review.nudged", "ticket", now - rules.NUDGE_AGAIN_AFTER)
    waiting = [t for t in late.rows if t.id not in told]
    for ticket in waiting:
        whom = ticket.reviewer if ticket.reviewer_user_id else "Somebody"
        events.publish(
            session, "review.nudged", f"{whom}, please review “{ticket.title}” for {ticket.client}.", org_id=ticket.org_id,
            actor=by, subject=("ticket", ticket.id), cause_run_id=run_id,
            payload={"reviewer_user_id": ticket.reviewer_user_id, "days_waiting": ticket.age_days}, demo=ticket.demo,
        )  # fmt: skip
    return len(waiting)


def schedule_reviews(session: Session, now: datetime, zone: ZoneInfo, by: Actor, run_id: int | None = None) -> int:
    """Note a delivery review for each client build due this week, once a week and ticket. Returns how many are new."""
    week = week_of(now.astimezone(zone).date())
    start, end = week.bounds(zone)
    due = queries.completing(session, start, end, now, limit=_AT_MOST)
    known = event_queries.subjects_since(session, "review.scheduled", "ticket", start)
    fresh = [t for t in due.rows if t.id not in known and t.due_at is not None]
    for ticket in fresh:
        day = ticket.due_at.astimezone(zone).date() if ticket.due_at else week.last
        events.publish(
            session, "review.scheduled", f"Delivery review with {ticket.client} for “{ticket.title}”, due {show_day(day)}.",
            org_id=ticket.org_id, actor=by, subject=("ticket", ticket.id), to_agents=("Delivery AI",), cause_run_id=run_id,
            payload={"client_id": ticket.client_id, "due_on": day.isoformat()}, demo=ticket.demo,
        )  # fmt: skip
    return len(fresh)
