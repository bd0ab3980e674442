"""Deadlines uvicorn has no settings for: a connection that dawdles is closed, so that slow clients can't fill the server.

Headers must be complete within `HEADERS_S` of the connection (or of the first byte of a further request), the body
within `BODY_S` of the headers, and the whole exchange within `EXCHANGE_S`. Headers may take `MAX_HEADER_BYTES`.
"""

import asyncio
import logging
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

logger = logging.getLogger("uvicorn.error")


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with deadlines. The class attributes are settings; a subclass may shorten them."""

    HEADERS_S: ClassVar[float] = 5.0
    BODY_S: ClassVar[float] = 10.0
    EXCHANGE_S: ClassVar[float] = 60.0
    MAX_HEADER_BYTES: ClassVar[int] = 32_768

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._header_bytes = 0
        self._in_headers = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start("headers", self.HEADERS_S)

    def connection_lost(self, exc: Exception | None) -> None:
        for name in tuple(self._timers):
            self._cancel(name)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_headers:
            self._header_bytes += len(data)
            # the data may hold the end of the headers and a body; only what stays incomplete counts
            if "headers" not in self._timers:
                self._start("headers", self.HEADERS_S)
        super().data_received(data)
        if self._in_headers and self._header_bytes > self.MAX_HEADER_BYTES:
            self._refuse(b"431 Request Header Fields Too Large", b"The request's headers are too large.")

    def on_message_begin(self) -> None:
        self._in_headers = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_headers, self._header_bytes = False, 0
        self._cancel("headers")
        self._start("body", self.BODY_S)
        self._start("exchange", self.EXCHANGE_S)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._cancel("body")
        self._in_headers = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._cancel("exchange")
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # closing waits until the client has read the answer, and it may never do so
        self.loop.call_later(self.BODY_S, self.transport.abort)

    def _start(self, name: str, seconds: float) -> None:
        self._cancel(name)
        self._timers[name] = self.loop.call_later(seconds, self._late, name)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _late(self, name: str) -> None:
        self._timers.pop(name, None)
        if self.transport is None or self.transport.is_closing():
            return
        answered = self.cycle is not None and self.cycle.response_complete
        if (name == "headers" and self._header_bytes == 0) or (name == "body" and answered):
            self.transport.close()  # an idle connection, or one that was answered before its body was through
            return
        peer = self.client[0] if self.client else "?"
        logger.info("closed a slow connection from %s: %s not complete in time", peer, name)
        started = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if name == "exchange" or started:
            self.transport.abort()
            return
        self._refuse(b"408 Request Timeout", b"The request did not arrive in time.")

    def send_400_response(self, msg: str) -> None:
        self._refuse(b"400 Bad Request", b"This is not a proper HTTP request.", b"Check its headers and lengths.")

    def _refuse(self, status: bytes, sentence: bytes, next_step: bytes = b"Send it again in one go.") -> None:
        if self.transport.is_closing():
            return
        body = (
            b'{"title":"' + status[4:] + b'","status":' + status[:3] + b',"detail":"' + sentence + b'","next_step":"' + next_step
            + b'","request_id":null}'
        )  # fmt: skip
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\ncontent-type: application/problem+json\r\nconnection: close\r\n"
            b"content-length: " + str(len(body)).encode() + b"\r\n\r\n" + body
        )
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
