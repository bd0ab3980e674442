"""What time does to actions, with any number of clocks."""

import threading

import pytest

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions import service, sweep
from core.runtime.runs import service as runs
from tests import acts
from tests.core.runtime.actions.kit import House
from tests.tools.database import sql


def at_once(many: int = 4) -> int:
    """So many clocks at the same moment. Returns how many changes they report together."""
    gate, told = threading.Barrier(many), []

    def turn() -> None:
        gate.wait()
        told.append(sweep.sweep())

    threads = [threading.Thread(target=turn) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(told)


def test_undecided_in_time_is_dismissed_once(house: House) -> None:
    made = house.propose()
    sql("UPDATE actions SET deadline_at = now() - interval '1 second' WHERE id = :id", id=made.id)
    assert at_once() == 1
    row = house.row(made.id)
    assert (row.state, row.outcome, row.decided_by) == ("dismissed", "expired", "time")
    assert sql("SELECT count(*) FROM events WHERE type = 'action.expired'")[0][0] == 1
    assert sql("SELECT count(*) FROM audit_entries WHERE what = 'action.expired'")[0][0] == 1
    with pytest.raises(service.Conflict, match="Nobody decided it in time"):
        house.decide(made.id)


def test_a_reminder_comes_once(house: House) -> None:
    made = house.propose()
    sql("UPDATE actions SET remind_at = now() - interval '1 second' WHERE id = :id", id=made.id)
    assert at_once() == 1
    assert sql("SELECT count(*) FROM notifications WHERE kind = 'reminder'")[0][0] == 1
    assert at_once() == 0


def test_what_was_held_too_long_is_dismissed(house: House) -> None:
    with database.transaction(STAFF) as session:
        made = acts.put(session, "test.note", "deferred").id
    sql("UPDATE actions SET expires_at = now() - interval '1 second' WHERE id = :id", id=made)
    assert at_once() == 1
    assert house.row(made).state == "dismissed"


@pytest.mark.parametrize("sent", [False, True])
def test_an_action_whose_run_was_cancelled_gets_its_end(house: House, sent: bool) -> None:
    made = house.approved()
    if sent:
        house.desk.send = lambda *_: (_ for _ in ()).throw(TimeoutError())
        assert house.carry_out(made) == "executing"
    house.do(runs.cancel, house.row(made).execute_run_id, house.who("Dave"))
    assert at_once() == 1
    row = house.row(made)
    assert row.state == ("unknown" if sent else "failed")
    assert row.error["message"].startswith("Its run ended before")


def test_a_deferred_action_whose_run_was_cancelled_gets_its_end(house: House) -> None:
    from core.runtime.actions.kinds import Refused

    def busy(*_: object) -> None:
        raise Refused("Busy.", retryable=True, retry_after_s=3600)

    made = house.approved()
    house.desk.send = busy  # type: ignore[assignment]
    assert house.carry_out(made) == "deferred"
    assert at_once() == 0
    house.do(runs.cancel, house.row(made).execute_run_id, house.who("Dave"))
    assert at_once() == 1
    assert house.row(made).state == "failed"


def test_what_is_fine_is_left_alone(house: House) -> None:
    house.propose()
    house.approved()
    house.done()
    assert at_once() == 0
