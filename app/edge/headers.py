"""Security headers on every answer that does not set its own."""

import re
from base64 import b64encode
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.edge.addresses import header, host_name, is_secure

PERMISSIONS = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()"


@lru_cache(maxsize=1)
def _own_inline_scripts() -> str:
    """Hashes of the inline scripts in Streamlit's own page (one line that sets a flag), so that only those may run."""
    page = (files("streamlit") / "static" / "index.html").read_text()
    found = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    return "".join(f" 'sha256-{b64encode(sha256(code.encode()).digest()).decode()}'" for code in found)


def dashboard_policy(scope: Scope) -> str:
    """The Content-Security-Policy of the dashboard.

    `blob:` scripts: a component's JavaScript is handed to the browser as a blob module made by Streamlit's own
    script. Injected markup can't make a blob, so this opens nothing to it. Not every browser takes 'self' to
    include WebSockets, so ours is named.
    """
    host = header(scope, b"host") or ""
    socket = f" {'wss' if is_secure(scope) else 'ws'}://{host}" if host_name(host) and _plain(host) else ""
    return (
        f"default-src 'self'; script-src 'self' blob:{_own_inline_scripts()}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; "
        f"font-src 'self' data:; media-src 'self' blob:; connect-src 'self' blob: data:{socket}; worker-src 'self' blob:; "
        "frame-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    )


def _plain(host: str) -> bool:
    return all(c.isalnum() or c in ".-:[]" for c in host) and host.isascii()


def api_policy(_scope: Scope) -> str:
    """The Content-Security-Policy of an API: its answers are no pages."""
    return "default-src 'none'; frame-ancestors 'none'"


class SecurityHeaders:
    """ASGI middleware that adds the headers; `policy` makes the Content-Security-Policy of a request."""

    def __init__(self, app: ASGIApp, policy: Callable[[Scope], str]) -> None:
        self.app = app
        self.policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                self._add(scope, MutableHeaders(raw=message["headers"]))
            await send(message)

        await self.app(scope, receive, with_headers)

    def _add(self, scope: Scope, headers: MutableHeaders) -> None:
        headers.setdefault("content-security-policy", self.policy(scope))
        headers.setdefault("x-content-type-options", "nosniff")
        # not no-referrer: with it browsers send `Origin: null` with our own forms
        headers.setdefault("referrer-policy", "same-origin")
        headers.setdefault("x-frame-options", "SAMEORIGIN")
        headers.setdefault("permissions-policy", PERMISSIONS)
        headers.setdefault("cross-origin-opener-policy", "same-origin")
        headers.setdefault("cross-origin-resource-policy", "same-origin")
        if is_secure(scope):
            headers.setdefault("strict-transport-security", "max-age=31536000")
