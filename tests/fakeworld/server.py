"""A real HTTP server on loopback that plays vendors. Each vendor is a `Vendor` with its routes; every request is kept."""

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Seen:
    """One request as it arrived. Header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    query: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """One request being answered: write whatever should go over the wire."""

    def __init__(self, handler: BaseHTTPRequestHandler, seen: Seen, closing: threading.Event) -> None:
        self._handler = handler
        self.seen = seen
        self._closing = closing

    def send(
        self, status: int, body: bytes, content_type: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        """A whole answer."""
        handler = self._handler
        handler.send_response(status)
        handler.send_header("content-type", content_type)
        handler.send_header("content-length", str(len(body)))
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def send_json(self, status: int, data: Any, headers: dict[str, str] | None = None) -> None:
        """A whole JSON answer."""
        self.send(status, json.dumps(data).encode(), headers=headers)

    def start_chunks(self, content_type: str, headers: dict[str, str] | None = None) -> None:
        """Begin a chunked 200."""
        handler = self._handler
        handler.send_response(200)
        handler.send_header("content-type", content_type)
        handler.send_header("transfer-encoding", "chunked")
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()

    def chunk(self, data: bytes) -> None:
        """One chunk, sent at once."""
        self._handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self._handler.wfile.flush()

    def end_chunks(self) -> None:
        """The proper end of a chunked answer."""
        self._handler.wfile.write(b"0\r\n\r\n")
        self._handler.wfile.flush()

    def cut(self) -> None:
        """Tear the connection down in the middle."""
        self._handler.close_connection = True
        self._handler.connection.shutdown(socket.SHUT_RDWR)

    def pause(self, seconds: float) -> bool:
        """Say nothing for a while. True when the server is being closed meanwhile."""
        return self._closing.wait(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@dataclass
class World:
    """The server. `routes` maps (method, path) to what answers, `mounts` the first part of a path; anything else is a 404."""

    routes: dict[tuple[str, str], Callable[[Exchange], None]] = field(default_factory=dict)
    requests: list[Seen] = field(default_factory=list)
    mounts: dict[str, Callable[[Exchange], None]] = field(default_factory=dict)
    port: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", self.port), self._handler_class())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Base URL to give to the client."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop serving; whoever is kept waiting is let go."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("content-length") or 0)
        headers = {k.lower(): v for k, v in handler.headers.items()}
        parts = urlsplit(handler.path)
        path, query = parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()}
        seen = Seen(handler.command, path, headers, handler.rfile.read(length), time.monotonic(), query)
        with self._lock:
            self.requests.append(seen)
        exchange = Exchange(handler, seen, self._closing)
        route = self.routes.get((handler.command, path)) or self.mounts.get("/" + path.split("/")[1])
        try:
            if route is None:
                exchange.send_json(404, {"error": "no such route"})
            else:
                route(exchange)
        except (BrokenPipeError, ConnectionResetError, OSError):
            handler.close_connection = True  # the client went away

    def _handler_class(self) -> type[BaseHTTPRequestHandler]:
        world = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                world._answer(self)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def log_message(self, *_: object) -> None:
                pass

        return Handler
