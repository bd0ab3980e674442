"""The gateway in process, keys for it, and a real uvicorn with short deadlines for what only a socket can show."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn
from fastapi.testclient import TestClient

from app.edge.body import BodyRule
from app.gateway.app import create_app
from app.gateway.protocol import GuardedProtocol
from core.domains.users import service as users
from core.domains.users.rules import SCOPES
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.schedules import service as schedules

JOB = "sales-pipeline-review"


class Hasty(GuardedProtocol):
    """The deadlines of the real thing, ten times as fast."""

    HEADERS_S = 0.5
    BODY_S = 1.0
    EXCHANGE_S = 5.0


@pytest.fixture(scope="session")
def app():
    return create_app(BodyRule(max_bytes=1_000_000, deadline_s=2))


def make_key(name="test", scopes=tuple(SCOPES)):
    with database.transaction(STAFF) as session:
        return users.create_key(session, name, scopes).key


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def client(db, app):
    with database.transaction(STAFF) as session:
        schedules.sync_builtin(session)
    # without its lifespan: no heartbeat thread writes into the next test's empty database
    return TestClient(app, raise_server_exceptions=False, headers=bearer(make_key()))


@contextmanager
def serving(app, protocol=Hasty):
    """A real server on a free port of 127.0.0.1; yields the port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=protocol, ws="none", lifespan="off", log_config=None, access_log=False, timeout_keep_alive=2
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


@pytest.fixture(scope="module")
def port(app):
    with serving(app) as found:
        yield found
