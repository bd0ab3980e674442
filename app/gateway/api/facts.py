"""Facts: what agents may know, collected at the moment of asking."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from app.gateway import schemas
from app.gateway.api import answers
from app.gateway.bearer import scoped
from core.config import get_settings
from core.domains.users.service import ApiCaller
from core.errors import BadInput, NotFound
from core.kit import clock, db
from core.kit.db import STAFF
from core.runtime.agents import facts
from core.runtime.orgs.models import AGENCY_ID

router = APIRouter(prefix="/facts", tags=["Facts"])
Reader = Annotated[ApiCaller, Depends(scoped("facts:read"))]


@router.get("", response_model=schemas.FactSectionList, responses=answers())
def list_sections(_: Reader) -> Any:
    """The sections of facts there are."""
    return {"sections": facts.sections()}


@router.get("/{section}", response_model=schemas.FactsNow, responses=answers(404))
def collect(_: Reader, section: Annotated[str, Path(max_length=100)]) -> Any:
    """Collect one section now. The same numbers an agent would be given."""
    try:
        spec = facts.get_section(section)
    except BadInput as error:
        raise NotFound(error.message, "GET /api/v1/facts lists the sections.") from None
    now = clock.now()
    when = facts.FactContext(now=now, zone=clock.zone(get_settings().time_zone), org_id=AGENCY_ID)
    with db.transaction(STAFF) as session:
        found = spec.collect(session, when)
    return {"key": spec.key, "title": found.title, "as_of": now, "facts": found.facts}
