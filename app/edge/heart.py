"""The heartbeat of a web-facing process, in a thread of its own so that a busy event loop does not look dead."""

import threading
from collections.abc import Callable

from core.errors import Unavailable
from core.kit import db, log
from core.kit.db import STAFF
from core.runtime.runs import heartbeats


class Heart:
    """Beats every `every_s` seconds from `start()` to `stop()`; `also` runs about once an hour."""

    def __init__(self, process: str, every_s: float = 5.0, also: Callable[[], None] | None = None, **detail: object) -> None:
        self.process, self.every_s, self.also, self.detail = process, every_s, also, detail
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"{process}-heart", daemon=True)
        self.log = log.get("heart")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns once the thread has ended, at the latest after a few seconds."""
        self._stop.set()
        self._thread.join(timeout=self.every_s)

    def _beat(self) -> None:
        down, beats = False, 0
        hour = max(1, int(3600 / self.every_s))
        while True:
            try:
                with db.transaction(STAFF) as session:
                    heartbeats.beat(session, self.process, **self.detail)
                if self.also is not None and beats % hour == 0:
                    self.also()
                beats, down = beats + 1, False
            except Unavailable as error:
                if not down:
                    self.log.warning("no heartbeat", reason=str(error))
                down = True
            except Exception as error:  # noqa: BLE001 - a heart must not stop for one bad beat
                self.log.error("no heartbeat", reason=f"{type(error).__name__}: {error}")
            if self._stop.wait(self.every_s):
                return
