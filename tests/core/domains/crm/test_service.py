from datetime import timedelta

import pytest

from core.domains.crm import queries, service
from core.errors import BadInput, NotFound
from core.kit import db as database
from core.kit.db import STAFF
from tests.core.domains.crm.conftest import NOON, TONY, import_text
from tests.tools.database import sql

FILE = "id,stage,created,amount\n1,Lead in,2026-11-01,500\n2,Proposal,2026-11-01,\n3,Won,2026-10-01,9\n"


@pytest.fixture
def deals(db, noon):
    import_text(FILE)
    with database.transaction(STAFF) as session:
        return {s.name: s.id for s in queries.stages(session)}, dict(sql("SELECT external_id, id FROM deals"))


def do(command, *args, **kwargs):
    with database.transaction(STAFF) as session:
        return command(session, *args, **kwargs)


def test_a_deal_moves_once_and_the_move_is_told_in_the_same_transaction(deals):
    stages, ids = deals
    assert do(service.move_stage, ids["1"], stages["Won"], TONY) is True
    assert do(service.move_stage, ids["1"], stages["Won"], TONY) is False
    assert sql("SELECT status, closed_at, stage_since, last_activity_at FROM deals WHERE external_id = '1'") == [
        ("won", NOON, NOON, NOON)
    ]
    assert sql("SELECT type, summary, priority FROM events WHERE type LIKE 'deal.%'") == [
        ("deal.won", "Tony moved “1” from Lead in to Won.".replace("“1”", "“Deal 1”"), "high")
    ]


def test_moving_back_opens_it_again_but_the_furthest_stage_stays(deals):
    stages, ids = deals
    do(service.move_stage, ids["2"], stages["Lead in"], TONY)
    do(service.move_stage, ids["3"], stages["Lead in"], TONY)
    found = sql("SELECT d.external_id, d.status, d.closed_at, f.name FROM deals d JOIN stages f ON f.id = furthest_stage_id "
                 "WHERE external_id > '1' ORDER BY 1")  # fmt: skip
    assert found == [("2", "open", None, "Proposal"), ("3", "open", None, "Lead in")]


def test_moves_in_the_future_or_before_the_last_one_are_refused(deals):
    stages, ids = deals
    for at in (NOON + timedelta(hours=1), NOON - timedelta(days=90)):
        with pytest.raises(BadInput):
            do(service.move_stage, ids["1"], stages["Proposal"], TONY, at=at)
    with pytest.raises(NotFound):
        do(service.move_stage, 10**9, stages["Won"], TONY)
    with pytest.raises(NotFound):
        do(service.move_stage, ids["1"], 10**9, TONY)
    assert sql("SELECT count(*) FROM events WHERE type LIKE 'deal.%'") == [(0,)]


def test_an_activity_moves_the_last_one_forward_never_back(deals):
    _, ids = deals
    do(service.note_activity, ids["1"], "called", TONY)
    do(service.note_activity, ids["1"], "an old mail", TONY, at=NOON - timedelta(days=3))
    assert sql("SELECT last_activity_at FROM deals WHERE external_id = '1'") == [(NOON,)]
    for what, at in (("  ", NOON), ("x", NOON + timedelta(days=1))):
        with pytest.raises(BadInput):
            do(service.note_activity, ids["1"], what, TONY, at=at)
    with pytest.raises(NotFound):
        do(service.note_activity, 10**9, "x", TONY)


def test_a_value_is_set_once(deals):
    _, ids = deals
    do(service.set_value, ids["2"], 700, TONY)
    do(service.set_value, ids["2"], 700, TONY)
    assert sql("SELECT count(*) FROM events WHERE type = 'deal.valued'") == [(1,)]
    with pytest.raises(BadInput):
        do(service.set_value, ids["2"], -1, TONY)
