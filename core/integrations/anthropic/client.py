"""The Messages API through Anthropic's SDK: one call, one typed outcome, a deadline in wall time.

Retries are the caller's. Answers are streamed and used only when whole: a stream without its `message_stop` is cut.
"""

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.integrations.anthropic.errors import (
    BadKey,
    BadRequest,
    Cut,
    Empty,
    Malformed,
    ModelError,
    Overloaded,
    Refused,
    SpendCap,
    Throttled,
    TimedOut,
    TooLong,
    Unreachable,
)

if TYPE_CHECKING:
    import anthropic

MAX_ANSWER_CHARS = 64_000
"""An answer longer than this is broken whatever its stop reason; reading stops there."""
KEY_SETTING = "ANTHROPIC_API_KEY"


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `messages`, `tools` and `schema` (JSON schema of the answer) are in the API's own form."""

    model: str
    system: str
    messages: Sequence[Mapping[str, Any]]
    max_tokens: int
    tools: Sequence[Mapping[str, Any]] = ()
    schema: Mapping[str, Any] | None = None
    effort: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool. `input` is whatever it sent; check it."""

    id: str
    name: str
    input: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `content` is the assistant's turn in the API's own form, to be sent back after tool calls."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    content: list[dict[str, Any]]
    input_tokens: int
    output_tokens: int
    request_id: str | None
    model: str = ""


@dataclass(slots=True)
class _Read:
    """What of a stream has been read so far."""

    message: Any = None
    stopped: bool = False
    chars: int = 0
    spent: tuple[int, int] | None = None
    request_id: str | None = None
    trouble: BaseException | None = field(default=None)


class Client:
    """Talks to one account. The SDK is imported when the first client is made."""

    def __init__(self, api_key: str, base_url: str | None = None) -> None:
        import anthropic

        self._sdk: anthropic.Anthropic = anthropic.Anthropic(api_key=api_key, base_url=base_url, max_retries=0)

    def close(self) -> None:
        """Let go of its connections."""
        self._sdk.close()

    def ask(self, request: Request, deadline_s: float) -> Answer:
        """Make the call. Raises a ModelError naming how it ended; takes at most `deadline_s` seconds, whatever the vendor does.

        The call runs in a thread of its own, as a socket timeout bounds only each single read; at the deadline the thread is
        left to die of its own timeout and what it read is dropped.
        """
        done: queue.SimpleQueue[Answer | ModelError] = queue.SimpleQueue()
        read = _Read()
        threading.Thread(target=self._work, args=(request, deadline_s, read, done), name="model-call", daemon=True).start()
        try:
            outcome = done.get(timeout=deadline_s)
        except queue.Empty:
            raise TimedOut(
                f"The model did not finish within {deadline_s:.0f} s.", "Raise OPS_MODEL_CALL_DEADLINE_S if this is usual."
            ) from None
        if isinstance(outcome, ModelError):
            raise outcome
        return outcome

    def _work(self, request: Request, deadline_s: float, read: _Read, done: "queue.SimpleQueue[Answer | ModelError]") -> None:
        try:
            self._stream(request, deadline_s, read)
            done.put(_answer(read))
        except ModelError as error:
            error.spent = error.spent or read.spent
            done.put(error)
        except Exception as error:  # noqa: BLE001 - whatever the SDK throws is an outcome of the call
            done.put(_translate(error, read))

    def _stream(self, request: Request, deadline_s: float, read: _Read) -> None:
        end = time.monotonic() + deadline_s
        arguments: dict[str, Any] = {}
        if request.tools:
            arguments["tools"] = list(request.tools)
        config: dict[str, Any] = {"effort": request.effort} if request.effort else {}
        if request.schema:
            config["format"] = {"type": "json_schema", "schema": dict(request.schema)}
        if config:
            arguments["output_config"] = config
        messages: Any = list(request.messages)
        with self._sdk.messages.stream(
            model=request.model, system=request.system, messages=messages, max_tokens=request.max_tokens,
            timeout=deadline_s, **arguments,
        ) as stream:  # fmt: skip
            read.request_id = stream.request_id
            for event in stream:
                if time.monotonic() > end:
                    raise TimedOut(f"The model did not finish within {deadline_s:.0f} s.")
                if event.type == "message_start":
                    read.spent = _usage(event.message.usage)
                elif event.type in ("text", "input_json"):
                    read.chars += len(getattr(event, "text", "") or getattr(event, "partial_json", ""))
                    if read.chars > MAX_ANSWER_CHARS:
                        raise TooLong("The model's answer was far too long.", detail=f"over {MAX_ANSWER_CHARS} characters")
                elif event.type == "message_stop":
                    read.stopped = True
            if read.stopped:
                read.message = stream.get_final_message()


def _usage(usage: Any) -> tuple[int, int]:
    read = (usage.input_tokens or 0) + (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    return (int(read), int(usage.output_tokens or 0))


def _answer(read: _Read) -> Answer:
    message = read.message
    if not read.stopped or message is None:
        if read.spent is None:
            raise Malformed("The model's service answered with something that is not an answer.", detail="no message_start")
        raise Cut("The model's answer broke off in the middle, so nothing of it was used.", spent=None)
    spent = _usage(message.usage)
    if message.stop_reason == "refusal":
        raise Refused("The model declined to write this.", spent=spent)
    if message.stop_reason in ("max_tokens", "model_context_window_exceeded"):
        raise TooLong("The model's answer was longer than its limit.", spent=spent)
    text = "".join(b.text for b in message.content if b.type == "text" and isinstance(b.text, str))
    calls = tuple(ToolCall(str(b.id), str(b.name), b.input) for b in message.content if b.type == "tool_use")
    if not text.strip() and not calls:
        raise Empty("The model answered with nothing.", spent=spent)
    # only fields the API takes back: parsed copies and nulls are the SDK's own
    content = [b.model_dump(mode="json", exclude_none=True, exclude={"parsed_output"}, warnings=False) for b in message.content]
    return Answer(text, calls, content, *spent, read.request_id, str(message.model))


# ---- what the SDK raises


def _translate(error: Exception, read: _Read) -> ModelError:
    import anthropic

    if isinstance(error, anthropic.APITimeoutError):
        return TimedOut("The model did not answer in time.", detail=type(error).__name__)
    if isinstance(error, anthropic.APIStatusError):
        return _of_status(error)
    if isinstance(error, anthropic.APIConnectionError):
        return Unreachable("The model's service could not be reached.", "Check the network and ANTHROPIC_BASE_URL.")
    module = type(error).__module__.split(".")[0]
    if module.startswith(("httpx", "httpcore", "h11", "h2")) or isinstance(error, OSError):
        if "Timeout" in type(error).__name__:
            return TimedOut("The model stopped answering.", detail=type(error).__name__)
        return Cut("The model's answer broke off in the middle, so nothing of it was used.", detail=type(error).__name__)
    return Malformed("The model's service sent something that can't be read.", detail=type(error).__name__)


def _of_status(error: "anthropic.APIStatusError") -> ModelError:
    status, word = error.status_code, str(error.type or "")
    detail = f"{status} {word} request {error.request_id or '?'}".strip()
    if status in (401, 403) or word in ("authentication_error", "permission_error"):
        return BadKey("The model's service did not accept the API key.", f"Put a working key into {KEY_SETTING}.", detail=detail)
    if status == 402 or word == "billing_error" or _says_spend_limit(error):
        return _spend_cap(detail)
    if status == 429 or word == "rate_limit_error":
        wait_s = retry_after(error.response.headers)
        if wait_s is None or error.error_code == "enforced_spend_limit_reached":
            return _spend_cap(detail)
        return Throttled(
            "The model's service asked us to wait.", "It is tried again by itself.", retry_after_s=wait_s, detail=detail
        )
    if status in (408, 409) or status >= 500 or word in ("overloaded_error", "api_error", "timeout_error"):
        return Overloaded("The model's service is overloaded.", "It is tried again by itself.", detail=detail)
    return BadRequest(
        "The model's service refused the request.",
        "Check OPS_MODEL, and the run's model calls for the request id.",
        detail=detail,
    )


def _spend_cap(detail: str) -> SpendCap:
    return SpendCap(
        "The spend limit of the Anthropic account is used up.",
        "Raise it in the Anthropic console, or wait for the next month.",
        detail=detail,
    )


def _says_spend_limit(error: "anthropic.APIStatusError") -> bool:
    # limits a customer sets come as 400 with no code of their own, only with this sentence
    told = (error.api_message or "").lower()
    return error.status_code == 400 and ("api usage limits" in told or "credit balance" in told)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the vendor asks to wait (`retry-after-ms`, or `retry-after` as seconds or a date), or None when it does not say."""
    from email.utils import parsedate_to_datetime

    from core.kit import clock

    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after")
        if value is None:
            return None
        try:
            seconds = float(value)
        except ValueError:
            seconds = (parsedate_to_datetime(value) - clock.now()).total_seconds()
        return max(0.0, seconds) if seconds == seconds else None
    except (ValueError, TypeError):
        return None
