"""The Redis or Valkey connection. It only wakes workers up: losing it loses nothing."""

import os
from functools import lru_cache

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.config import get_settings
from core.errors import Unavailable


@lru_cache(maxsize=4)
def _client_for(url: str, pid: int, timeout_s: float | None) -> "Redis":
    return Redis.from_url(url, socket_connect_timeout=1, socket_timeout=timeout_s, retry=Retry(NoBackoff(), 1))


def client(timeout_s: float | None = 2.0) -> "Redis":
    """This process's client (a forked child gets its own). RQ workers pass None, since they block on pops."""
    url = get_settings().redis_url
    if not url:
        raise Unavailable("There is no Redis to talk to.", "Start the app with `make run`, or set REDIS_URL.")
    return _client_for(url, os.getpid(), timeout_s)
