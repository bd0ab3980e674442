"""The page of a contact counts what the ceilings count."""

from datetime import timedelta

import pytest

from core.kit import clock
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.contacts import queries
from tests import acts
from tests.cast import make_cast

CAROL = "carol@cornerstone.example"


@pytest.mark.parametrize(
    ("state", "said", "counted"),
    [
        ("done", {"first_sent_at": 0, "finished_at": 0}, 1),
        ("intent", {"first_sent_at": 0}, 1),
        ("intent", {}, 0),  # refused by the vendor, and then withdrawn: it never left
        ("failed", {"first_sent_at": 0, "finished_at": 0}, 0),
        ("done", {"first_sent_at": 0, "finished_at": 0, "dry_run": True}, 0),
    ],
)
def test_what_was_sent_or_may_have_been_counts(db: None, state: str, said: dict, counted: int) -> None:
    then = clock.now() - timedelta(hours=1)
    with database.transaction(STAFF) as session:
        make_cast(session)
        made = acts.put(session, "mail.send", "done")
        values = {k: then if k.endswith("_at") else v for k, v in said.items()}
        acts.effect(session, made, state, recipients=[CAROL], **values)
    with database.transaction(STAFF) as session:
        assert queries.contacts(session, CAROL).day == counted
        assert len(queries.history(session, CAROL)) == counted
