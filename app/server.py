"""The web process: `streamlit run app/server.py`. Sign-in and the gate stand before Streamlit's dashboard, on one port."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.types import Scope
from streamlit import config

from app.auth import pages
from app.auth.gate import Gate
from app.auth.routes import routes
from app.edge.addresses import ours
from app.edge.body import BodyGuard, BodyRefused, BodyRule
from app.edge.headers import SecurityHeaders, dashboard_policy
from app.edge.heart import Heart
from app.edge.secret import web_secret
from app.edge.statics import PackedStatics
from app.ui import assets, live
from app.ui.shell import Shell
from core.config import get_settings
from core.domains.users import passwords
from core.domains.users import service as users
from core.kit import db, log
from core.kit.db import STAFF

FORM = BodyRule(max_bytes=16_000, deadline_s=10)


def _configure() -> None:
    """Streamlit's settings that follow from ours. Its own file holds the look and what never changes."""
    known = ours()
    os.environ["STREAMLIT_SERVER_COOKIE_SECRET"] = web_secret()
    config.set_option("server.cookieSecret", web_secret())
    config.set_option("server.allowedHosts", [] if known.any_ip else sorted(known.names))
    config.set_option("server.corsAllowedOrigins", [known.public_origin] if known.public_origin else [])
    config.set_option("server.enableXsrfProtection", True)
    config.set_option("server.enableCORS", True)
    config.set_option("server.enableAgentApi", False)


def _sweep() -> None:
    with db.transaction(STAFF) as session:
        users.sweep(session)


@asynccontextmanager
async def _lifespan(_app: st.App) -> AsyncIterator[None]:
    passwords.warm()
    heart = Heart("web", also=_sweep, port=get_settings().web_port)
    heart.start()
    try:
        yield
    finally:
        heart.stop()


def _form_rule(scope: Scope) -> BodyRule | None:
    return FORM if scope["path"].startswith("/auth/") else None


def _refuse(_scope: Scope, refused: BodyRefused):  # type: ignore[no-untyped-def]
    return pages.refused("That did not work", refused.message, refused.next_step, refused.status)


log.configure("web")
_configure()
app = st.App(
    Path(__file__).with_name("dashboard.py"),
    lifespan=_lifespan,
    routes=[*routes, *live.routes, *assets.routes, Route("/today", lambda _request: RedirectResponse("/"))],
    # the first is the outermost
    middleware=[
        Middleware(SecurityHeaders, policy=dashboard_policy),
        Middleware(GZipMiddleware, minimum_size=1000, compresslevel=6),
        Middleware(Gate),
        Middleware(BodyGuard, rule_for=_form_rule, refuse=_refuse),
        Middleware(Shell),
        Middleware(PackedStatics, root=Path(st.__file__).with_name("static")),
    ],
)
