"""Loops that outlive a database or Redis that is away: one log line when something goes wrong, one when it works again."""

import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from redis.exceptions import RedisError
from sqlalchemy.exc import InterfaceError, OperationalError

from core.errors import Unavailable
from core.kit import log

AWAY = (Unavailable, OperationalError, InterfaceError, RedisError, ConnectionError, TimeoutError)
"""What a store that is away looks like. Anything else is a bug, and its trace is logged once."""

logger = log.get(__name__)


class Steady:
    """Calls parts of a loop, and logs each change between working and not working once."""

    def __init__(self) -> None:
        self._failing: dict[str, str] = {}

    @property
    def failing(self) -> dict[str, str]:
        """What does not work now, and the name of its error."""
        return dict(self._failing)

    def call(self, part: str, work: Callable[[], object], *, away: str | None = None) -> bool:
        """Do this part; False when it failed. Never raises.

        A store that does not answer is logged under the name `away`, so that one outage is not told once for each part
        that meets it; whoever passes it has a part of that name, which says when the store is back.
        """
        try:
            work()
        except AWAY as error:
            self._failed(away or part, error, trace=False)
            return False
        except Exception as error:  # noqa: BLE001 - the loop must outlive a bug in one of its parts
            self._failed(part, error, trace=True)
            return False
        if self._failing.pop(part, None):
            logger.info("works_again", part=part)
        return True

    def _failed(self, part: str, error: Exception, *, trace: bool) -> None:
        name = type(error).__name__
        if self._failing.get(part) != name:
            self._failing[part] = name
            logger.error("not_working", part=part, error=f"{name}: {error}"[:300], exc_info=error if trace else None)


def end_at_once_on_signals() -> None:
    """SIGTERM and SIGINT end the process on the spot, also in the middle of a call to a store that hangs.

    Nothing needs tidying up: what was not committed rolls back, and the next turn does it. That is also what happens on a
    kill -9, so there is one way to end and it is tried all the time.
    """

    def end(_signal: int, _frame: object) -> NoReturn:
        sys.stderr.flush()
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
