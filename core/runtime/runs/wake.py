"""Tell a worker that a run is there. RQ carries only the id; losing the message loses nothing."""

import os
import time
from collections.abc import Iterable
from functools import lru_cache

from redis.exceptions import RedisError
from rq import Queue as RQQueue
from rq.serializers import JSONSerializer

from core.errors import Unavailable
from core.kit import log, redis

ENTRY_POINT = "worker.jobs.execute"
_GRACE_S = 60
_BACKOFF_S = 2.0
_down_until = 0.0

logger = log.get(__name__)


def job_id(run_id: int, attempt: int) -> str:
    """RQ's job id of one attempt."""
    return f"run-{run_id}-{attempt}"


@lru_cache(maxsize=16)
def _queue(name: str, _pid: int) -> RQQueue:
    return RQQueue(name, connection=redis.client(), serializer=JSONSerializer)


def push(run_id: int, attempt: int, queue: str, timeout_s: int) -> bool:
    """Push one run to RQ at once. False when Redis is away: the clock pushes it later."""
    global _down_until
    if time.monotonic() < _down_until:
        return False
    try:
        _queue(queue, os.getpid()).enqueue_call(
            ENTRY_POINT,
            args=(run_id,),
            job_id=job_id(run_id, attempt),
            timeout=timeout_s + _GRACE_S,
            result_ttl=0,
            failure_ttl=60,
        )
    except (RedisError, OSError, Unavailable) as error:
        _down_until = time.monotonic() + _BACKOFF_S
        logger.warning("wake_failed", run_id=run_id, error=type(error).__name__)
        return False
    return True


def queued_job_ids(queue: str) -> set[str]:
    """Ids of the jobs RQ holds in this queue right now. Raises RedisError when Redis is away."""
    return set(_queue(queue, os.getpid()).get_job_ids())


def depths(queues: Iterable[str]) -> dict[str, int]:
    """How many messages wait in each RQ queue. Raises RedisError when Redis is away."""
    return {name: len(_queue(name, os.getpid())) for name in queues}
