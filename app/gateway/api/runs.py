"""Runs: list, show, cancel, retry."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from app.gateway import schemas
from app.gateway.api import answers
from app.gateway.bearer import scoped
from core.domains.users.service import ApiCaller
from core.kit import db
from core.kit.db import STAFF
from core.runtime.agents import queries as agents
from core.runtime.runs import queries, service
from core.runtime.runs.models import RunState

router = APIRouter(prefix="/runs", tags=["Runs"])
Reader = Annotated[ApiCaller, Depends(scoped("runs:read"))]
Writer = Annotated[ApiCaller, Depends(scoped("runs:write"))]
RunId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The run's number.")]


def summary(row: queries.RunRow) -> dict[str, Any]:
    """A run's fields as the API shows them."""
    values = {name: getattr(row, name) for name in schemas.RunSummary.model_fields if name != "cost_usd"}
    return values | {"cost_usd": row.cost_microusd / 1_000_000}


@router.get("", response_model=schemas.RunList, responses=answers(422))
def list_runs(
    _: Reader,
    state: Annotated[list[RunState] | None, Query(description="Only these states; repeat for several.")] = None,
    name: Annotated[list[str] | None, Query(description="Only runs of these jobs; repeat for several.")] = None,
    since: Annotated[datetime | None, Query(description="Made at or after this time.")] = None,
    until: Annotated[datetime | None, Query(description="Made before this time.")] = None,
    q: Annotated[str, Query(max_length=100, description="Text in name, title, cause or error; or an id.")] = "",
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="The `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Any:
    """Runs, newest first, page by page."""
    wanted = queries.RunFilter(
        states=[s.value for s in state or ()], names=[n for n in name or () if "\x00" not in n], since=since, until=until,
        text=q.replace("\x00", ""), before_id=before,
    )  # fmt: skip
    with db.transaction(STAFF) as session:
        page = queries.list_runs(session, wanted, limit)
    return {"runs": [summary(r) for r in page.rows], "next": page.next_before_id}


@router.get("/{run_id}", response_model=schemas.RunFull, responses=answers(404))
def show_run(_: Reader, run_id: RunId) -> Any:
    """One run: its steps, log, causes, input and output."""
    with db.transaction(STAFF) as session:
        found = queries.run_detail(session, run_id)
        said = agents.report_text(session, run_id, found.output)
    more = {n: getattr(found, n) for n in ("payload", "output", "steps", "logs", "causes", "facts", "model_calls")}
    return summary(found.run) | more | {"report": said}


@router.post("/{run_id}/cancel", response_model=schemas.RunChanged, responses=answers(404, 409))
def cancel_run(who: Writer, run_id: RunId) -> Any:
    """Cancel a run: at once when it has not started, at its next step when it runs."""
    with db.transaction(STAFF) as session:
        state = service.cancel(session, run_id, who.actor)
    return {"run_id": run_id, "state": state.value}


@router.post("/{run_id}/retry", response_model=schemas.RunChanged, responses=answers(404, 409), status_code=202)
def retry_run(who: Writer, run_id: RunId) -> Any:
    """Queue a run that failed or was cancelled once more; finished steps are not redone."""
    with db.transaction(STAFF) as session:
        service.retry(session, run_id, who.actor)
    return {"run_id": run_id, "state": RunState.QUEUED.value}
