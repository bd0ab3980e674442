"""Jobs: list, show, run now, enable, disable."""

from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Response
from sqlalchemy.orm import Session

from app.gateway import schemas
from app.gateway.api import answers
from app.gateway.bearer import scoped
from core.domains.users.service import ApiCaller
from core.errors import BadInput, Conflict
from core.kit import db
from core.kit.db import STAFF
from core.runtime.runs import queries as runs
from core.runtime.runs.outcome import as_input
from core.runtime.schedules import queries, service

router = APIRouter(prefix="/jobs", tags=["Jobs"])
Reader = Annotated[ApiCaller, Depends(scoped("jobs:read"))]
Runner = Annotated[ApiCaller, Depends(scoped("jobs:run"))]
Writer = Annotated[ApiCaller, Depends(scoped("jobs:write"))]
Name = Annotated[str, Path(max_length=100, pattern=r"^[^\x00]+$", description="The job's name, e.g. ceo-morning-brief.")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        description="Any text of yours. The same key for the same job returns the run of the first request, for ever.",
    ),
]


def _shown(job: queries.ScheduleRow) -> dict[str, Any]:
    values = {n: getattr(job, n) for n in schemas.Job.model_fields if n not in ("schedule", "last_run")}
    latest = {"run_id": job.last.run_id, "word": job.last.word, "at": job.last.at} if job.last else None
    return values | {"schedule": job.reading, "last_run": latest}


@router.get("", response_model=schemas.JobList, responses=answers())
def list_jobs(_: Reader) -> Any:
    """All jobs, by department and title."""
    with db.transaction(STAFF) as session:
        found = queries.list_schedules(session)
    return {"jobs": [_shown(j) for j in found]}


@router.get("/{name}", response_model=schemas.JobFull, responses=answers(404))
def show_job(_: Reader, name: Name) -> Any:
    """One job with its task and its next times."""
    with db.transaction(STAFF) as session:
        found = queries.schedule_detail(session, name)
    more = {"task": found.task, "facts": list(found.facts), "next_times": list(found.next_times), "error": found.row.error}
    return _shown(found.row) | more


@router.post("/{name}/run", response_model=schemas.RunStarted, responses=answers(404, 409, 422), status_code=202)
def run_job(who: Runner, name: Name, response: Response, given: schemas.RunInput | None = None, key: Key = None) -> Any:
    """Run the job now, ahead of scheduled work, also when it is switched off. The answer comes before the run ends."""
    payload = as_input(given.payload if given else None)
    if len(str(payload)) > 20_000:
        raise BadInput("The payload is larger than 20 kB.", "Put large data elsewhere and send a reference.")
    with db.transaction(STAFF) as session:
        run_id = service.run_now(session, name, who.actor, payload, key=_run_key(who, name, key))
        state = _same_request(session, run_id, payload) if key else "queued"
    response.headers["location"] = f"/api/v1/runs/{run_id}"
    return {"run_id": run_id, "state": state, "href": f"/api/v1/runs/{run_id}"}


def _run_key(who: ApiCaller, name: str, key: str | None) -> str | None:
    """The ledger's key for a caller's own key: callers and jobs can't collide, and its length is bounded."""
    if key is None:
        return None
    if not key.strip():
        raise BadInput("The Idempotency-Key is empty.", "Send a text of your own, such as a UUID, or leave the header out.")
    return f"api:{who.key_id}:{name}:{sha256(key.encode()).hexdigest()[:40]}"


def _same_request(session: Session, run_id: int, payload: dict[str, Any]) -> str:
    """The state of the run a key stands for. Raises Conflict when that run was given something else."""
    found = runs.run_detail(session, run_id)
    if any(found.payload.get(k) != v for k, v in payload.items()):
        raise Conflict(
            f"This Idempotency-Key was used before with another payload (run {run_id}).", "Use a new key for a new request."
        )
    return found.run.state


@router.post("/{name}/enable", response_model=schemas.JobSwitched, responses=answers(404))
def enable_job(who: Writer, name: Name) -> Any:
    """Switch the job on. It starts from now: what came due while it was off does not run."""
    return _switch(who, name, True)


@router.post("/{name}/disable", response_model=schemas.JobSwitched, responses=answers(404))
def disable_job(who: Writer, name: Name) -> Any:
    """Switch the job off. A run that is under way goes on."""
    return _switch(who, name, False)


def _switch(who: ApiCaller, name: str, enabled: bool) -> dict[str, Any]:
    with db.transaction(STAFF) as session:
        job = service.set_enabled(session, name, enabled, who.actor)
        return {"name": job.name, "enabled": job.enabled, "next_due_at": job.next_due_at}
