"""Commands on scheduled jobs: make, change, switch on and off, pause, run now. Each publishes an event with its actor.

Every change sets the cursor to now, so that nothing that came due before it fires because of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.errors import BadInput, Conflict, NotFound
from core.kit import clock
from core.kit.actor import SYSTEM, Actor
from core.runtime.agents.specs import AGENT_JOB, JobSpec, specs
from core.runtime.events import service as events
from core.runtime.events.models import Event
from core.runtime.orgs.models import AGENCY_ID, Organisation
from core.runtime.runs import service as runs
from core.runtime.runs.models import ACTIVE, Queue, Run
from core.runtime.runs.outcome import as_input
from core.runtime.schedules import checks, rules
from core.runtime.schedules.models import Schedule
from core.runtime.schedules.schemas import JobEdit, NewJob
from core.runtime.schedules.turn import tick as tick
from core.runtime.schedules.words import describe as describe

DOUBLE_CLICK_S = 2.0
_FIELD_WORDS = {
    "cron": "schedule",
    "time_zone": "time zone",
    "grace_s": "grace",
    "timeout_s": "time limit",
    "catch_up": "catch-up policy",
    "overlap": "overlap policy",
}


def next_times(cron: str, zone: str, n: int = 3, after: datetime | None = None) -> list[datetime]:
    """The next `n` due times, UTC. Raises BadInput for a bad expression or an unknown zone."""
    found: list[datetime] = []
    for slot in rules.occurrences(cron, zone, after or clock.now()):
        found.append(slot)
        if len(found) >= n:
            break
    return found


def find(session: Session, name: str, *, org_id: UUID = AGENCY_ID, lock: bool = False) -> Schedule:
    """The job of that name. Raises NotFound, with the nearest names."""
    statement = select(Schedule).where(Schedule.org_id == org_id, Schedule.name == name)
    if lock:
        statement = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    found = session.scalars(statement).first()
    if found is not None:
        return found
    known = list(session.scalars(select(Schedule.name).where(Schedule.org_id == org_id).order_by(Schedule.name)))
    near = get_close_matches(name, known, n=3, cutoff=0.4) or [k for k in known if name and name in k][:3]
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    raise NotFound(f"There is no job called “{name[:80]}”.", f"{hint}`ops jobs list` shows all of them.")


def run_now(
    session: Session,
    name: str,
    by: Actor,
    payload: Mapping[str, Any] | None = None,
    *,
    key: str | None = None,
    org_id: UUID = AGENCY_ID,
) -> int:
    """Queue the job at once, ahead of scheduled work, also when it is switched off. Returns the run's id.

    A second click of the same person within two seconds, while the first run has not ended, returns that run. So does
    a second call with the same `key`, for ever.
    """
    # the lock makes two clicks wait for each other, so the second always sees the first
    schedule = find(session, name, org_id=org_id, lock=True)
    wanted = as_input({**schedule.payload, **(payload or {}), "agent": schedule.agent})
    clicked = _just_clicked(session, schedule, by, wanted)
    if clicked is not None:
        return clicked
    made = runs.enqueue(
        session,
        schedule.kind,
        schedule.name,
        org_id=schedule.org_id,
        payload=wanted,
        key=key,
        by=by,
        queue=Queue.INTERACTIVE,
        priority=10,
        schedule_id=schedule.id,
        timeout_s=schedule.timeout_s,
    )
    if not made.created:
        return made.run_id
    _tell(session, "job.run_requested", f"{by.label} started {schedule.title}.", schedule, by, run_id=made.run_id)
    return made.run_id


def _just_clicked(session: Session, schedule: Schedule, by: Actor, payload: dict[str, Any]) -> int | None:
    """The run this person started a moment ago, with the same payload, and that has not ended."""
    if by.kind != "user":
        return None
    return session.execute(
        select(Run.id)
        .where(
            Run.schedule_id == schedule.id,
            Run.due_at.is_(None),
            Run.replay_of.is_(None),
            Run.cause_kind == by.kind,
            Run.cause_id == by.id,
            Run.state.in_(ACTIVE),
            Run.created_at > func.statement_timestamp() - timedelta(seconds=DOUBLE_CLICK_S),
            Run.payload == payload,
        )
        .order_by(Run.id.desc())
        .limit(1)
    ).scalar_one_or_none()


def set_enabled(session: Session, name: str, enabled: bool, by: Actor, *, org_id: UUID = AGENCY_ID) -> Schedule:
    """Switch the job on or off. Switching on checks its schedule again and starts from now; no change publishes nothing."""
    schedule = find(session, name, org_id=org_id, lock=True)
    if schedule.enabled == enabled:
        return schedule
    schedule.enabled = enabled
    if enabled:
        schedule.error = None
        _restart(session, schedule)
    else:
        schedule.next_due_at = None
    _touch(session, schedule)
    word = "on" if enabled else "off"
    type_ = "schedule.enabled" if enabled else "schedule.disabled"
    _tell(session, type_, f"{by.label} switched {word} {schedule.title}.", schedule, by)
    return schedule


def pause_until(session: Session, name: str, until: datetime | None, by: Actor, *, org_id: UUID = AGENCY_ID) -> Schedule:
    """Let the job rest until then; a slot due exactly then runs, those before never do. None ends a pause now."""
    schedule = find(session, name, org_id=org_id, lock=True)
    now = clock.now()
    if until is None:
        if schedule.paused_until is None:
            return schedule
        schedule.paused_until = None
        summary, type_ = f"{by.label} ended the pause of {schedule.title}.", "schedule.resumed"
    else:
        if until.tzinfo is None:
            raise BadInput("The end of the pause has no time zone.", "Give a time with its zone.")
        if until <= now:
            raise BadInput("The end of the pause has already passed.", "Choose a time that is still to come.")
        if until > now + timedelta(days=731):
            raise BadInput("A pause can't be longer than two years.", "Switch the job off instead.")
        schedule.paused_until = until
        place = clock.zone(schedule.time_zone)
        end = until.astimezone(place)
        shown = f"{end:%A} {end.day} {end:%B %Y}, {end:%I:%M %p}".replace(", 0", ", ")
        summary, type_ = f"{by.label} paused {schedule.title} until {shown}.", "schedule.paused"
    _restart(session, schedule)
    _touch(session, schedule)
    _tell(session, type_, summary, schedule, by, until=until.isoformat() if until else None)
    return schedule


def add(session: Session, job: NewJob, by: Actor, *, org_id: UUID = AGENCY_ID) -> Schedule:
    """Make a job. Raises BadInput for anything that can't be used, also for a name that is taken."""
    values = job.model_dump()
    values["time_zone"] = job.time_zone or _zone_of(session, org_id)
    schedule = Schedule(**checks.clean(values), org_id=org_id, kind=AGENT_JOB, created_by=by.label, builtin=False)
    schedule.cursor = clock.now()
    schedule.next_due_at = rules.next_after(schedule.cron, schedule.time_zone, schedule.cursor) if job.enabled else None
    try:
        with session.begin_nested():
            session.add(schedule)
            session.flush()
    except IntegrityError as error:
        if "schedules_name" not in str(error.orig):
            raise
        raise BadInput(f"There is already a job called “{job.name}”.", "Choose another name, or edit that job.") from None
    session.refresh(schedule)
    _tell(session, "schedule.added", f"{by.label} added the job {schedule.title}.", schedule, by, cron=schedule.cron)
    return schedule


def edit(session: Session, name: str, change: JobEdit, version: int, by: Actor, *, org_id: UUID = AGENCY_ID) -> Schedule:
    """Change a job that the editor saw at `version`.

    Raises Conflict, which says who changed what, when somebody saved another change meanwhile, and BadInput for values
    that can't be used. An edit that changes nothing leaves the version as it is.
    """
    schedule = find(session, name, org_id=org_id, lock=True)
    if schedule.version != version:
        raise Conflict(_who_changed(session, schedule, version), "Look at the job as it is now, then make your change again.")
    wanted = checks.clean({k: v for k, v in change.model_dump().items() if v is not None})
    changed = sorted(field for field, value in wanted.items() if getattr(schedule, field) != value)
    if not changed:
        return schedule
    for field in changed:
        setattr(schedule, field, wanted[field])
    schedule.version += 1
    if schedule.error is not None:
        schedule.error, schedule.enabled = None, True
    _restart(session, schedule)
    _touch(session, schedule)
    what = ", ".join(_FIELD_WORDS.get(f, f) for f in changed)
    summary = f"{by.label} edited {schedule.title}: {what}."
    _tell(session, "schedule.edited", summary, schedule, by, version=schedule.version, changed=changed)
    return schedule


def sync_builtin(session: Session) -> int:
    """Make the schedules of built-in jobs that are missing, and bring those nobody has edited up to date. Returns how many.

    A person's edit is never overwritten, nor is a job switched on or off.
    """
    wanted = specs()
    known = {s.name: s for s in session.scalars(select(Schedule).where(Schedule.org_id == AGENCY_ID, Schedule.builtin))}
    zone = _zone_of(session, AGENCY_ID)
    changed = 0
    for spec in wanted:
        schedule = known.get(spec.name)
        if schedule is None:
            changed += _add_builtin(session, spec, zone)
        elif schedule.version == 1:
            changed += _refresh(session, schedule, spec)
    return changed


def _add_builtin(session: Session, spec: JobSpec, zone: str) -> int:
    now = clock.now()
    values = _from_spec(spec) | {
        "org_id": AGENCY_ID,
        "name": spec.name,
        "kind": AGENT_JOB,
        "time_zone": zone,
        "cursor": now,
        "next_due_at": rules.next_after(spec.cron, zone, now),
        "builtin": True,
    }
    # several processes may start at once
    statement = insert(Schedule).values(values).on_conflict_do_nothing(constraint="schedules_name").returning(Schedule.id)
    made = session.execute(statement).scalar_one_or_none()
    if made is None:
        return 0
    events.publish(
        session,
        "schedule.added",
        f"The job {spec.title} was set up.",
        subject=("schedule", made),
        payload={"name": spec.name, "cron": spec.cron},
    )
    return 1


def _refresh(session: Session, schedule: Schedule, spec: JobSpec) -> int:
    wanted = _from_spec(spec)
    changed = sorted(field for field, value in wanted.items() if getattr(schedule, field) != value)
    if not changed:
        return 0
    for field in changed:
        setattr(schedule, field, wanted[field])
    if "cron" in changed:
        _restart(session, schedule)
    _touch(session, schedule)
    summary = f"{schedule.title} was brought up to date with this version of the software."
    _tell(session, "schedule.edited", summary, schedule, SYSTEM, version=schedule.version, changed=changed)
    return 1


def _from_spec(spec: JobSpec) -> dict[str, Any]:
    return {
        "title": spec.title,
        "department": spec.department,
        "agent": spec.agent,
        "cron": spec.cron,
        "task": spec.task,
        "facts": list(spec.sections),
        "timeout_s": spec.timeout_s,
    }


def _restart(session: Session, schedule: Schedule) -> None:
    """Count slots from now on. Raises BadInput when the schedule can't be read."""
    now = clock.now()
    schedule.cursor = now
    start = rules.start_of(now, schedule.paused_until)
    due = rules.next_after(schedule.cron, schedule.time_zone, start)
    schedule.next_due_at = due if schedule.enabled else None


def _touch(session: Session, schedule: Schedule) -> None:
    schedule.updated_at = func.clock_timestamp()
    session.flush()
    session.refresh(schedule)


def _zone_of(session: Session, org_id: UUID) -> str:
    return session.execute(select(Organisation.time_zone).where(Organisation.id == org_id)).scalar_one()


def _who_changed(session: Session, schedule: Schedule, version: int) -> str:
    edits: Sequence[Event] = session.scalars(
        select(Event)
        .where(Event.type == "schedule.edited", Event.subject_type == "schedule", Event.subject_id == schedule.id)
        .order_by(Event.id.desc())
        .limit(20)
    ).all()
    newer = [e for e in edits if int(e.payload.get("version", 0)) > version]
    if not newer:
        return f"{schedule.title} was changed since you opened it."
    fields = dict.fromkeys(f for e in reversed(newer) for f in e.payload.get("changed", ()))
    what = ", ".join(_FIELD_WORDS.get(f, f) for f in fields)
    who = " and ".join(dict.fromkeys(e.actor for e in reversed(newer)))
    return f"{who} changed {schedule.title} since you opened it: {what}."


def _tell(session: Session, type_: str, summary: str, schedule: Schedule, by: Actor, **payload: Any) -> None:
    run_id = payload.get("run_id")
    events.publish(
        session,
        type_,
        summary,
        org_id=schedule.org_id,
        actor=by,
        subject=("schedule", schedule.id),
        payload={"name": schedule.name, **payload},
        cause_run_id=run_id,
    )
