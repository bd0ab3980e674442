"""Processes that die, freeze and come back, and stores that go away under a running run."""

import os
import signal
import time

import psutil
import pytest

from benchmarks.harness import Stack, until
from core.kit import redis
from core.runtime.runs import dispatch
from tests.tools.database import sql
from tests.tools.waiting import until as wait
from tests.worker.conftest import begun, ended, enqueue, get

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(180)]
QUICK = {"OPS_LEASE_S": "1.2", "OPS_HEARTBEAT_S": "0.3"}


def _done(run_id):
    return sql("SELECT count(*) FROM run_logs WHERE run_id = :id AND message = 'done'", id=run_id)[0][0]


@pytest.mark.parametrize("frozen", ["worker and work-horse", "work-horse"])
def test_a_frozen_attempt_that_comes_back_writes_nothing(workers, frozen):
    worker = workers.ready(1, **QUICK)
    run_id = enqueue("test.row", ms=1500)
    (horse,) = wait(lambda: begun(run_id))
    for pid in (worker.pid, horse) if frozen != "work-horse" else (horse,):
        os.kill(pid, signal.SIGSTOP)
    if frozen == "work-horse":  # its worker renews the lease, so nobody takes it: it is only late
        assert dispatch.rescue() == 0
        os.kill(horse, signal.SIGCONT)
        assert wait(lambda: ended(run_id)).attempts == 1
        assert _done(run_id) == 1
        return
    wait(lambda: dispatch.rescue())
    workers.ready(2, **QUICK)
    run = wait(lambda: ended(run_id))
    assert (run.state, run.worker, run.attempts) == ("succeeded", "worker-background-2", 2)
    for pid in (worker.pid, horse):
        os.kill(pid, signal.SIGCONT)
    wait(lambda: not psutil.pid_exists(horse))
    assert _done(run_id) == 1
    assert get(run_id).worker == "worker-background-2"
    after = enqueue("test.pid", 2)
    for other in after:
        assert wait(lambda other=other: ended(other)).state == "succeeded"
    assert worker.poll() is None


def test_a_killed_workers_run_is_taken_over_when_its_lease_ends(workers):
    first = workers.ready(1, **QUICK)
    run_id = enqueue("test.sleep", seconds=60)
    (horse,) = wait(lambda: begun(run_id))
    workers.kill(first)
    wait(lambda: not psutil.pid_exists(horse))  # it dies with its worker
    workers.ready(2, **QUICK)
    wait(lambda: dispatch.rescue())
    wait(lambda: begun(run_id, 2))
    assert get(run_id).worker == "worker-background-2"


def test_a_killed_workers_successor_takes_its_run_back_at_once(workers):
    first = workers.ready(1, OPS_LEASE_S="600")
    run_id = enqueue("test.sleep", seconds=60)
    wait(lambda: begun(run_id))
    workers.kill(first)
    redis.client().flushdb()
    workers.start(1)
    wait(lambda: begun(run_id, 2))
    assert (get(run_id).rescues, get(run_id).crashes) == (1, 0)


def test_a_run_survives_the_database_being_killed_under_it():
    with Stack() as stack:
        worker, clock = stack.worker("background", 1), stack.clock()
        stack.ready(2)
        run_id = stack.enqueue("bench.nap", "nap", {"key": "x", "seconds": 2.5})
        until(lambda: "run x" in stack.events.read_text(), 30, stack.tail())
        stack.postgres.process.kill()
        stack.postgres.process.wait()
        stack.postgres.preferred_port = stack.postgres.port
        time.sleep(0.5)
        stack.postgres.start()
        from sqlalchemy import text

        state = text("SELECT state FROM runs WHERE id = :id")
        until(lambda: stack.sql(state, id=run_id) == [("succeeded",)], 60, stack.tail(), 0.1)
        after = stack.enqueue("bench.noop", "noop", {"key": "y"})
        until(lambda: stack.sql(state, id=after) == [("succeeded",)], 30, stack.tail(), 0.1)
        assert worker.poll() is None
        assert clock.poll() is None


def test_workers_reconnect_when_redis_is_killed_and_comes_back():
    with Stack() as stack:
        worker = stack.worker("background", 1)
        stack.ready(1)
        from sqlalchemy import text

        state = text("SELECT state FROM runs WHERE id = :id")
        for key in ("away", "back"):
            if key == "away":
                stack.valkey.process.kill()
                stack.valkey.process.wait()
            else:
                stack.valkey.preferred_port = stack.valkey.port
                stack.valkey.start()
            run_id = stack.enqueue("bench.noop", "noop", {"key": key})
            until(lambda run_id=run_id: stack.sql(state, id=run_id) == [("succeeded",)], 30, stack.tail(), 0.05)
        assert worker.poll() is None
