"""The JSON API, version 1: one file a resource, all behind bearer keys."""

from typing import Any

from app.gateway.problems import Problem

_SAYS = {
    401: "No valid key.",
    403: "The key lacks the scope.",
    404: "There is no such thing.",
    409: "Somebody else was first.",
    422: "The request is not right.",
    503: "The database is away; see Retry-After.",
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems an endpoint may answer with, for its description."""
    wanted = (401, 403, *statuses, 503)
    kind: dict[str, Any] = {"application/problem+json": {}}
    return {s: {"model": Problem, "description": _SAYS[s], "content": kind} for s in wanted}
