"""The one thread beside the supervisor's loop: it does what may have to wait for the database or for a web answer.

It starts no process (a parent-death signal follows the thread that started the child), so that a database that hangs
delays neither a restart nor the end.
"""

import contextlib
import http.client
import os
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

import psycopg

from core.errors import OpsError
from core.kit import reach

HEALTH_PATHS = {"web": "/_stcore/health", "gateway": "/healthz"}
_BEATING = ("worker-", "clock", "watchdog")


class Watcher:
    """Calls are done one after another; `then` gets the result (None when it failed) on the supervisor's own thread."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self.fd, self._wake = os.pipe()
        os.set_blocking(self.fd, False)
        self._calls: SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]]] = SimpleQueue()
        self._done: deque[tuple[Callable[[Any], None], Any, str]] = deque()
        threading.Thread(target=self._work, name="watcher", daemon=True).start()

    def ask(self, call: Callable[[], Any], then: Callable[[Any], None] = lambda _result: None) -> None:
        """Do `call` on the thread, then `then(result)` in `deliver`."""
        self._calls.put((call, then))

    def deliver(self) -> None:
        """Hand over what is done; the loop calls this when `fd` can be read."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 4096)
        while self._done:
            then, result, wrong = self._done.popleft()
            if wrong:
                self._complain(wrong)
            then(result)

    def _work(self) -> None:
        while True:
            call, then = self._calls.get()
            result, wrong = None, ""
            try:
                result = call()
            except OpsError as error:
                wrong = str(error)
            except Exception:  # noqa: BLE001 - the thread must outlive whatever a call meets
                wrong = traceback.format_exc()
            self._done.append((then, result, wrong))
            os.write(self._wake, b".")


def ready_among(pending: Mapping[str, float], ports: Mapping[str, int], host: str, database_url: str) -> set[str]:
    """Which of these work. `pending` gives each process's age in seconds: an older heartbeat is of the one before it.

    web and gateway answer on their port; workers, clock and watchdog beat; anything else only has to live for a second.
    """
    ready = {name for name, age in pending.items() if name in ports and answers(host, ports[name], HEALTH_PATHS[name])}
    beating = {n: age for n, age in pending.items() if n.startswith(_BEATING)}
    ready |= {n for n, age in pending.items() if n not in beating and n not in ports and age > 1}
    if beating:
        ages = heartbeat_ages(database_url)
        ready |= {name for name, age in beating.items() if ages.get(name, age + 1) < age}
    return ready


def heartbeat_ages(database_url: str) -> dict[str, float]:
    """Seconds since the last sign of life of each process; empty while the database is away."""
    # a plain connection: the ORM would cost the supervisor 50 MB, and nobody needs it until a worker dies
    try:
        with reach.connect(database_url, options="-c statement_timeout=2000") as connection:
            rows = connection.execute(
                "SELECT process, extract(epoch FROM clock_timestamp() - at)::float FROM public.heartbeats"
            ).fetchall()
    except (OpsError, psycopg.Error):
        return {}
    return {str(process): float(str(age)) for process, age in rows}


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
