"""A real worker process: where runs run, how they are stopped, and that nothing from Redis is ever called."""

import os
import signal
import socket
import time

import psutil
import pytest
from redis import Redis
from rq import Queue as RQQueue
from rq import Worker as RQWorker
from rq.serializers import JSONSerializer

from core.config import get_settings
from core.kit import db as database
from core.kit import redis
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.runs import service
from core.runtime.runs.models import Queue
from tests.tools.database import sql
from tests.tools.waiting import until
from tests.worker.conftest import begun, ended, enqueue, get

DAVE = Actor("Dave", "user", 1)
pytestmark = pytest.mark.slow


def cancel(run_id):
    with database.transaction(STAFF) as session:
        service.cancel(session, run_id, DAVE)


def test_runs_run_in_a_process_of_their_own_and_inline_ones_in_the_workers(workers):
    worker = workers.ready()
    forked = until(lambda: ended(forked_id)) if (forked_id := enqueue("test.pid")) else None
    inline_id = enqueue("test.pid_inline")
    inline = until(lambda: ended(inline_id))
    assert (forked.state, inline.state) == ("succeeded", "succeeded")
    assert forked.output["parent"] == worker.pid
    assert inline.output["pid"] == worker.pid
    assert forked.worker == "worker-background-1"


def test_it_beats_with_what_it_does_and_shows_up_in_rq(workers):
    worker = workers.ready()
    run_id = enqueue("test.sleep", seconds=30)
    until(lambda: begun(run_id))
    host, detail = until(lambda: next((r for r in sql("SELECT host, detail FROM heartbeats") if r[1]["run_id"] == run_id), None))
    assert host == socket.gethostname()
    assert (detail["queue"], detail["run"], detail["done"]) == ("background", "test.sleep", 0)
    (seen,) = until(lambda: RQWorker.all(connection=redis.client(), serializer=JSONSerializer))
    assert (seen.pid, seen.queue_names(), seen.get_state()) == (worker.pid, ["background"], "busy")


def test_a_cancel_reaches_a_sleeping_run_within_two_seconds(workers):
    workers.ready()
    for kind in ("test.sleep", "test.sleep_inline"):
        run_id = enqueue(kind)
        until(lambda run_id=run_id: begun(run_id))
        began = time.monotonic()
        cancel(run_id)
        run = until(lambda run_id=run_id: ended(run_id))
        assert (run.state, run.reason) == ("cancelled", "by_person")
        assert time.monotonic() - began < 3  # 1.5 s by the heartbeat, and a busy machine


@pytest.mark.parametrize(("kind", "stop", "state", "reason"), [
    ("test.short", None, "failed", "timed_out"),
    ("test.deaf_short", None, "failed", "timed_out"),
    ("test.deaf", cancel, "cancelled", "by_person"),
])  # fmt: skip
def test_a_run_that_must_stop_does_even_when_it_is_deaf(workers, kind, stop, state, reason):
    workers.ready()
    run_id = enqueue(kind)
    (pid,) = until(lambda: begun(run_id))
    if stop:
        stop(run_id)
    run = until(lambda: ended(run_id))
    assert (run.state, run.reason, run.attempts) == (state, reason, 1)
    until(lambda: not psutil.pid_exists(pid))
    after = enqueue("test.pid")
    assert until(lambda: ended(after)).state == "succeeded"


def test_a_crashing_run_is_taken_back_at_once_and_set_aside_after_three_rescues(workers):
    worker = workers.ready()
    run_id = enqueue("test.crash", signal=signal.SIGSEGV)
    healthy = enqueue("test.pid")
    run = until(lambda: ended(run_id))
    assert (run.state, run.reason, run.attempts, run.crashes) == ("quarantined", "poison", 4, 4)
    assert "signal 11, SIGSEGV" in run.error["message"]
    assert until(lambda: ended(healthy)).state == "succeeded"
    assert worker.poll() is None
    assert sql("SELECT count(*) FROM events WHERE type = 'run.quarantined'") == [(1,)]


def test_a_work_horse_killed_from_outside_runs_again_within_a_second(workers):
    workers.ready()
    run_id = enqueue("test.crash", attempts=[2])
    assert until(lambda: ended(run_id)).state == "succeeded"
    run_id = enqueue("test.sleep")
    (first,) = until(lambda: begun(run_id))
    os.kill(first, signal.SIGKILL)
    began = time.monotonic()
    until(lambda: begun(run_id, 2))
    assert time.monotonic() - began < 2
    assert get(run_id).rescues == 1


def test_an_inline_run_that_takes_its_worker_down_gets_a_process_of_its_own_next_time(workers):
    workers.start()
    run_id = enqueue("test.crash_inline", signal=signal.SIGABRT)
    for _ in range(8):  # what the supervisor does
        until(lambda: workers.started[-1].poll() is not None or ended(run_id))
        if ended(run_id):
            break
        workers.start()
    run = get(run_id)
    assert (run.state, run.attempts, run.crashes, run.rescues) == ("quarantined", 5, 4, 5)
    assert len(workers.started) == 2


def test_a_process_a_run_leaves_behind_does_not_hold_it_up(workers):
    workers.ready()
    run_id = enqueue("test.grandchild")
    began = time.monotonic()
    assert until(lambda: ended(run_id)).output == {"left": True}
    assert time.monotonic() - began < 10


def test_sigterm_lets_a_short_run_finish_and_gives_a_long_one_back(workers):
    worker = workers.ready(OPS_WORKER_GRACE_S="1")
    run_id = enqueue("test.sleep", seconds=0.7)
    until(lambda: begun(run_id))
    worker.terminate()
    assert worker.wait(5) == 0
    assert get(run_id).state == "succeeded"

    worker = workers.ready(OPS_WORKER_GRACE_S="0.5")
    run_id = enqueue("test.sleep")
    until(lambda: begun(run_id))
    worker.terminate()
    assert worker.wait(5) == 0
    run = get(run_id)
    assert (run.state, run.crashes, run.rescues) == ("queued", 0, 1)


def test_an_idle_worker_stops_at_once_and_leaves_rq(workers):
    worker = workers.ready()
    until(lambda: RQWorker.all(connection=redis.client(), serializer=JSONSerializer))
    began = time.monotonic()
    worker.terminate()
    assert worker.wait(5) == 0
    assert time.monotonic() - began < 2
    assert RQWorker.all(connection=redis.client(), serializer=JSONSerializer) == []


def test_nothing_from_redis_is_ever_called(workers, tmp_path):
    worker = workers.ready()
    canary = tmp_path / "canary"
    queue = RQQueue("background", connection=redis.client())  # RQ's own default: pickle
    queue.enqueue("os.system", f"touch {canary}")
    RQQueue("background", connection=redis.client(), serializer=JSONSerializer).enqueue("os.system", f"touch {canary}")
    run_id = enqueue("test.sleep", seconds=0)
    queue.enqueue_call("os.system", args=(f"touch {canary}",), job_id=f"run-{run_id}-1")
    redis.client().rpush("rq:queue:background", b"\xff\xfe", "run-1-1; rm", "x" * 10_000)
    assert until(lambda: ended(run_id)).state == "succeeded"
    until(lambda: redis.client().llen("rq:queue:background") == 0)
    after = enqueue("test.pid")
    assert until(lambda: ended(after)).attempts == 1
    assert not canary.exists()
    assert worker.poll() is None
    assert get(run_id).attempts == 1


def test_two_idle_workers_share_what_comes_at_once(workers):
    workers.ready(1)
    workers.ready(2)
    for _ in range(5):
        first, second = enqueue("test.sleep", 2, seconds=0.3)
        until(lambda f=first, s=second: ended(f) and ended(s))
        assert get(first).worker != get(second).worker


def test_without_redis_and_without_a_clock_runs_still_run(workers):
    worker = workers.ready(REDIS_URL="redis://127.0.0.1:1/0")
    run_id = enqueue("test.pid")
    redis.client().flushdb()
    assert until(lambda: ended(run_id)).state == "succeeded"
    assert worker.poll() is None


def test_a_flushall_under_an_idle_worker_loses_nothing_even_without_a_clock(workers):
    workers.ready()
    until(lambda: redis.client().client_list(_type="normal"))
    Redis.from_url(str(get_settings().redis_url)).flushdb()
    run_id = enqueue("test.pid")
    redis.client().flushdb()
    assert until(lambda: ended(run_id)).state == "succeeded"
    until(lambda: RQWorker.all(connection=redis.client(), serializer=JSONSerializer), 15)


def test_a_living_namesake_keeps_its_run(workers):
    workers.ready(1)
    run_id = enqueue("test.sleep", seconds=2)
    until(lambda: begun(run_id))
    second = workers.start(1)
    until(lambda: sql("SELECT process FROM heartbeats WHERE pid = :pid", pid=second.pid))
    assert sql("SELECT process FROM heartbeats WHERE pid = :pid", pid=second.pid) == [
        (f"worker-background-1.{socket.gethostname()}.{second.pid}",)
    ]
    run = until(lambda: ended(run_id))
    assert (run.state, run.attempts) == ("succeeded", 1)


@pytest.mark.parametrize("argv", [[], ["agents"], ["agents", "x"], ["nope", "1"]])
def test_wrong_arguments_are_told_in_a_sentence(argv, capsys):
    from worker.main import main

    assert main(argv) == 2
    assert "A worker needs a queue" in capsys.readouterr().err


def test_what_the_messages_name_works_off_exactly_that_run(db, known_kinds):
    from worker.jobs import execute

    first, second = enqueue("test.pid", 2)
    execute(second)
    execute(second)
    assert (get(first).state, get(second).state, get(second).attempts) == ("queued", "succeeded", 1)


def test_each_worker_keeps_to_its_own_queue(workers):
    workers.ready(1, "agents")
    mine, other = enqueue("test.pid", queue=Queue.AGENTS), enqueue("test.pid")
    assert until(lambda: ended(mine)).worker == "worker-agents-1"
    assert get(other).state == "queued"
