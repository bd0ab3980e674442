"""Keys of one's own, people, and connections in numbers."""

import base64
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from core.config import get_settings
from core.kit import db as database
from core.kit import keyring
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.connections import service
from core.runtime.orgs.models import AGENCY_ID
from tests.cast import Cast, make_cast

CANARY = "xoxb-CANARY-7d1e55-0042-tail"
DAVE = Actor("Dave", "user", 1)
SENDER = {"from": "ManageAI <hello@manageai.example>"}


def key(letter: str) -> str:
    """The same 32 bytes, as OPS_SECRET_KEYS wants them."""
    return base64.b64encode(letter.encode() * 32).decode()


@pytest.fixture
def folder(db: None, state_folder: Path) -> Path:
    """An empty database and a state folder with keys of its own."""
    keyring.create()
    return state_folder


@pytest.fixture
def cast(folder) -> Cast:
    with database.transaction(STAFF) as session:
        return make_cast(session)


@pytest.fixture
def env(folder, monkeypatch) -> Callable[..., None]:
    """Set environment variables as a new process would have them; None takes one away."""

    def given(**values: str | None) -> None:
        for name, value in values.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        get_settings.cache_clear()

    return given


def connect(vendor: str = "slack", secret: str | None = CANARY, name: str = "main", org_id: UUID = AGENCY_ID, **config) -> int:
    """Enter a connection as Dave."""
    with database.transaction(STAFF) as session:
        return service.save(session, vendor, name, config, secret, DAVE, org_id).id


def connect_many(many: int) -> list[int]:
    """So many connections in one transaction; the secret of each tells its number: `secret_of(n)`."""
    with database.transaction(STAFF) as session:
        return [service.save(session, "slack", f"n{n}", {}, secret_of(n), DAVE).id for n in range(many)]


def secret_of(n: int) -> str:
    """The secret that belongs to number n."""
    return f"xoxb-canary-{n:06d}"


def opened(connection_id: int) -> str:
    """Its secret, as a worker gets it."""
    with database.transaction(STAFF) as session:
        return service.open_account(session, connection_id, "test").secret
