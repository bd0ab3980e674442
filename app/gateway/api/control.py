"""The kill switch: pull it, and see what is stopped. A key can't resume: that takes people."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from app.gateway.api import answers
from app.gateway.bearer import scoped
from core.domains.users.service import ApiCaller
from core.kit import db
from core.kit.db import STAFF
from core.runtime.switches import queries, service
from core.runtime.switches.models import Reach

router = APIRouter(prefix="/kill", tags=["Kill switch"])
Controller = Annotated[ApiCaller, Depends(scoped("control:write"))]
Words = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


class Pull(BaseModel):
    """What to stop: everything, or one organisation or one agent by its name."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=service.MAX_REASON, pattern=r"\S")]
    organisation: Words | None = None
    agent: Words | None = None


class Pulled(BaseModel):
    """`created` is false when it was stopped already."""

    id: int
    created: bool
    sentence: str


class SwitchShape(BaseModel):
    """A switch that is on."""

    id: int
    reach: str = Field(description="everything, organisation or agent")
    organisation: str
    agent: str | None
    reason: str
    by: str
    at: datetime
    resume_asked_by: str | None


class StoppedShape(BaseModel):
    """What is stopped now. `environment` is why the server's environment stops everything; `held` counts actions that wait."""

    stopped: bool
    environment: str | None
    held: int
    switches: list[SwitchShape]


@router.get("", response_model=StoppedShape, responses=answers())
def show(_: Controller) -> Any:
    """What is stopped now, by whom, since when and why."""
    with db.transaction(STAFF) as session:
        stopped = service.state(session)
    on = [
        {
            "id": s.id, "reach": s.reach.value, "organisation": s.org_name, "agent": s.agent, "reason": s.reason, "by": s.by,
            "at": s.at, "resume_asked_by": s.asked_by,
        }
        for s in stopped.switches
    ]  # fmt: skip
    return {"stopped": bool(stopped), "environment": stopped.env, "held": stopped.held, "switches": on}


@router.post("", response_model=Pulled, responses=answers(404, 422))
def pull(who: Controller, wanted: Pull) -> Any:
    """Stop effects at once. Again is no error: it is stopped already then. What is approved meanwhile is held, not lost."""
    reach = Reach.ORGANISATION if wanted.organisation else Reach.AGENT if wanted.agent else Reach.EVERYTHING
    agent = wanted.agent
    with db.transaction(STAFF) as session:
        org_id = queries.organisation(session, wanted.organisation) if wanted.organisation else None
        made = service.pull(session, reach, wanted.reason, who.actor, org_id=org_id, agent=agent)
    return {"id": made.id, "created": made.created, "sentence": made.sentence}
