"""The sign-in routes behind the gate, without Streamlit: a small page and a WebSocket stand in for the dashboard."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

from app.auth import gate as gates
from app.auth import routes as auth_routes
from app.auth.gate import Gate
from app.auth.routes import routes
from app.edge.addresses import addresses_for
from app.edge.body import BodyGuard, BodyRule
from core.domains.users import service
from core.kit import db as database
from core.kit.db import STAFF
from tests.cast import make_cast

HOME = "http://127.0.0.1:8501"
PASSWORD = "three calm green herons"


async def page(request):
    return PlainTextResponse(f"page {request.url.path}")


async def echo(websocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


FORM = BodyRule(max_bytes=16_000, deadline_s=5)


def make_app(public_url=None, recheck_s=15.0, rule=FORM):
    from app.auth import pages

    return Starlette(
        routes=[*routes, WebSocketRoute("/_stcore/stream", echo), Route("/{path:path}", page, methods=["GET", "POST", "PUT"])],
        middleware=[
            Middleware(Gate, addresses=addresses_for("127.0.0.1", public_url), recheck_s=recheck_s),
            Middleware(
                BodyGuard,
                rule_for=lambda scope: rule if scope["path"].startswith("/auth/") else None,
                refuse=lambda _scope, refused: pages.refused("No", refused.message, refused.next_step, refused.status),
            ),
        ],
    )


@pytest.fixture(autouse=True)
def _fresh_lanes():
    # limiters belong to an event loop, and each TestClient brings its own
    gates._lane = auth_routes._lane = None
    yield
    gates._lane = auth_routes._lane = None


@pytest.fixture
def cast(db):
    with database.transaction(STAFF) as session:
        made = make_cast(session)
        service.set_password(session, "dan@manageai.example", PASSWORD)
    return made


@pytest.fixture
def client(cast):
    with TestClient(make_app(), base_url=HOME, follow_redirects=False, headers={"origin": HOME}) as made:
        yield made


def link_for(email="dan@manageai.example"):
    with database.transaction(STAFF) as session:
        return service.create_login_link(session, email)


def sign_in(client, password=PASSWORD, email="dan@manageai.example", **more):
    return client.post("/auth/sign-in", data={"email": email, "password": password, **more})


def run(coroutine):
    return asyncio.run(coroutine)
