"""The gate before the dashboard: pure ASGI, so that it sees WebSockets too.

Nobody passes without a session, except to the sign-in pages, the health check and files that hold no data. A
WebSocket lives for hours, so the gate also asks again while it is open, and closes it when the session has ended.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.auth import cookies, pages, paths
from app.edge.addresses import Addresses, header, ours
from core.domains.users import service as users
from core.domains.users.queries import CurrentUser
from core.errors import Unavailable
from core.kit import db, log
from core.kit.db import STAFF

OPEN_PATHS: Final = frozenset({"/_stcore/health", "/favicon.png", "/favicon.ico", "/robots.txt"})
OPEN_PREFIXES: Final = ("/static/", "/auth/")
OPEN_OWN_FILES: Final = (".woff2", ".svg", ".png", ".ico")
"""Of our own static files only fonts and marks, which the sign-in pages show."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
RECHECK_S: Final = 15.0

Resolve = Callable[[str | None], Awaitable[CurrentUser | None]]


def is_open(path: str) -> bool:
    """Whether a path is for everybody."""
    if path in OPEN_PATHS or path.startswith(OPEN_PREFIXES):
        return True
    return path.startswith("/app/static/") and path.endswith(OPEN_OWN_FILES)


def _resolve(token: str | None) -> CurrentUser | None:
    if not token:
        return None
    with db.transaction(STAFF) as session:
        return users.resolve_session(session, token)


_lane: anyio.CapacityLimiter | None = None


async def resolve(token: str | None) -> CurrentUser | None:
    """Who the token belongs to. In threads of its own, so that a slow database can't hold up static files."""
    global _lane
    if not token:
        return None
    if _lane is None:
        _lane = anyio.CapacityLimiter(8)
    return await anyio.to_thread.run_sync(_resolve, token, limiter=_lane)


class Gate:
    """ASGI middleware. `resolve` and `recheck_s` (seconds between looks at an open WebSocket's session) are for tests."""

    def __init__(
        self, app: ASGIApp, resolve: Resolve = resolve, addresses: Addresses | None = None, recheck_s: float = RECHECK_S
    ) -> None:
        self.app = app
        self.resolve = resolve
        self.addresses = addresses
        self.recheck_s = recheck_s
        self.log = log.get("gate")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            refusal = await self._refusal(scope)
            await (refusal or self.app)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        """What to answer instead of letting the request in; None lets it in."""
        known, path = self.addresses or ours(), scope["path"]
        if path == "/_stcore/health":  # probes ask by any name
            return None
        if not known.host_is_ours(scope):
            self.log.warning("request for another host", host=header(scope, b"host"))
            return pages.wrong_host()
        if scope["method"] not in SAFE_METHODS and not known.origin_is_ours(scope):
            self.log.warning("request from another site", origin=header(scope, b"origin"), path=path)
            return pages.wrong_origin()
        if is_open(path):
            return None
        try:
            user = await self.resolve(cookies.session_of(scope))
        except Unavailable as error:
            return pages.unavailable(error)
        if user is not None:
            return None
        if not _is_navigation(scope):
            return PlainTextResponse("Sign in first.", 401, {"cache-control": "no-store"})
        query = scope["query_string"].decode("latin-1")
        wanted = scope.get("raw_path", path.encode()).decode("latin-1") + (f"?{query}" if query else "")
        return RedirectResponse(paths.sign_in_path(wanted), 303, {"cache-control": "no-store"})

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        known, token = self.addresses or ours(), cookies.session_of(scope)
        user = None
        if known.host_is_ours(scope) and known.origin_is_ours(scope):
            try:
                user = await self.resolve(token)
            except Unavailable:
                self.log.warning("no session check, the database does not answer")
        else:
            self.log.warning("websocket from another site", origin=header(scope, b"origin"), host=header(scope, b"host"))
        if user is None:
            await send({"type": "websocket.close", "code": 1008})  # before accept the server answers 403
            return
        await _Watched(self, token, receive, send).run(scope)


class _Watched:
    """One open WebSocket, closed as soon as its session has ended."""

    def __init__(self, gate: Gate, token: str | None, receive: Receive, send: Send) -> None:
        self.gate, self.token, self._receive, self._send = gate, token, receive, send
        self.ended = asyncio.Event()
        self.closed = False

    async def run(self, scope: Scope) -> None:
        watch = asyncio.create_task(self._watch(), name="session-watch")
        try:
            await self.gate.app(scope, self.receive, self.send)
        finally:
            watch.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self.gate.recheck_s)
            try:
                user = await self.gate.resolve(self.token)
            except Unavailable:
                continue  # pages ask for themselves and show nothing while the database is away
            if user is None:
                self.gate.log.info("websocket closed, its session has ended")
                self.ended.set()
                return

    async def receive(self) -> Message:
        message = asyncio.ensure_future(self._receive())
        over = asyncio.ensure_future(self.ended.wait())
        try:
            await asyncio.wait((message, over), return_when=asyncio.FIRST_COMPLETED)
            if message.done():
                return message.result()
            if not self.closed:
                self.closed = True
                await self._send({"type": "websocket.close", "code": 1008, "reason": "signed out"})
            return {"type": "websocket.disconnect", "code": 1008}
        finally:
            over.cancel()
            if not message.done():
                message.cancel()

    async def send(self, message: Message) -> None:
        if not self.closed:
            self.closed = message["type"] == "websocket.close"
            await self._send(message)


def _is_navigation(scope: Scope) -> bool:
    """Whether a person opened the address, and not a script of a page."""
    if scope["method"] not in ("GET", "HEAD"):
        return False
    mode = header(scope, b"sec-fetch-mode")
    return mode == "navigate" if mode else not scope["path"].startswith(("/_stcore/", "/media/", "/app/static/"))
