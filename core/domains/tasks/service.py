"""Commands on tasks: make one out of an action, take it back, say that it is done."""

from datetime import datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.config import get_settings
from core.domains.tasks.models import Task
from core.domains.tasks.schemas import TaskCreate
from core.errors import BadInput, Conflict, NotAllowed, NotFound
from core.kit import clock
from core.kit.actor import Actor
from core.runtime.events import service as events
from core.runtime.notifications import service as notifications
from core.runtime.orgs import people
from core.runtime.orgs.people import Person

HREF = "/"
"""Tasks stand on Today."""


def assigned(session: Session, assignee: str) -> Person | str:
    """The colleague with that address, or the role. Raises BadInput when it is neither."""
    if "@" in assignee:
        wanted = assignee.strip().casefold()
        found = next((p for p in people.everybody(session) if p.email.casefold() == wanted), None)
        if found is None:
            raise BadInput(f"Nobody here has the address {assignee}.", "Name a colleague's address, or a role such as delivery.")
        return found
    role = assignee.strip().lower()
    if not people.with_role(session, role):
        raise BadInput(f"Nobody here has the role {assignee}.", "Name a colleague's address, or a role such as delivery.")
    return role


def create(
    session: Session, wanted: TaskCreate, *, action_id: int | None, org_id: UUID, by: Actor, cause_run_id: int | None = None,
    demo: bool = False,
) -> int:  # fmt: skip
    """Make the task and tell whoever is to do it. The same action makes one task, however often. Returns its id."""
    whose = assigned(session, wanted.assignee)
    person = whose if isinstance(whose, Person) else None
    values = {
        "org_id": org_id, "title": wanted.title, "detail": wanted.detail, "reason": wanted.reason.value,
        "evidence": wanted.evidence, "user_id": person.id if person else None, "role": None if person else whose,
        "action_id": action_id, "due_at": _end_of_day(wanted), "demo": demo,
    }  # fmt: skip
    made = session.execute(
        insert(Task).values(values).on_conflict_do_nothing(index_elements=["action_id"]).returning(Task.id)
    ).scalar_one_or_none()
    if made is None:
        return session.execute(select(Task.id).where(Task.action_id == action_id)).scalar_one()
    name = person.name if person else f"the role {whose}"
    events.publish(
        session, "task.created", f"A task for {name}: {wanted.title}.", org_id=org_id, actor=by, subject=("task", made),
        cause_run_id=cause_run_id, demo=demo, payload={"reason": wanted.reason.value},
    )  # fmt: skip
    notifications.notify(
        session, users=[person.id] if person else [], role=None if person else str(whose), kind="task", key=f"task:{made}",
        title=f"A task for you: {wanted.title}", body=wanted.evidence[:300], href=HREF, org_id=org_id, demo=demo,
    )  # fmt: skip
    return made


def _end_of_day(wanted: TaskCreate) -> datetime | None:
    if wanted.due is None:
        return None
    return datetime.combine(wanted.due, time(23, 59, 59), clock.zone(get_settings().time_zone))


def remove(session: Session, task_id: int) -> None:
    """Take it back. One that is gone already is as it should be. Raises Conflict when somebody has done it."""
    gone = session.execute(delete(Task).where(Task.id == task_id, Task.done_at.is_(None)).returning(Task.id)).first()
    if gone is None:
        check_removable(session, task_id)


def check_removable(session: Session, task_id: int) -> str | None:
    """The open task's title, None when it is gone. Raises Conflict when it is done."""
    task = session.get(Task, task_id, populate_existing=True)
    if task is not None and task.done_at is not None:
        raise Conflict(f"{task.done_by or 'Somebody'} has done that task already.", "There is nothing to take back.")
    return task.title if task else None


def done(session: Session, task_id: int, by: Actor) -> None:
    """Somebody has done it: whose it is, anybody of its role, or an admin.

    Raises NotFound, NotAllowed, and Conflict naming who was first.
    """
    task = session.execute(select(Task).where(Task.id == task_id).with_for_update()).scalar_one_or_none()
    if task is None:
        raise NotFound("That task is gone.", "Somebody took it back; there is nothing to do.")
    if task.done_at is not None:
        raise Conflict(f"{task.done_by} has done that task already.", "There is nothing left to do.")
    _may(session, task, by)
    now = clock.now()
    values: dict[str, Any] = {"done_at": now, "done_by": by.label}
    session.execute(update(Task).where(Task.id == task_id).values(values))
    events.publish(
        session, "task.done", f"{by.label} did: {task.title}.", org_id=task.org_id, actor=by, subject=("task", task_id),
        demo=task.demo,
    )  # fmt: skip


def _may(session: Session, task: Task, by: Actor) -> None:
    person = people.find(session, by.user_id) if by.user_id is not None else None
    if person is None or not (
        person.role == people.ADMIN or person.id == task.user_id or (task.role is not None and person.role == task.role)
    ):
        raise NotAllowed("That task is somebody else's.", "Whose it is or an admin can say that it is done.")
