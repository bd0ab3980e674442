"""Tell a worker that there is work. RQ carries only a run's id; losing the message loses nothing.

A message is a wake-up, not an order: a worker that gets one takes the most urgent run of its queue from the ledger.
So messages may be lost, doubled or stale, and what somebody else writes into Redis can do no more than wake a worker.
"""

import os
import re
import time
import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue as RQQueue
from rq.job import Job as RQJob
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from rq.utils import now, utcformat

from core.errors import Unavailable
from core.kit import log, redis

ENTRY_POINT = "worker.jobs.execute"
_GRACE_S = 60
_BACKOFF_S = 2.0
_KEPT_S = 24 * 3600
_MAX_AT_ONCE = 500
_down_until = 0.0
_JOB = RQJob.redis_job_namespace_prefix
_JOB_ID = re.compile(r"run-([0-9]{1,18})-([0-9]{1,9})")

logger = log.get(__name__)


def job_id(run_id: int, attempt: int) -> str:
    """RQ's job id of one attempt."""
    return f"run-{run_id}-{attempt}"


def run_id_of(message: str) -> int | None:
    """The run a message names; None for one that is none of ours."""
    found = _JOB_ID.fullmatch(message)
    return int(found[1]) if found else None


@lru_cache(maxsize=16)
def _queue(name: str, _pid: int) -> RQQueue:
    return RQQueue(name, connection=redis.client(), serializer=JSONSerializer)


def push(run_id: int, attempt: int, queue: str, timeout_s: int) -> bool:
    """Push one run to RQ at once. False when Redis is away: the clock pushes it later."""
    return push_all([(run_id, attempt, queue, timeout_s)])


def push_all(runs: Iterable[tuple[int, int, str, int]]) -> bool:
    """Push several runs (id, attempt, queue, timeout) in one round trip. False when Redis is away."""
    global _down_until
    if time.monotonic() < _down_until:
        return False
    try:
        pipeline = redis.client().pipeline(transaction=False)
        at = utcformat(now())
        for run_id, attempt, queue, timeout_s in runs:
            message, key = job_id(run_id, attempt), RQQueue.redis_queue_namespace_prefix + queue
            pipeline.sadd(RQQueue.redis_queues_keys, key)
            job: Any = {**_like(queue, timeout_s), **_of(run_id), "created_at": at, "enqueued_at": at}
            pipeline.hset(_JOB + message, mapping=job)
            pipeline.expire(_JOB + message, _KEPT_S)
            pipeline.rpush(key, message)
        pipeline.execute()
    except (RedisError, OSError, Unavailable) as error:
        _down_until = time.monotonic() + _BACKOFF_S
        logger.warning("wake_failed", error=type(error).__name__)
        return False
    return True


@lru_cache(maxsize=256)
def _like(queue: str, timeout_s: int) -> dict[str, Any]:
    """What RQ would write for a job of ours, so that its tools and workers know it; made by RQ itself, once."""
    job = RQQueue(queue, connection=Redis(), serializer=JSONSerializer).create_job(
        ENTRY_POINT, args=(0,), timeout=timeout_s + _GRACE_S, ttl=_KEPT_S, result_ttl=0, failure_ttl=60, status=JobStatus.QUEUED
    )
    job.origin = queue
    fields: dict[str, Any] = job.to_dict()
    return fields


def _of(run_id: int) -> dict[str, Any]:
    """What differs from job to job."""
    data = JSONSerializer.dumps([ENTRY_POINT, None, [run_id], {}])  # type: ignore[no-untyped-call]
    return {"data": zlib.compress(data, 1), "description": f"{ENTRY_POINT}({run_id})"}


def wait(client: Redis, queue: str, wait_s: float) -> str | None:
    """Wait for a message and take it; None after `wait_s` without one. Raises RedisError."""
    found: Any = client.blpop([RQQueue.redis_queue_namespace_prefix + queue], timeout=wait_s)
    return None if found is None else found[1].decode(errors="replace")


def take_all(client: Redis, queue: str) -> list[str]:
    """Take the messages that are there (at most _MAX_AT_ONCE). Raises RedisError."""
    found: Any = client.lpop(RQQueue.redis_queue_namespace_prefix + queue, _MAX_AT_ONCE) or []
    return [m.decode(errors="replace") for m in found]


def put_back(client: Redis, queue: str, message: str) -> None:
    """Leave a message for the next idle worker. Raises RedisError."""
    client.rpush(RQQueue.redis_queue_namespace_prefix + queue, message)


def forget(client: Redis, messages: Sequence[str]) -> None:
    """Drop what RQ keeps about these messages. Raises RedisError."""
    if messages:
        client.unlink(*(_JOB + m for m in messages))


def depths(queues: Iterable[str]) -> dict[str, int]:
    """How many messages wait in each RQ queue. Raises RedisError when Redis is away."""
    return {name: len(_queue(name, os.getpid())) for name in queues}
