"""The document the browser gets first: our name, icon, font and frame instead of Streamlit's, so nothing jumps or flashes."""

import re
from functools import lru_cache
from pathlib import Path

import streamlit as st
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.ui import assets, table, words

PARTS = ("BidiComponent", "Html", "purify.es", "BaseButton")
FONT = "/app/static/fonts/inter-latin-wght-normal.woff2"
_MARKER = b"<title>Streamlit</title>"
_FONT_PRELOAD = re.compile(rb'<link\s+rel="preload"\s+href="\./static/media/SourceSans[^>]*>')
_ICON = re.compile(rb'<link rel="shortcut icon" href="[^"]*" ?/>')
_AGENT = re.compile(rb'<link rel="service-desc"[^>]*>')


@lru_cache(maxsize=1)
def head() -> bytes:
    """What goes into the document's head."""
    css = (
        words.tone_css()
        + assets.source("page.css")
        + assets.source("frame.css")
        + assets.source("action.css")
        + assets.source("connection.css")
        + assets.source("policy.css")
        + table.room_css()
    )
    return (
        "<title>ManageAI Ops</title>"
        '<meta name="robots" content="noindex">'
        '<meta name="color-scheme" content="light dark">'
        f'<link rel="preload" href="{FONT}" as="font" type="font/woff2" crossorigin>'
        + "".join(f'<link rel="modulepreload" href="{a}">' for a in [assets.bundle()[0], *_streamlit_parts()])
        + f"<style>{css}</style>"
    ).encode()


def _streamlit_parts() -> list[str]:
    """Streamlit's parts that each of our pages needs, which it would fetch one after the other."""
    folder = Path(st.__file__).parent / "static" / "static" / "js"
    return [f"/static/js/{p.name}" for part in PARTS for p in sorted(folder.glob(f"{part}.*.js"))]


def dress(document: bytes) -> bytes:
    """Streamlit's index.html with our head; any other document is returned as it is."""
    if _MARKER not in document:
        return document
    document = _FONT_PRELOAD.sub(b"", document)
    document = _AGENT.sub(b"", document)
    document = _ICON.sub(b'<link rel="icon" type="image/svg+xml" href="/app/static/mark.svg">', document)
    return document.replace(_MARKER, head())


class Shell:
    """ASGI middleware: rewrites the one HTML document Streamlit serves. Must stand inside any compression."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"].startswith(("/static/", "/app/static/")):
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        body = bytearray()

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                headers = dict(message["headers"])
                if headers.get(b"content-type", b"").startswith(b"text/html") and b"content-encoding" not in headers:
                    start = message
                    return
            if start is None:
                await send(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            made = dress(bytes(body))
            kept = [(k, v) for k, v in start["headers"] if k not in (b"content-length", b"etag", b"last-modified")]
            await send({**start, "headers": [*kept, (b"content-length", str(len(made)).encode())]})
            await send({"type": "http.response.body", "body": made})

        # the document differs from the file on disk, so its validators and ranges would lie
        skip = (b"if-none-match", b"if-modified-since", b"range", b"accept-encoding")
        scope = {**scope, "headers": [(k, v) for k, v in scope["headers"] if k not in skip]}
        await self.app(scope, receive, collect)
