"""What people and schedules do to runs: enqueue once, cancel, retry, replay; and the words for slots that did not run."""

from datetime import UTC, datetime, timedelta

import pytest

from core.errors import Conflict, NotFound
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs import service
from core.runtime.runs.execute import execute
from core.runtime.runs.models import Reason
from core.runtime.runs.queries import counts_by_word
from tests.core.runtime.runs.test_claims import at_once, claim, enqueue, get
from tests.tools.database import sql

DAVE, BRIAN = Actor("Dave", "user", 1), Actor("Brian", "user", 2)


def act(command, *args, **options):
    with database.transaction(STAFF) as session:
        return command(session, *args, **options)


def ended(state="failed", reason="error"):
    run_id = enqueue(kind="probe.nap", payload={"seconds": 0})[0]
    sql(
        "UPDATE runs SET state = :state, reason = :reason, attempts = 3, rescues = 2, crashes = 2, finished_at = now(), "
        "error = '{\"message\": \"No.\"}' WHERE id = :id", state=state, reason=reason, id=run_id)  # fmt: skip
    return run_id


def test_a_key_makes_one_run_however_many_ask_at_once(db):
    made = at_once(8, lambda i: act(service.enqueue, "probe.noop", "noop", key="schedule:x:2026-11-21T09:00Z"))
    assert len({m.run_id for m in made}) == 1
    assert sum(m.created for m in made) == 1
    assert sql("SELECT count(*) FROM runs") == [(1,)]


def test_an_enqueue_that_is_rolled_back_leaves_nothing_and_wakes_nobody(db):
    from core.runtime.runs import wake

    def cut_off(session):
        service.enqueue(session, "probe.noop", "noop")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        act(cut_off)
    assert sql("SELECT count(*) FROM runs") == [(0,)]
    assert wake.depths(["background"]) == {"background": 0}


def test_a_queued_run_is_cancelled_at_once_and_never_runs(db):
    run_id = enqueue()[0]
    assert act(service.cancel, run_id, DAVE) == "cancelled"
    assert claim(run_id) is None
    assert get(run_id).reason == "by_person"
    assert sql("SELECT summary FROM events") == [("Dave cancelled probe.noop (run 1).",)]
    with pytest.raises(Conflict) as told:
        act(service.cancel, run_id, BRIAN)
    assert str(told.value) == "Run 1 has already ended (cancelled). There is nothing left to cancel."
    with pytest.raises(NotFound):
        act(service.cancel, 99, BRIAN)


def test_a_cancel_and_a_claim_at_once_end_in_one_story(db):
    for run_id in enqueue(12, kind="probe.nap", payload={"seconds": 0}):
        held, _ = at_once(2, lambda i, r=run_id: claim(r) if i == 0 else act(service.cancel, r, DAVE))
        run = get(run_id)
        if held is None:
            assert run.state == "cancelled"
        else:
            assert (run.state, run.cancel_requested_at is not None) == ("running", True)


@pytest.mark.parametrize(
    ("state", "reason"), [("failed", "error"), ("failed", "timed_out"), ("cancelled", "by_person"), ("quarantined", "poison")]
)
def test_two_people_who_retry_at_once_make_one_retry(db, state, reason):
    run_id = ended(state, reason)

    def retry(i):
        try:
            return act(service.retry, run_id, (DAVE, BRIAN)[i])
        except Conflict as error:
            return str(error)

    answers = at_once(2, retry)
    assert run_id in answers
    assert f"Run {run_id} is queued. Only a run that failed or was cancelled can be retried." in answers
    run = get(run_id)
    assert (run.state, run.error, run.crashes, run.rescues) == ("queued", None, 0, 0)
    assert sql("SELECT count(*) FROM events WHERE type = 'run.retried'") == [(1,)]
    assert execute(run_id, "w1") == "succeeded"
    assert get(run_id).attempts == 4


def test_a_run_that_succeeded_or_runs_is_not_retried(db):
    done, running = ended("succeeded", None), enqueue()[0]
    claim(running)
    with pytest.raises(Conflict, match="succeeded; replay it instead"):
        act(service.retry, done, DAVE)
    with pytest.raises(Conflict, match="is running"):
        act(service.retry, running, DAVE)


def test_a_replay_keeps_the_name_of_the_agent_that_speaks(db):
    old = enqueue(kind="probe.noop", payload={"agent": "Sales AI", "n": 1})[0]
    sql("UPDATE runs SET state = 'succeeded', finished_at = now() WHERE id = :id", id=old)
    new = act(service.replay, old, BRIAN, {"agent": "Dave", "n": 2})
    assert get(new).payload == {"agent": "Sales AI", "n": 2}


def test_a_replay_is_a_new_run_with_the_payload_as_edited(db):
    run_id = ended("succeeded", None)
    again = act(service.replay, run_id, DAVE, {"seconds": 0.0, "note": "edited"})
    same = act(service.replay, run_id, DAVE)
    assert execute(again, "w1") == "succeeded"
    run = get(again)
    assert (run.payload, run.replay_of, run.cause_label, run.queue) == (
        {"seconds": 0.0, "note": "edited"}, run_id, "Dave", "interactive",
    )  # fmt: skip
    assert get(same).payload == get(run_id).payload == {"seconds": 0}
    with pytest.raises(Conflict, match="is still queued"):
        act(service.replay, same, DAVE)


def test_missed_coalesced_timed_out_failed_and_late_are_five_different_things(db):
    sql(
        "INSERT INTO schedules (id, org_id, name, title, department, agent, kind, task, cron, time_zone, grace_s) VALUES "
        "(7, :org, 'x', 'X', 'Sales', 'Sales AI', 'probe.noop', 't', '0 9 * * *', 'UTC', 60)", org=AGENCY_ID)  # fmt: skip
    due = datetime.now(UTC) - timedelta(hours=1)
    skipped = {"schedule_id": 7, "org_id": AGENCY_ID}
    assert act(service.record_skipped, "probe.noop", "x", {"k1": due}, Reason.MISSED, **skipped) == 1
    assert act(service.record_skipped, "probe.noop", "x", {"k2": due}, Reason.COALESCED, **skipped) == 1
    assert act(service.record_skipped, "probe.noop", "x", {"k1": due}, Reason.MISSED, **skipped) == 0
    ended("failed", "timed_out")
    ended("failed", "error")
    late = enqueue(schedule_id=7, due_at=due)[0]
    in_time = enqueue(schedule_id=7, due_at=datetime.now(UTC) - timedelta(seconds=30))[0]
    for run_id in (late, in_time):
        execute(run_id, "w1")
    with database.transaction(STAFF) as session:
        counts = counts_by_word(session)
    assert {w: n for w, n in counts.by_word.items() if n} == {
        "Missed": 1, "Coalesced": 1, "Timed out": 1, "Failed": 1, "Succeeded": 2,
    }  # fmt: skip
    assert (get(late).late, get(in_time).late, counts.late) == (True, False, 1)
