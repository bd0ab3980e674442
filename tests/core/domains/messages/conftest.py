"""Messages rendered for an account, and sent through the fake world."""

from uuid import UUID

import pytest

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions import kinds
from core.runtime.actions.kinds import Account, Outgoing, Rendered, Rendering
from core.runtime.orgs.models import AGENCY_ID

KEY = UUID("11111111-2222-4333-8444-555555555555")


@pytest.fixture
def slack(world):
    return Account(1, "slack", {}, world.slack.token)


@pytest.fixture
def resend(world):
    return Account(2, "resend", {"from": "ManageAI <ops@manageai.example>"}, world.resend.key)


@pytest.fixture
def smtp(world):
    return Account(3, "smtp", world.smtp.config, "smtp-test-0123456789-never-log-me")


def drawn(kind: str, payload: dict, account: Account | None = None, key: UUID = KEY) -> Rendered:
    """As `propose` renders it, in a transaction of its own."""
    made = kinds.get(kind)
    with database.transaction(STAFF) as session:
        return made.render(made.read(payload), Rendering(AGENCY_ID, key, account, session))


def out(rendered: Rendered, first_sent_at=None, key: UUID = KEY) -> Outgoing:
    return Outgoing(rendered.wire, key, AGENCY_ID, first_sent_at)
