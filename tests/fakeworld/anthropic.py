"""Plays Anthropic's Messages API on the wire: JSON and server-sent events, tool use, usage, errors with request ids.

Answers are scripted by call number: `fake.script(overloaded(), overloaded(), faithful())`. The last one stays.
"""

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fakeworld.server import Exchange, Seen, World

KEY = "sk-ant-test-0123456789-never-log-me"
Reply = Callable[["FakeAnthropic", Exchange, dict[str, Any]], None]


class FakeAnthropic:
    """The stand-in. Give `url` as base URL; `requests` has everything that was sent to it."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.world.routes["POST", "/v1/messages"] = self._answer
        self._numbers = itertools.count()
        self._script: list[Reply] = [faithful()]
        self.key = KEY

    @property
    def url(self) -> str:
        return self.world.url

    @property
    def requests(self) -> list[Seen]:
        return self.world.requests

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [r.json for r in self.requests]

    def script(self, *replies: Reply) -> None:
        """What to answer to the first, second … call; the last answer is given from then on."""
        self._numbers = itertools.count()
        self._script = list(replies)

    def close(self) -> None:
        self.world.close()

    def _answer(self, exchange: Exchange) -> None:
        number = next(self._numbers)
        body = exchange.seen.json
        if key_of(exchange.seen) != self.key:
            error(401, "authentication_error", "invalid x-api-key")(self, exchange, body)
            return
        problem = _problem(body)
        if problem:
            error(400, "invalid_request_error", problem)(self, exchange, body)
            return
        self._script[min(number, len(self._script) - 1)](self, exchange, body)


def key_of(seen: Seen) -> str:
    """The key a request came with: the SDK sends it as a bearer token, older ones as x-api-key."""
    return seen.headers.get("x-api-key") or seen.headers.get("authorization", "").removeprefix("Bearer ")


def _problem(body: dict[str, Any]) -> str | None:
    """What the real API would refuse in the shape of a request."""
    if not isinstance(body.get("max_tokens"), int) or not body.get("model"):
        return "max_tokens and model are required"
    messages = body.get("messages") or []
    if not messages or messages[0].get("role") != "user":
        return "messages: first message must use the user role"
    open_calls: list[str] = []
    for message in messages:
        blocks = message["content"] if isinstance(message["content"], list) else []
        if message["role"] == "assistant":
            open_calls = [b["id"] for b in blocks if b.get("type") == "tool_use"]
            if len(set(open_calls)) != len(open_calls):
                return "messages: `tool_use` ids must be unique"
            if not message["content"]:
                return "messages: content must not be empty"
        else:
            answered = [b["tool_use_id"] for b in blocks if b.get("type") == "tool_result"]
            if open_calls and sorted(answered) != sorted(open_calls):
                return "messages: `tool_use` blocks must each have one `tool_result`"
            open_calls = []
    return None


# ---- answers


def error(status: int, word: str, message: str, headers: dict[str, str] | None = None, code: str | None = None) -> Reply:
    """An error in the API's own form."""

    def reply(_fake: FakeAnthropic, exchange: Exchange, _body: dict[str, Any]) -> None:
        told: dict[str, Any] = {"type": word, "message": message}
        if code:
            told["details"] = {"error_code": code}
        exchange.send_json(
            status, {"type": "error", "error": told, "request_id": "req_err"}, {"request-id": "req_err"} | (headers or {})
        )

    return reply


def overloaded() -> Reply:
    return error(529, "overloaded_error", "Overloaded")


def rate_limited(retry_after: str | None) -> Reply:
    headers = {"retry-after": retry_after} if retry_after is not None else {}
    return error(429, "rate_limit_error", "This request would exceed your rate limit.", headers)


def spend_cap() -> Reply:
    return error(429, "rate_limit_error", "Usage limit reached.", code="enforced_spend_limit_reached")


@dataclass
class Turn:
    """A whole assistant turn: its blocks, why it stopped, and what it used."""

    blocks: list[dict[str, Any]]
    stop_reason: str = "end_turn"
    input_tokens: int = 1200
    output_tokens: int = 300


def turn_message(turn: Turn, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_01", "type": "message", "role": "assistant", "model": body["model"], "content": turn.blocks,
        "stop_reason": turn.stop_reason, "stop_sequence": None,
        "usage": {"input_tokens": turn.input_tokens, "output_tokens": turn.output_tokens},
    }  # fmt: skip


def events_of(turn: Turn, body: dict[str, Any]) -> list[bytes]:
    """The turn as server-sent events, in the order and shape of the real ones."""
    start = turn_message(Turn([], "end_turn", turn.input_tokens, 1), body) | {"stop_reason": None}
    out: list[tuple[str, dict[str, Any]]] = [
        ("message_start", {"type": "message_start", "message": start}),
        ("ping", {"type": "ping"}),
    ]
    for index, block in enumerate(turn.blocks):
        if block["type"] == "text":
            opened, pieces = {"type": "text", "text": ""}, _pieces(block["text"])
            deltas = [{"type": "text_delta", "text": p} for p in pieces]
        else:
            opened, pieces = block | {"input": {}}, _pieces(json.dumps(block["input"]))
            deltas = [{"type": "input_json_delta", "partial_json": p} for p in pieces]
        out.append(("content_block_start", {"type": "content_block_start", "index": index, "content_block": opened}))
        out += [("content_block_delta", {"type": "content_block_delta", "index": index, "delta": d}) for d in deltas]
        out.append(("content_block_stop", {"type": "content_block_stop", "index": index}))
    delta = {"stop_reason": turn.stop_reason, "stop_sequence": None}
    out.append(("message_delta", {"type": "message_delta", "delta": delta, "usage": {"output_tokens": turn.output_tokens}}))
    out.append(("message_stop", {"type": "message_stop"}))
    return [f"event: {name}\ndata: {json.dumps(data)}\n\n".encode() for name, data in out]


def _pieces(text: str) -> list[str]:
    size = max(20, len(text) // 20)
    return [text[i : i + size] for i in range(0, len(text), size)] or [""]


def turn(make: Callable[[dict[str, Any]], Turn], *, share: float = 1.0, clean_end: bool = False, slow_s: float = 0.0) -> Reply:
    """A turn made from the request. `share` < 1 stops in the middle, torn or (`clean_end`) politely; `slow_s` between events."""

    def reply(_fake: FakeAnthropic, exchange: Exchange, body: dict[str, Any]) -> None:
        made = make(body)
        if not body.get("stream"):
            exchange.send_json(200, turn_message(made, body), {"request-id": "req_ok"})
            return
        events = events_of(made, body)
        exchange.start_chunks("text/event-stream; charset=utf-8", {"request-id": "req_ok"})
        for event in events[: int(len(events) * share)] if share < 1 else events:
            exchange.chunk(event)
            if slow_s and exchange.pause(slow_s):
                return
        if share < 1 and not clean_end:
            exchange.cut()
        else:
            exchange.end_chunks()

    return reply


def says(text: str, stop_reason: str = "end_turn") -> Reply:
    """A turn with just this text."""
    return turn(lambda _body: Turn([{"type": "text", "text": text}] if text is not None else [], stop_reason))


def prompt_of(body: dict[str, Any]) -> str:
    """Everything of a request that the model reads, as one text."""
    return json.dumps([body.get("system"), body["messages"]], ensure_ascii=False)


def sheet_of(body: dict[str, Any]) -> dict[str, list[tuple[str, str, str]]]:
    """The facts the prompt shows, by section: (key, label, shown)."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    section = ""
    for message in body["messages"]:
        blocks = message["content"] if isinstance(message["content"], list) else [{"type": "text", "text": message["content"]}]
        for block in blocks:
            text = block.get("text") or (block.get("content") if block.get("type") == "tool_result" else "") or ""
            for line in str(text).split("\n"):
                if line.startswith("## "):
                    section = line[3:].split(":")[0]
                    found.setdefault(section, [])
                elif section and re.match(r"^[^|\s]+ \| [^|]* \| [^|]*$", line):
                    key, label, shown = line.split(" | ", 2)
                    found[section].append((key, label, shown))
    return found


def report(body: dict[str, Any], change: Callable[[dict[str, Any]], Any] = lambda r: r) -> str:
    """A report that cites the facts of the prompt, truthfully; `change` spoils it."""
    form = {
        "headline": "Here is what needs a look today.",
        "sections": [
            {
                "section": key,
                "sentences": [f"The sheet says this: [[{facts[0][0]}]].", *(f"- [[{f[0]}]] is on it too." for f in facts[1:4])],
            }
            for key, facts in sheet_of(body).items()
            if facts and key != "facts"
        ],
    }
    return json.dumps(change(form), ensure_ascii=False)


def faithful() -> Reply:
    """A report that passes, or a draft that passes when one is asked for."""
    return spoiled(lambda form: form)


def spoiled(change: Callable[[dict[str, Any]], Any]) -> Reply:
    """A report that is well-formed but for what `change` does to it."""

    def make(body: dict[str, Any]) -> Turn:
        wants_draft = "text" in json.dumps(body.get("output_config", {}).get("format", {}).get("schema", {}).get("required", []))
        facts = [f for fs in sheet_of(body).values() for f in fs]
        draft = {"text": "A note for you about " + " and ".join(f"[[{f[0]}]]" for f in facts[:2]) + "."}
        return Turn([{"type": "text", "text": json.dumps(change(draft)) if wants_draft else report(body, change)}])

    return turn(make)


def adding(sentence: str) -> Reply:
    """A report that is true but for one more sentence."""

    def change(form: dict[str, Any]) -> Any:
        if form.get("sections"):
            form["sections"][0]["sentences"].append(sentence)
        else:
            form["text"] = form.get("text", "") + " " + sentence
        return form

    return spoiled(change)


def asks(*calls: tuple[str, str, Any]) -> Reply:
    """A turn that asks for tools: (id, name, input) each."""
    blocks = [{"type": "tool_use", "id": i, "name": n, "input": a} for i, n, a in calls]
    return turn(lambda _body: Turn([{"type": "text", "text": "Let me look."}, *blocks], "tool_use"))


def hang(seconds: float = 60.0) -> Reply:
    """Takes the request and says nothing."""

    def reply(_fake: FakeAnthropic, exchange: Exchange, _body: dict[str, Any]) -> None:
        exchange.pause(seconds)

    return reply


def trickle(seconds: float = 60.0) -> Reply:
    """Sends a ping now and then and never an answer: no single read ever times out."""

    def reply(_fake: FakeAnthropic, exchange: Exchange, body: dict[str, Any]) -> None:
        exchange.start_chunks("text/event-stream")
        exchange.chunk(events_of(Turn([]), body)[0])
        for _ in range(int(seconds / 0.05)):
            exchange.chunk(b'event: ping\ndata: {"type": "ping"}\n\n')
            if exchange.pause(0.05):
                return

    return reply


def raw(status: int, body: bytes, content_type: str) -> Reply:
    """Bytes that are not what the API sends."""

    def reply(_fake: FakeAnthropic, exchange: Exchange, _body: dict[str, Any]) -> None:
        exchange.send(status, body, content_type, {"request-id": "req_raw"})

    return reply


def failing_stream(word: str) -> Reply:
    """A stream with an `error` event in the middle."""

    def reply(_fake: FakeAnthropic, exchange: Exchange, body: dict[str, Any]) -> None:
        exchange.start_chunks("text/event-stream")
        for event in events_of(Turn([{"type": "text", "text": "half of an answer " * 20}]), body)[:5]:
            exchange.chunk(event)
        told = {"type": "error", "error": {"type": word, "message": "It broke."}}
        exchange.chunk(f"event: error\ndata: {json.dumps(told)}\n\n".encode())
        exchange.end_chunks()

    return reply
