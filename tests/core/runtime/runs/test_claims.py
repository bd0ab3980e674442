"""Exactly one worker has a run, and only that one writes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import insert, text

from core.errors import Unavailable
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs import dispatch, lease, service
from core.runtime.runs.context import RunContext
from core.runtime.runs.lease import LeaseLost
from core.runtime.runs.line import Line
from core.runtime.runs.models import Queue, Run, RunLog
from core.runtime.runs.outcome import succeeded
from core.runtime.runs.pulse import Pulse
from tests.tools.database import sql


def enqueue(many=1, kind="probe.noop", **options):
    with database.transaction(STAFF) as session:
        return [service.enqueue(session, kind, kind, **options).run_id for _ in range(many)]


def claim(run_id, worker="w1"):
    with database.transaction(STAFF) as session:
        return lease.claim(session, run_id, worker)


def get(run_id):
    with database.transaction(STAFF) as session:
        return session.get(Run, run_id)


def silence(run_id):
    """As if its worker had not renewed the lease for a while."""
    sql("UPDATE runs SET lease_until = clock_timestamp() - interval '1 second' WHERE id = :id", id=run_id)


def at_once(many, call):
    """Call `call(i)` in `many` threads that start together; results in order."""
    barrier = threading.Barrier(many)

    def one(i):
        barrier.wait()
        return call(i)

    with ThreadPoolExecutor(many) as pool:
        return list(pool.map(one, range(many)))


@pytest.mark.slow
def test_eight_threads_claim_one_run_and_one_gets_it(db):
    for run_id in enqueue(10):
        won = [c for c in at_once(8, lambda i, run_id=run_id: claim(run_id, f"w{i}")) if c]
        assert len(won) == 1
        assert get(run_id).attempts == 1


@pytest.mark.slow
def test_eight_lines_empty_a_queue_and_each_run_is_worked_off_once(db):
    made = enqueue(120)

    def drain(i):
        line, done = Line(f"w{i}", "background"), []
        held = line.claim_next()
        while held is not None:
            done.append(held.id)
            ours, held = line.finish_and_claim(held, succeeded({}))
            assert ours
        line.close()
        return done

    worked = [run_id for part in at_once(8, drain) for run_id in part]
    assert sorted(worked) == made
    assert sql("SELECT DISTINCT state, attempts FROM runs") == [("succeeded", 1)]


def test_the_most_urgent_due_run_of_the_queue_comes_first(db):
    late = enqueue(priority=100)[0]
    urgent = enqueue(priority=10)[0]
    enqueue(queue=Queue.AGENTS, priority=1)
    future = enqueue(priority=1)[0]
    sql("UPDATE runs SET run_after = clock_timestamp() + interval '1 hour' WHERE id = :id", id=future)
    line = Line("w1", "background")
    first, second, third = line.claim_next(), line.claim_next(), line.claim_next()
    line.close()
    assert (first.id, second.id, third) == (urgent, late, None)
    assert claim(future) is None


def test_a_line_connects_anew_after_its_connection_was_cut(db):
    from core.errors import Unavailable

    run_id = enqueue()[0]
    line = Line("w1", "background")
    line.beat(queue="background")
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database() "
        "AND usename = current_user")  # fmt: skip
    with pytest.raises(Unavailable):
        line.claim_next()
    assert line.claim_next().id == run_id
    line.close()


def test_a_zombie_writes_nothing(db):
    run_id = enqueue(kind="probe.nap")[0]
    zombie = claim(run_id, "w1")
    silence(run_id)
    assert dispatch.rescue() == 1
    heir = claim(run_id, "w2")
    assert heir.token != zombie.token
    assert (heir.attempt, heir.rescues) == (2, 1)

    context = RunContext(zombie, Pulse())
    writes = (
        lambda: context.log("I am back"),
        lambda: context.progress(0.5),
        lambda: context.note("collect", "x"),
        lambda: context.step("collect", lambda session: session.execute(insert(RunLog).values(
            org_id=AGENCY_ID, run_id=run_id, level="info", message="from the dead")).rowcount),
    )  # fmt: skip
    for write in writes:
        with pytest.raises(LeaseLost):
            write()
    with database.transaction(STAFF) as session, pytest.raises(LeaseLost):
        lease.renew(session, zombie)
    with database.transaction(STAFF) as session, pytest.raises(LeaseLost):
        lease.finish(session, zombie, "succeeded")
    with database.transaction(STAFF) as session:
        assert not lease.retry_later(session, zombie, "{}", 0)
        assert lease.abandon_attempt(session, zombie, "exit code 1") == []
    line = Line("w1", "background")
    assert line.finish_and_claim(zombie, succeeded({"by": "zombie"})) == (False, None)
    with pytest.raises(LeaseLost):
        line.renew(zombie)
    line.close()
    assert sql("SELECT count(*) FROM run_logs") == [(0,)]
    assert sql("SELECT count(*) FROM run_steps") == [(0,)]
    run = get(run_id)
    assert (run.state, run.output, run.progress, run.worker) == ("running", None, 0, "w2")


def test_a_forged_token_writes_nothing(db):
    run_id = enqueue()[0]
    held = claim(run_id)
    from uuid import uuid4

    with database.transaction(STAFF) as session, pytest.raises(LeaseLost):
        lease.finish(session, replace(held, token=uuid4()), "succeeded")
    assert get(run_id).state == "running"


def test_the_fence_holds_until_the_commit(db):
    """A run can't be taken back between the fence's look and the commit it guards."""
    run_id = enqueue()[0]
    held = claim(run_id)
    silence(run_id)
    with database.transaction(STAFF) as session:
        lease.fence(session, held)
        assert dispatch.rescue() == 0
    assert dispatch.rescue() == 1


def test_renewing_holds_on_and_tells_of_a_cancel(db):
    from core.kit.actor import Actor

    run_id = enqueue(kind="probe.nap")[0]
    held = claim(run_id)
    silence(run_id)
    line = Line("w1", "background")
    assert line.renew(held) is False
    assert dispatch.rescue() == 0
    with database.transaction(STAFF) as session:
        service.cancel(session, run_id, Actor("Dave", "user", 1))
    assert line.renew(held) is True
    line.close()


@pytest.mark.slow
def test_renewing_does_not_wait_for_a_step_that_writes_to_the_runs_row(db):
    run_id = enqueue()[0]
    held = claim(run_id)
    line = Line("w1", "background")
    with database.transaction(STAFF) as session:
        RunContext(held, Pulse()).add_cost(session, 5, 5)
        assert line.renew(held) is False
        silence_blocked = dispatch.rescue()
    assert silence_blocked == 0
    line.close()


def test_a_dead_workers_runs_come_back_at_once_and_keep_their_place(db):
    first, second, other = enqueue(3)
    claim(first, "worker-background-1")
    claim(other, "worker-background-2")
    assert dispatch.rescue_worker("worker-background-1") == 1
    assert dispatch.rescue_worker("worker-background-1") == 0
    assert get(other).state == "running"
    line = Line("w3", "background")
    assert [line.claim_next().id, line.claim_next().id] == [first, second]
    line.close()


def test_three_crashes_are_borne_and_the_fourth_sets_the_run_aside_with_one_event(db):
    run_id = enqueue()[0]
    for _ in range(3):
        dispatch.give_back(claim(run_id), "signal 11, SIGSEGV", crashed=True)
        assert get(run_id).state == "queued"
    dispatch.give_back(claim(run_id), "signal 11, SIGSEGV", crashed=True)
    run = get(run_id)
    assert (run.state, run.reason, run.crashes, run.rescues) == ("quarantined", "poison", 4, 4)
    assert run.error["message"] == "Its process died 4 times (signal 11, SIGSEGV), so it was set aside."
    assert claim(run_id) is None
    assert sql("SELECT count(*) FROM events WHERE type = 'run.quarantined'") == [(1,)]


def test_deaths_of_whole_workers_are_not_held_against_a_run_for_long(db):
    run_id = enqueue()[0]
    waits = []
    for _ in range(lease.MAX_TAKEN_BACK):
        claim(run_id)
        silence(run_id)
        assert dispatch.rescue() == 1
        state, wait_s = sql("SELECT state, extract(epoch FROM run_after - clock_timestamp()) FROM runs")[0]
        waits.append(round(max(wait_s, 0)) if state == "waiting" else state)
        sql("UPDATE runs SET run_after = clock_timestamp()")
    assert waits[:6] == ["queued", "queued", 2, 4, 8, 16]
    assert max(waits[2:]) == 300
    assert sum(waits[2:]) > 3000
    claim(run_id)
    silence(run_id)
    dispatch.rescue()
    run = get(run_id)
    assert (run.state, run.crashes) == ("quarantined", 0)
    assert run.error["message"].startswith("Its worker died 21 times")


def test_a_run_that_rests_is_pushed_when_its_rest_is_over(db):
    run_id = enqueue()[0]
    for _ in range(3):
        claim(run_id)
        silence(run_id)
        dispatch.rescue()
    assert get(run_id).state == "waiting"
    assert dispatch.dispatch() == 0
    sql("UPDATE runs SET run_after = clock_timestamp()")
    assert dispatch.dispatch() == 1


def test_a_run_that_was_to_be_cancelled_is_cancelled_when_its_worker_dies(db):
    from core.kit.actor import Actor

    run_id = enqueue(kind="probe.nap")[0]
    claim(run_id)
    with database.transaction(STAFF) as session:
        service.cancel(session, run_id, Actor("Dave", "user", 1))
    silence(run_id)
    dispatch.rescue()
    assert (get(run_id).state, get(run_id).reason) == ("cancelled", "by_person")


@pytest.mark.slow
def test_an_end_that_meets_a_lock_is_unavailable_for_now_and_not_a_crash(db):
    run_id = enqueue()[0]
    line = Line("worker-background-1", "background")
    held = line.claim_next()
    with database.transaction(STAFF) as session:
        session.execute(text("SELECT 1 FROM runs WHERE id = :id FOR UPDATE"), {"id": run_id})
        with pytest.raises(Unavailable):
            line.finish_and_claim(held, succeeded({}))
    assert line.finish_and_claim(held, succeeded({})) == (True, None)
    assert get(run_id).state == "succeeded"
    line.close()
