"""One turn of the clock: due slots become runs, or are written down as missed or coalesced.

Two clocks at once are safe twice over: a schedule's row is locked while its slots are turned, and every slot's run has the
key `schedule:{name}:{due_at}`, which is unique. The cursor only moves forward, so a clock that is set back fires nothing
again, and one that is set forward treats what it jumped over like an outage.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.errors import OpsError
from core.kit import clock, log
from core.kit.actor import Actor
from core.runtime.events import service as events
from core.runtime.events.models import Priority
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs import service as runs
from core.runtime.runs.models import ACTIVE, Reason, Run
from core.runtime.schedules import rules
from core.runtime.schedules.models import Overlap, Schedule

MAX_SCHEDULES = 100
MAX_SLOTS = 2000
"""Slots of one schedule a turn handles; after a longer outage the following turns handle the rest."""
MAX_RUNS = 200
"""The same where every slot may become a run, which costs more than writing down that it did not."""

logger = log.get(__name__)


def slot_key(schedule: Schedule, due_at: datetime) -> str:
    """The unique key of a slot's run. A client's schedules carry their organisation, since names are unique only within one."""
    owner = "" if schedule.org_id == AGENCY_ID else f"{schedule.org_id}:"
    return f"schedule:{owner}{schedule.name}:{due_at.astimezone(UTC).isoformat()}"


def tick(session: Session, now: datetime | None = None) -> int:
    """Turn every slot that is due by `now` into a run, a missed or a coalesced one. Returns how many rows that made.

    The work of one call is bounded. A schedule that can't be read is switched off with its error; the others go on.
    """
    now = now or clock.now()
    # "no key update" still keeps a second clock out, but lets runs that refer to the schedule be inserted meanwhile
    due = session.scalars(
        select(Schedule)
        .where(
            Schedule.enabled,
            or_(Schedule.paused_until.is_(None), Schedule.paused_until <= now),
            or_(Schedule.next_due_at.is_(None), Schedule.next_due_at <= now, Schedule.paused_until.is_not(None)),
        )
        .order_by(Schedule.next_due_at.nulls_first(), Schedule.id)
        .limit(MAX_SCHEDULES)
        .with_for_update(skip_locked=True, key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    return sum(_turn(session, schedule, now) for schedule in due)


def _turn(session: Session, schedule: Schedule, now: datetime) -> int:
    pushes = session.info.setdefault("after_commit", [])
    before = len(pushes)
    try:
        with session.begin_nested():
            return _advance(session, schedule, now)
    except SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one schedule must not stop the others
        del pushes[before:]
        switch_off(session, schedule, error)
        return 0


def _advance(session: Session, schedule: Schedule, now: datetime) -> int:
    start = rules.start_of(schedule.cursor, schedule.paused_until)
    limit = MAX_RUNS if schedule.overlap == Overlap.QUEUE else MAX_SLOTS
    due = rules.slots(schedule.cron, schedule.time_zone, start, now, limit + 1)
    more = len(due) > limit
    due = due[:limit]
    made = _record(session, schedule, due, now, more) if due else 0
    if schedule.paused_until is not None:
        schedule.paused_until = None
        _tell(session, "schedule.resumed", f"{schedule.title} runs again: its pause is over.", schedule)
    schedule.cursor = due[-1] if more else max(start, now)
    schedule.next_due_at = rules.next_after(schedule.cron, schedule.time_zone, schedule.cursor)
    session.flush()
    return made


def _record(session: Session, schedule: Schedule, due: list[datetime], now: datetime, more: bool) -> int:
    plan = rules.plan(
        due, now, timedelta(seconds=schedule.grace_s), schedule.catch_up, schedule.overlap, _is_active(session, schedule),
        more=more,
    )  # fmt: skip
    made = sum(_enqueue(session, schedule, slot) for slot in plan.to_run)
    missed = _skip(session, schedule, plan.missed, Reason.MISSED)
    if missed:
        slots = "a slot" if missed == 1 else f"{missed:,} slots"
        _tell(
            session, "schedule.missed", f"{schedule.title} missed {slots}: nothing was running when it was due.", schedule,
            Priority.HIGH, missed=missed, first=plan.missed[0].isoformat(), last=plan.missed[-1].isoformat(),
        )  # fmt: skip
    return made + missed + _skip(session, schedule, plan.coalesced, Reason.COALESCED)


def _is_active(session: Session, schedule: Schedule) -> bool:
    going = select(Run.id).where(Run.schedule_id == schedule.id, Run.state.in_(ACTIVE)).limit(1)
    return session.execute(going).first() is not None


def _enqueue(session: Session, schedule: Schedule, slot: datetime) -> bool:
    return runs.enqueue(
        session,
        schedule.kind,
        schedule.name,
        org_id=schedule.org_id,
        payload={**schedule.payload, "agent": schedule.agent},
        key=slot_key(schedule, slot),
        by=Actor("schedule", "schedule", schedule.id),
        schedule_id=schedule.id,
        due_at=slot,
        timeout_s=schedule.timeout_s,
    ).created


def _skip(session: Session, schedule: Schedule, slots: Iterable[datetime], reason: Reason) -> int:
    keys = {slot_key(schedule, slot): slot for slot in slots}
    return runs.record_skipped(
        session, schedule.kind, schedule.name, keys, reason, schedule_id=schedule.id, org_id=schedule.org_id
    )


def switch_off(session: Session, schedule: Schedule, error: Exception) -> None:
    """Switch off a schedule that can't be read, and say so. It fires again once it is edited or enabled."""
    if isinstance(error, OpsError):
        message, next_step = error.message, error.next_step
    else:
        message, next_step = f"It stopped on an unexpected {type(error).__name__}.", "Edit the job, or look at the clock's log."
    logger.error("schedule_broken", schedule=schedule.name, error=f"{type(error).__name__}: {error}"[:300])
    schedule.enabled = False
    schedule.next_due_at = None
    schedule.error = {"type": type(error).__name__, "message": message, "next_step": next_step}
    schedule.updated_at = func.clock_timestamp()
    _tell(session, "schedule.broken", f"{schedule.title} was switched off. {message}", schedule, Priority.HIGH)
    session.flush()


def _tell(
    session: Session, type_: str, summary: str, schedule: Schedule, priority: Priority = Priority.NORMAL, **payload: object
) -> None:
    events.publish(
        session,
        type_,
        summary,
        org_id=schedule.org_id,
        actor=Actor("Clock"),
        priority=priority,
        subject=("schedule", schedule.id),
        payload={"name": schedule.name, **payload},
    )
