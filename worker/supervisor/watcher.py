"""The one thread beside the supervisor's loop: it does what may have to wait for the database or for a web answer.

It starts no process (a parent-death signal follows the thread that started the child), so that a database that hangs
delays neither a restart nor the end.
"""

import contextlib
import http.client
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

from core.errors import OpsError
from core.kit import log

HEALTH_PATHS = {"web": "/_stcore/health", "gateway": "/healthz"}
_BEATING = ("worker-", "clock", "watchdog")

logger = log.get(__name__)


class Watcher:
    """Calls are done one after another; `then` gets the result (None when it failed) on the supervisor's own thread."""

    def __init__(self) -> None:
        self.fd, self._wake = os.pipe()
        os.set_blocking(self.fd, False)
        self._calls: SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]]] = SimpleQueue()
        self._done: deque[tuple[Callable[[Any], None], Any]] = deque()
        threading.Thread(target=self._work, name="watcher", daemon=True).start()

    def ask(self, call: Callable[[], Any], then: Callable[[Any], None] = lambda _result: None) -> None:
        """Do `call` on the thread, then `then(result)` in `deliver`."""
        self._calls.put((call, then))

    def deliver(self) -> None:
        """Hand over what is done; the loop calls this when `fd` can be read."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 4096)
        while self._done:
            then, result = self._done.popleft()
            then(result)

    def _work(self) -> None:
        while True:
            call, then = self._calls.get()
            try:
                result = call()
            except OpsError as error:
                logger.warning("supervisor_call_failed", error=str(error))
                result = None
            except Exception as error:  # the thread must outlive whatever a call meets
                logger.error("supervisor_call_failed", error=type(error).__name__, exc_info=True)
                result = None
            self._done.append((then, result))
            os.write(self._wake, b".")


def ready_among(pending: Mapping[str, float], ports: Mapping[str, int], host: str) -> set[str]:
    """Which of these work. `pending` gives each process's age in seconds: an older heartbeat is of the one before it.

    web and gateway answer on their port; workers, clock and watchdog beat; anything else only has to live for a second.
    """
    ready = {name for name, age in pending.items() if name in ports and answers(host, ports[name], HEALTH_PATHS[name])}
    beating = {n: age for n, age in pending.items() if n.startswith(_BEATING)}
    ready |= {n for n, age in pending.items() if n not in beating and n not in ports and age > 1}
    if beating:
        ages = heartbeat_ages()
        ready |= {name for name, age in beating.items() if ages.get(name, age + 1) < age}
    return ready


def heartbeat_ages() -> dict[str, float]:
    """Seconds since the last sign of life of each process; empty while the database is away."""
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.runs.heartbeats import beats

    try:
        with db.transaction(STAFF) as session:
            return {b.process: b.age_s for b in beats(session)}
    except OpsError:
        return {}


def answers(host: str, port: int, path: str) -> bool:
    """Whether something that is well answers there."""
    connection = http.client.HTTPConnection("127.0.0.1" if host == "0.0.0.0" else host, port, timeout=1)  # noqa: S104
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
