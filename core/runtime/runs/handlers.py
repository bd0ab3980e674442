"""Which function runs a run of a given kind."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import Unavailable
from core.runtime.runs.models import Queue

if TYPE_CHECKING:
    from core.runtime.runs.context import RunContext


@dataclass(frozen=True, slots=True)
class Handler:
    """How a kind of run is worked off.

    `fn` gets the run's context and returns its output, a JSON object or None. `timeout_s` is wall time.
    `inline` runs it in the worker's own process: for short work that can't hang and needs no kill isolation.
    `keep_days` is how long its ended runs are kept, when that is shorter than for others: for what runs all the time.
    """

    kind: str
    fn: "Callable[[RunContext], dict[str, Any] | None]"
    queue: Queue = Queue.BACKGROUND
    timeout_s: int = 600
    max_attempts: int = 3
    inline: bool = False
    keep_days: int | None = None


_handlers: dict[str, Handler] = {}


def register(handler: Handler) -> Handler:
    """Make `handler` known. The same kind twice is a programming error."""
    known = _handlers.get(handler.kind)
    if known is not None and known != handler:
        raise ValueError(f"two handlers for run kind {handler.kind!r}")
    _handlers[handler.kind] = handler
    return handler


class UnknownKind(Unavailable):
    """A newer version made the run; one of its workers can run it, so it is put back for a while."""

    retry_after_s = 30.0


def get(kind: str) -> Handler:
    """The handler of `kind`. Raises UnknownKind when this version of the code has none."""
    try:
        return _handlers[kind]
    except KeyError:
        raise UnknownKind(
            f"This version of ManageAI Ops does not know runs of kind “{kind}”.", "Update the workers, then retry the run."
        ) from None


def find(kind: str) -> Handler | None:
    """The handler of `kind`, or None when this version of the code has none."""
    return _handlers.get(kind)


def kinds() -> tuple[str, ...]:
    """All registered kinds."""
    return tuple(sorted(_handlers))
