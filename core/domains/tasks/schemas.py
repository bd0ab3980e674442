"""What the payload of a task's actions may hold."""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from core.domains.tasks.models import TaskReason


def _one_line(value: str) -> str:
    value = " ".join(value.split())
    if not value:
        raise ValueError("it is empty")
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskCreate(_Strict):
    """Work for one of our people. `assignee` is a colleague's mail address or a role; `evidence` shows that `reason` holds:
    the client's words, the deadline, the danger."""

    title: Annotated[str, Field(max_length=200), AfterValidator(_one_line)]
    detail: Annotated[str, Field(max_length=5_000)] = ""
    reason: TaskReason
    evidence: Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"\S")]
    assignee: Annotated[str, Field(max_length=320), AfterValidator(_one_line)]
    due: Annotated[date | None, BeforeValidator(lambda v: None if v == "" else v)] = None


class TaskRemove(_Strict):
    """Take a task back that nobody has done yet."""

    task_id: int
