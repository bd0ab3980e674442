import pytest

from core.kit import db as database
from core.kit.db import STAFF
from tests.core.runtime.agents import lab


@pytest.fixture
def agency(db):
    """An empty database but for Dave; sections, a job and an agent of ours that may write to Slack and send mail."""
    with lab.opened():
        with database.transaction(STAFF) as session:
            lab.may(session, "slack.post", "mail.send")
        yield lab
