"""Errors as `application/problem+json` (RFC 9457): a title, a sentence, and what to do next. Never a trace."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Scope

from app.edge.body import BodyRefused
from core.errors import BadInput, BudgetExceeded, Conflict, NotAllowed, NotFound, OpsError, Unavailable
from core.kit import log

TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    413: "Too large",
    422: "Bad request",
    500: "Internal error",
    503: "Unavailable",
}
RETRY_AFTER_S = 5
SEE_API = "The description of the API is at /api/v1/openapi.json."

_STATUS: tuple[tuple[type[OpsError], int], ...] = (
    (BadInput, 422),
    (NotFound, 404),
    (Conflict, 409),
    (NotAllowed, 403),
    (BudgetExceeded, 409),
    (Unavailable, 503),
)


class Problem(BaseModel):
    """What went wrong, and what to do about it."""

    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(description="One sentence.", examples=["There is no job called “ceo-brief”."])
    next_step: str = Field(description="What to do about it.", examples=["Did you mean ceo-morning-brief?"])
    request_id: str | None = Field(None, description="Name this when you report it; the log has the same.")


class ProblemResponse(JSONResponse):
    """A Problem as an answer."""

    media_type = "application/problem+json"


def problem(
    status: int, detail: str, next_step: str = "", *, scope: Scope | None = None, headers: Mapping[str, str] | None = None
) -> ProblemResponse:
    """The answer for a problem."""
    request_id = scope.get("ops_request_id") if scope else None
    body = Problem(title=TITLES.get(status, "Error"), status=status, detail=detail, next_step=next_step, request_id=request_id)
    extra = {"retry-after": str(RETRY_AFTER_S)} if status == 503 else {}
    return ProblemResponse(body.model_dump(), status, {**extra, **(headers or {})})


def of_error(error: Exception, scope: Scope) -> ProblemResponse:
    """The answer for an exception; what is not expected says nothing of its inside."""
    if isinstance(error, OpsError):
        status = next((s for kind, s in _STATUS if isinstance(error, kind)), 500)
        return problem(status, error.message, error.next_step, scope=scope)
    if isinstance(error, PoolTimeout) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return problem(503, "The database does not answer.", "Try again in a few seconds.", scope=scope)
    return problem(500, "Something went wrong on our side.", "Try again; if it stays, report the request id.", scope=scope)


def refused_body(scope: Scope, refused: BodyRefused) -> ASGIApp:
    """The answer for a body that is too large or too slow."""
    return problem(refused.status, refused.message, refused.next_step, scope=scope)


def _validation(error: RequestValidationError) -> tuple[str, str]:
    first: Any = error.errors()[0]
    where = ".".join(str(p) for p in first["loc"][1:]) or str(first["loc"][0])
    return f"“{where}” is not right: {first['msg']}.", SEE_API


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""
    logger = log.get("gateway")

    @app.exception_handler(OpsError)
    async def expected(request: Request, error: OpsError) -> ProblemResponse:
        return of_error(error, request.scope)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> ProblemResponse:
        detail, next_step = _validation(error)
        return problem(422, detail, next_step, scope=request.scope)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> ProblemResponse:
        sentences = {404: "There is nothing at this address.", 405: "This address does not take that method."}
        detail = sentences.get(error.status_code, str(error.detail))
        next_step = "Send `Authorization: Bearer ops_…`." if error.status_code == 401 else SEE_API
        return problem(error.status_code, detail, next_step, scope=request.scope, headers=error.headers)

    @app.exception_handler(DBAPIError)
    @app.exception_handler(PoolTimeout)
    async def database(request: Request, error: Exception) -> ProblemResponse:
        logger.error("database error", reason=f"{type(error).__name__}: {getattr(error, 'orig', error)}"[:300])
        return of_error(error, request.scope)
