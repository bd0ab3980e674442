"""Bearer keys of the API. No key, a wrong key and a revoked key get one and the same answer."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from core.domains.users import service as users
from core.domains.users.rules import SCOPES
from core.errors import NotAllowed
from core.kit import db
from core.kit.db import STAFF

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="API key",
    description="`Authorization: Bearer ops_…`; `ops keys create NAME --scope …` makes one.",
)
UNKNOWN = HTTPException(401, "This needs a valid API key.", {"www-authenticate": "Bearer"})


def caller(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> users.ApiCaller:
    """Whoever presents a valid key. Raises 401."""
    known: users.ApiCaller | None = None
    if given is not None and len(given.credentials) <= 200:
        with db.transaction(STAFF) as session:
            known = users.authenticate_key(session, given.credentials)
    if known is None:
        raise UNKNOWN
    request.scope["ops_caller"] = known.name
    return known


def scoped(scope: str) -> Callable[[users.ApiCaller], users.ApiCaller]:
    """A dependency: a caller whose key has `scope`. Raises NotAllowed."""
    if scope not in SCOPES:
        raise ValueError(scope)

    def check(who: Annotated[users.ApiCaller, Depends(caller)]) -> users.ApiCaller:
        if scope not in who.scopes:
            lacks = f"This key may not do that: it lacks the scope {scope}."
            raise NotAllowed(lacks, f"Make one that may: `ops keys create NAME --scope {scope}`.")
        return who

    return check
