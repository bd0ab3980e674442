"""How one attempt at a run ended, in a form that goes through a pipe and into the ledger."""

import json
import re
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.exc import InterfaceError, OperationalError

from core.errors import BadInput, OpsError, RateLimited
from core.runtime.runs.handlers import UnknownKind
from core.runtime.runs.models import Reason, RunState

TRANSIENT = (ConnectionError, TimeoutError, OperationalError, InterfaceError)
"""Errors of libraries that trying again can mend. Anything else that is not an OpsError is a bug: it fails at once."""

_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_MAX_TRACE = 8000


@dataclass(frozen=True, slots=True)
class Outcome:
    """`state` is what the run shall become; `waiting` means: try again, after `wait_s` seconds or a growing pause.

    `output` and `error` are JSON texts. `lost` means that the run is no longer ours, so nothing may be written.
    """

    state: RunState
    reason: Reason | None = None
    output: str | None = None
    error: str | None = None
    wait_s: float | None = None
    lost: bool = False

    def dump(self) -> bytes:
        """As bytes for a pipe."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def load(cls, data: bytes) -> "Outcome":
        """Back from the pipe. Raises ValueError when it was cut off."""
        fields = json.loads(data)
        reason = fields.pop("reason")
        return cls(state=RunState(fields.pop("state")), reason=Reason(reason) if reason else None, **fields)

    @property
    def message(self) -> str:
        """The sentence for people, when there is an error."""
        return str(json.loads(self.error)["message"]) if self.error else ""


def to_json(value: Any) -> str:
    """JSON that PostgreSQL can hold: no NUL, no lone surrogates. Raises TypeError or ValueError for what JSON can't say."""
    told = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if "\\u0000" in told:
        told = _NUL.sub(r"\1", told)
    return told if told.isascii() else told.encode("utf-8", "replace").decode("utf-8")


def as_stored(value: Any) -> Any:
    """The value as the ledger will give it back: through JSON and what PostgreSQL can hold."""
    return json.loads(to_json(value))


def input_json(payload: Mapping[str, Any] | None) -> str:
    """A run's input as JSON that PostgreSQL can hold. Raises BadInput for what JSON has no word for, e.g. infinity."""
    try:
        return to_json(dict(payload or {}))
    except ValueError:
        raise BadInput("The input holds a number that JSON can't say.", "Leave out NaN and infinite numbers.") from None


def as_input(payload: Mapping[str, Any] | None) -> dict[str, Any]:
    """A run's input as the ledger will give it back. Raises BadInput."""
    return dict(json.loads(input_json(payload)))


def succeeded(output: Any) -> Outcome:
    """The handler came back with `output`."""
    try:
        return Outcome(RunState.SUCCEEDED, output=to_json(output or {}))
    except (TypeError, ValueError) as error:
        message = "It finished, but its result can't be written down."
        return Outcome(RunState.FAILED, Reason.ERROR, error=describe(error, message, "This is a fault in the job's code."))


def timed_out(timeout_s: int) -> Outcome:
    """It took longer than it may."""
    message = f"It took longer than its limit of {timeout_s} s."
    told = describe(TimeoutError(), message, "Retry it, or raise the job's time limit.")
    return Outcome(RunState.FAILED, Reason.TIMED_OUT, error=told)


def cancelled() -> Outcome:
    """A person stopped it."""
    return Outcome(RunState.CANCELLED, Reason.BY_PERSON)


def raised(error: BaseException, timeout_s: int) -> Outcome:
    """The handler raised."""
    from rq.timeouts import JobTimeoutException  # here, since commands that only read need no RQ and it is slow to import

    if isinstance(error, JobTimeoutException):
        return timed_out(timeout_s)
    told = describe(error)
    retryable = error.retryable if isinstance(error, OpsError) else isinstance(error, TRANSIENT)
    if not retryable:
        return Outcome(RunState.FAILED, Reason.ERROR, error=told)
    wait_s = error.retry_after_s if isinstance(error, RateLimited | UnknownKind) else None
    return Outcome(RunState.WAITING, Reason.RETRY, error=told, wait_s=wait_s)


def describe(error: BaseException, message: str | None = None, next_step: str | None = None) -> str:
    """The error as the ledger keeps it, a JSON text: {"type", "message", "next_step", "trace"}."""
    expected = isinstance(error, OpsError)
    if isinstance(error, OpsError):
        message, next_step = message or error.message, next_step or error.next_step
    wants_trace = error.__traceback__ is not None and (not expected or error.__cause__ is not None)
    return to_json(
        {
            "type": type(error).__name__,
            "message": message or f"It stopped on an unexpected {type(error).__name__}.",
            "next_step": next_step or "Open the trace on the run page, or retry the run.",
            "trace": "".join(traceback.format_exception(error))[-_MAX_TRACE:] if wants_trace else "",
        }
    )
