"""Deals: list and show."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from app.gateway import schemas
from app.gateway.api import answers
from app.gateway.bearer import scoped
from core.domains.crm import queries
from core.domains.crm.models import DealStatus
from core.domains.users.service import ApiCaller
from core.errors import BadInput
from core.kit import db
from core.kit.db import STAFF

router = APIRouter(prefix="/deals", tags=["Deals"])
Reader = Annotated[ApiCaller, Depends(scoped("deals:read"))]


@router.get("", response_model=schemas.DealList, responses=answers(422))
def list_deals(
    _: Reader,
    status: Annotated[DealStatus | None, Query(description="open, won or lost")] = None,
    stage: Annotated[list[int] | None, Query(description="Ids of stages; repeat for several.")] = None,
    owner: Annotated[list[int] | None, Query(description="Ids of owners; repeat for several.")] = None,
    opened: Annotated[str, Query(description="2026-01-01..2026-03-31; either end may be missing.", max_length=30)] = "",
    closed: Annotated[str, Query(description="As `opened`, for the day it was won or lost.", max_length=30)] = "",
    show: Annotated[str, Query(description=f"Open deals that need something: {', '.join(queries.ONLY)}.")] = "",
    q: Annotated[str, Query(max_length=100, description="Text in the title or the account; or an external id.")] = "",
    sort: Annotated[str, Query(description=f"{', '.join(queries.SORTS)}; highest first.")] = "activity",
    after: Annotated[str | None, Query(max_length=100, description="The `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Any:
    """Deals, page by page."""
    if sort not in queries.SORTS:
        raise BadInput(f"There is no sort “{sort[:40]}”.", f"Use one of {', '.join(queries.SORTS)}.")
    if show and show not in queries.ONLY:
        raise BadInput(f"There is no list “{show[:40]}”.", f"Use one of {', '.join(queries.ONLY)}.")
    wanted = queries.DealFilter.from_params(
        {"status": status, "stage": stage, "owner": owner, "opened": opened, "closed": closed, "show": show, "q": q}
    )
    if (opened and not (wanted.opened_from or wanted.opened_to)) or (closed and not (wanted.closed_from or wanted.closed_to)):
        raise BadInput("That is not a range of days.", "Write it like 2026-01-01..2026-03-31.")
    with db.transaction(STAFF) as session:
        page = queries.deals_page(session, wanted, sort=sort, after=after, limit=limit)
    return {"deals": page.deals, "next": page.next}


@router.get("/{deal_id}", response_model=schemas.DealFull, responses=answers(404))
def show_deal(_: Reader, deal_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Any:
    """One deal with its way through the stages."""
    with db.transaction(STAFF) as session:
        found = queries.deal_detail(session, deal_id)
    row = {name: getattr(found.deal, name) for name in schemas.Deal.model_fields}
    more = {name: getattr(found, name) for name in schemas.DealFull.model_fields if name not in row}
    return row | more
