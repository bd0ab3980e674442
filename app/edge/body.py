"""Request bodies are read here, once, with a limit and a deadline, before any parser sees a byte."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.edge.addresses import header
from core.kit import log


class BodyRefused(Exception):
    """The body is too large or too slow. `status` is 413, 408 or 400."""

    def __init__(self, status: int, message: str, next_step: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.next_step = next_step


class HungUp(Exception):
    """The client left before its request was complete."""


@dataclass(frozen=True, slots=True)
class BodyRule:
    """At most `max_bytes`, all of them within `deadline_s` seconds."""

    max_bytes: int = 1_000_000
    deadline_s: float = 10.0


async def read_body(scope: Scope, receive: Receive, rule: BodyRule) -> bytes:
    """The whole body. Raises BodyRefused and HungUp. What Content-Length says is checked but never trusted."""
    said = header(scope, b"content-length")
    if said is not None:
        if not said.isdecimal():
            raise BodyRefused(400, "The request has no proper Content-Length.", "Send the number of bytes of the body.")
        if int(said) > rule.max_bytes:
            raise _too_large(rule)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(rule.deadline_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise HungUp
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > rule.max_bytes:
                    raise _too_large(rule)
                if chunk:
                    parts.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise BodyRefused(
            408, f"The request did not arrive within {rule.deadline_s:g} seconds.", "Send it again in one go."
        ) from None


def _too_large(rule: BodyRule) -> BodyRefused:
    return BodyRefused(413, f"The request is larger than {rule.max_bytes // 1000:,} kB.", "Send less at once.")


def logged(path: str) -> str:
    """The path for the log; an opt-out link names a person and works for ever, so only its door is written down."""
    return "/u/…" if path.startswith("/u/") else path[:200]


Refuse = Callable[[Scope, BodyRefused], ASGIApp]


class BodyGuard:
    """ASGI middleware that applies the rule `rule_for` gives for a request; None leaves the request alone."""

    def __init__(self, app: ASGIApp, rule_for: Callable[[Scope], BodyRule | None], refuse: Refuse) -> None:
        self.app = app
        self.rule_for = rule_for
        self.refuse = refuse
        self.log = log.get("edge")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rule = self.rule_for(scope) if scope["type"] == "http" else None
        if rule is None:
            await self.app(scope, receive, send)
            return
        try:
            body = await read_body(scope, receive, rule)
        except HungUp:
            self.log.info("client hung up", path=logged(scope["path"]), while_="sending the request")
            return
        except BodyRefused as refused:
            self.log.info("request refused", path=logged(scope["path"]), status=refused.status, reason=refused.message)
            await self.refuse(scope, refused)(scope, receive, _closing(send))
            return
        await self.app(scope, _replay(body, receive), send)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _closing(send: Send) -> Send:
    """The rest of a refused body is not waited for: the connection ends with the answer."""

    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
        await send(message)

    return closing
