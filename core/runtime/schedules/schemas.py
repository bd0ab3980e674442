"""What a person gives to make or change a job. Checked by `checks`, which says in one sentence what is wrong."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class NewJob(BaseModel):
    """A job a person makes. `facts` are fact section keys in order; `time_zone` None means the organisation's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Slug, e.g. friday-numbers; None of it changes later."""
    title: str
    department: str
    agent: str
    cron: str
    task: str
    facts: tuple[str, ...] = ()
    time_zone: str | None = None
    enabled: bool = True
    grace_s: int = 900
    overlap: str = "skip"
    catch_up: str = "latest"
    timeout_s: int = 600
    payload: dict[str, Any] = {}


class JobEdit(BaseModel):
    """What to change; None leaves it as it is. The name stays: it is part of every slot's key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str | None = None
    department: str | None = None
    agent: str | None = None
    cron: str | None = None
    task: str | None = None
    facts: tuple[str, ...] | None = None
    time_zone: str | None = None
    grace_s: int | None = None
    overlap: str | None = None
    catch_up: str | None = None
    timeout_s: int | None = None
    payload: dict[str, Any] | None = None
