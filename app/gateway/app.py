"""The gateway: health, metrics, the JSON API, opt-outs, and what vendors send.

It holds no state, so any number of these processes may run.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI, Response
from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import Scope

from app.edge.body import BodyGuard, BodyRule
from app.edge.headers import SecurityHeaders, api_policy
from app.edge.heart import Heart
from app.edge.limits import Limit
from app.gateway import health, mail_hooks, metrics, problems, slack, unsubscribe
from app.gateway.api import actions, control, deals, facts, jobs, runs
from app.gateway.trace import HttpMeters, Trace
from core import registry
from core.config import get_settings
from core.domains.users.rules import SCOPES

THREADS = 16
"""Requests that talk to the database at once; fewer than it gives us connections."""
DESCRIPTION = (
    "Run and watch the agency's jobs, propose and decide actions, and read its deals and facts.\n\n"
    "Send `Authorization: Bearer ops_…`; a key is made with "
    "`ops keys create NAME --scope …`. Errors are `application/problem+json` with a sentence (`detail`) and what to do about it "
    "(`next_step`). Scopes: " + "; ".join(f"`{k}` {v[0].lower()}{v[1:-1]}" for k, v in SCOPES.items()) + "."
)


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    heart = Heart("gateway", port=get_settings().gateway_port)
    heart.start()
    try:
        yield
    finally:
        heart.stop()


def create_app(body: BodyRule | None = None) -> FastAPI:
    """The ASGI application. `body` limits request bodies: 1 MB within 10 seconds when not given."""
    registry.load()
    disable_created_metrics()  # type: ignore[no-untyped-call]
    meters = CollectorRegistry()
    ProcessCollector(registry=meters)
    rule = body or BodyRule()

    def rule_for(_scope: Scope) -> BodyRule:
        return rule

    app = FastAPI(
        title="ManageAI Ops",
        version="1",
        description=DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # the usual viewers load scripts from other hosts
        redoc_url=None,
        lifespan=_lifespan,
        middleware=[
            Middleware(SecurityHeaders, policy=api_policy),
            Middleware(Trace, meters=HttpMeters(meters)),
            Middleware(BodyGuard, rule_for=rule_for, refuse=problems.refused_body),
        ],
    )
    problems.install(app)
    _health(app)
    metrics.install(app, meters)
    app.state.opt_out_limit = Limit(unsubscribe.PER_MINUTE, 60.0)
    for door in (unsubscribe, mail_hooks, slack):
        app.include_router(door.router)
    for part in (jobs, runs, actions, control, deals, facts):
        app.include_router(part.router, prefix="/api/v1")
    return app


def _health(app: FastAPI) -> None:
    @app.get("/healthz", tags=["Health"], include_in_schema=False)
    async def healthz() -> dict[str, str]:
        """The process is alive; says nothing about what it needs."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["Health"], include_in_schema=False)
    def readyz() -> Response:
        """Whether the database, Redis and the schema are as they should be; 503 says which is not."""
        found = health.readiness()
        more = {"cache-control": "no-store"} | ({} if found.ready else {"retry-after": str(problems.RETRY_AFTER_S)})
        return JSONResponse(found.model_dump(), 200 if found.ready else 503, more)
