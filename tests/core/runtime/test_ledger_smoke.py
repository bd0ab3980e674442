from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.runs import execute, service
from core.runtime.runs.models import Run, RunState
from tests.cast import make_cast


def test_a_run_is_enqueued_claimed_and_finished(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        made = service.enqueue(session, "probe.noop", "noop")
    assert execute.execute(made.run_id, "w1") == RunState.SUCCEEDED
    assert execute.execute(made.run_id, "w1") is None
    with database.transaction(STAFF) as session:
        assert session.get(Run, made.run_id).attempts == 1
