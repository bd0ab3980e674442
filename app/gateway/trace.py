"""The outermost layer: a request id, one log line a request, counters, and the last net for errors."""

import time
from secrets import token_hex

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.edge.addresses import header
from app.edge.body import logged
from app.gateway.problems import of_error
from core.kit import log

API = "/api/v1"
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines: logged only when they fail."""


class HttpMeters:
    """Counts requests by method, route and status, and times them. `route` is the pattern, never the path itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self.requests = Counter("ops_http_requests", "HTTP requests answered.", labels, registry=registry)
        self.seconds = Histogram(
            "ops_http_request_duration_seconds", "Time to answer.", ("route",), registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )  # fmt: skip


class Trace:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, meters: HttpMeters) -> None:
        self.app = app
        self.meters = meters
        self.log = log.get("gateway")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = scope["ops_request_id"] = _request_id(scope)
        structlog.contextvars.bind_contextvars(request=request_id)
        began, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            self.log.error("request failed", path=logged(scope["path"]), exc_info=error)
            if status:
                raise ConnectionAbortedError("the answer broke off") from None
            await of_error(error, scope)(scope, receive, sending)
        finally:
            self._record(scope, status, time.perf_counter() - began)
            structlog.contextvars.unbind_contextvars("request")

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route(scope)
        method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"
        self.meters.requests.labels(method, route, str(status or "hung up")).inc()
        self.meters.seconds.labels(route).observe(seconds)
        if scope["path"] not in QUIET or status >= 500:
            self.log.info(
                "request", method=method, path=logged(scope["path"]), status=status or "hung up", ms=round(seconds * 1000, 1)
            )


def _route(scope: Scope) -> str:
    """The pattern of the address, never the address: numbers in it must not become series."""
    pattern = getattr(scope.get("route"), "path", None)
    if not pattern:
        return "none"
    # a route of an included router knows only its own part
    return f"{API}{pattern}" if scope["path"].startswith(API) and not pattern.startswith(API) else pattern


def _request_id(scope: Scope) -> str:
    """The caller's own id when it is a short plain word, else a new one."""
    given = header(scope, b"x-request-id") or ""
    plain = given.isascii() and given.replace("-", "").replace("_", "").isalnum() and len(given) <= 64
    return given if plain else token_hex(8)
