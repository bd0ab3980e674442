"""Making work for people is an action as any other: task.create, and task.remove to take it back."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from core.domains.tasks import queries, service
from core.domains.tasks.models import TaskReason
from core.domains.tasks.schemas import TaskCreate, TaskRemove
from core.kit.actor import Actor
from core.runtime.actions.kinds import ActionKind, Field, Receipt, Rendered, Rendering, register
from core.runtime.actions.models import Action, Audience
from core.runtime.orgs.people import Person

CREATE, REMOVE = "task.create", "task.remove"


def _render_create(asked: TaskCreate, on: Rendering) -> Rendered:
    whose = service.assigned(on.session, asked.assignee)
    name = whose.name if isinstance(whose, Person) else f"everybody in {whose}"
    wire = json.dumps(asked.model_dump(mode="json"), ensure_ascii=False, sort_keys=True).encode()
    reason = queries.REASONS[TaskReason(asked.reason)].lower()
    return Rendered(wire, f"Task for {name}: {asked.title} ({reason})", name, Audience.INTERNAL)


def _create(session: Session, action: Action) -> Receipt:
    wanted = TaskCreate.model_validate_json(action.wire)
    by = Actor(action.agent or action.requested_by, action.requested_by_kind, action.requested_by_id)
    made = service.create(
        session, wanted, action_id=action.id, org_id=action.org_id, by=by, cause_run_id=action.run_id, demo=action.demo
    )
    return Receipt(str(made), service.HREF, {"task_id": made})


def _undo(_payload: Mapping[str, Any], receipt: Receipt) -> dict[str, Any]:
    return {"task_id": receipt.data["task_id"]}


def _render_remove(asked: TaskRemove, on: Rendering) -> Rendered:
    title = service.check_removable(on.session, asked.task_id)
    wire = json.dumps({"task_id": asked.task_id}).encode()
    return Rendered(wire, f"Take back the task: {title or asked.task_id}", "Tasks", Audience.INTERNAL)


def _remove(session: Session, action: Action) -> Receipt:
    task_id = int(json.loads(action.wire)["task_id"])
    service.remove(session, task_id)
    return Receipt(str(task_id), None, {"task_id": task_id})


register(
    ActionKind(
        CREATE,
        "task",
        "Make the task",
        "task",
        TaskCreate,
        _render_create,
        inside=_create,
        undo_kind=REMOVE,
        undo_payload=_undo,
        fields=(
            Field("title", "Title"),
            Field("detail", "Detail", "text"),
            Field("reason", "Reason", "choice", tuple(r.value for r in TaskReason)),
            Field("evidence", "What shows it", "text"),
            Field("assignee", "For whom"),
            Field("due", "Due on"),
        ),
        protected=("assignee",),
    )
)
register(
    ActionKind(
        REMOVE,
        "removal of a task",
        "Take the task back",
        "remove_done",
        TaskRemove,
        _render_remove,
        inside=_remove,
        protected=("task_id",),
    )
)
