"""Redis only wakes workers: it may be down, empty or full of somebody else's messages."""

import pytest
from redis.exceptions import RedisError
from rq import Queue as RQQueue
from rq.job import Job
from rq.serializers import JSONSerializer

from core.config import get_settings
from core.kit import redis
from core.runtime.runs import dispatch, wake
from core.runtime.runs.line import Line
from core.runtime.runs.outcome import succeeded
from tests.core.runtime.runs.test_claims import claim, enqueue, get, silence
from tests.tools.database import sql


@pytest.fixture
def no_redis(monkeypatch):
    """As if nobody listened where Redis should be; gives a function that brings it back."""
    real = get_settings().redis_url
    monkeypatch.setattr(get_settings(), "redis_url", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(wake, "_down_until", 0.0)
    wake._queue.cache_clear()

    def back():
        get_settings().redis_url = real
        wake._down_until = 0.0
        wake._queue.cache_clear()

    yield back
    back()


def _depth():
    return wake.depths(["background"])["background"]


def _older():
    sql("UPDATE runs SET pushed_at = pushed_at - interval '6 seconds'")


def test_a_message_is_a_real_rq_job_that_carries_only_the_runs_id(db):
    run_id = enqueue()[0]
    queue = RQQueue("background", connection=redis.client(), serializer=JSONSerializer)
    (job,) = queue.get_jobs()
    assert (job.id, job.func_name, list(job.args), job.kwargs) == (f"run-{run_id}-1", "worker.jobs.execute", [run_id], {})
    assert wake.run_id_of(job.id) == run_id


def test_taking_empties_the_queue_and_forgetting_drops_what_rq_kept(db):
    enqueue(3)
    client = redis.client()
    messages = [wake.wait(client, "background", 1), *wake.take_all(client, "background")]
    assert [wake.run_id_of(m) for m in messages] == [1, 2, 3]
    assert wake.take_all(client, "background") == []
    assert wake.wait(client, "background", 0.01) is None
    wake.put_back(client, "background", messages[2])
    wake.forget(client, messages)
    assert wake.take_all(client, "background") == messages[2:]
    assert not Job.exists(messages[0], connection=client)


def test_enqueue_works_while_redis_is_down_and_the_clock_pushes_later(db, no_redis):
    run_id = enqueue()[0]
    assert get(run_id).state == "queued"
    with pytest.raises((RedisError, OSError)):
        wake.depths(["background"])
    assert dispatch.dispatch() == 0
    no_redis()
    assert dispatch.dispatch() == 0  # too early to say that the message is lost
    _older()
    assert dispatch.dispatch() == 1
    assert _depth() == 1


def test_after_a_flushall_the_clock_pushes_again(db):
    enqueue(3)
    redis.client().flushdb()
    assert dispatch.dispatch() == 0
    _older()
    assert dispatch.dispatch() == 3
    assert dispatch.dispatch() == 0
    assert _depth() == 3


def test_a_queue_that_is_only_backed_up_is_not_pushed_twice(db):
    enqueue(40)
    for _ in range(5):
        _older()
        assert dispatch.dispatch() == 0
    assert _depth() == 40


def test_a_waiting_run_is_pushed_once_when_its_time_has_come_even_behind_a_backlog(db):
    enqueue(3)
    later = enqueue(priority=10)[0]
    sql("UPDATE runs SET state = 'waiting', pushed_at = NULL, run_after = clock_timestamp() + interval '1 hour' WHERE id = :id",
        id=later)  # fmt: skip
    redis.client().flushdb()
    assert dispatch.dispatch() == 0
    sql("UPDATE runs SET run_after = clock_timestamp() WHERE id = :id", id=later)
    assert dispatch.dispatch() == 1
    assert dispatch.dispatch() == 0


def test_a_run_that_is_taken_back_is_pushed_at_once(db):
    run_id = enqueue()[0]
    redis.client().flushdb()
    claim(run_id)
    silence(run_id)
    assert dispatch.rescue() == 1
    assert wake.take_all(redis.client(), "background") == [f"run-{run_id}-2"]


def test_a_message_for_a_run_that_is_done_starts_nothing(db):
    run_id = enqueue()[0]
    line = Line("w1", "background")
    assert line.finish_and_claim(line.claim_next(), succeeded({})) == (True, None)
    assert line.claim_next() is None
    line.close()
    assert get(run_id).attempts == 1


@pytest.mark.parametrize(
    "message", ["", "run-1", "run--1-1", "run-1-1; rm", "x-run-1-1", "run-1-1\n", "run-" + "9" * 30 + "-1", "3f2a"]
)
def test_messages_that_are_none_of_ours_name_no_run(message):
    assert wake.run_id_of(message) is None
