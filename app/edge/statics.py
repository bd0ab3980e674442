"""Streamlit's own front-end files, compressed once and kept.

Streamlit sends them uncompressed, and compressing them anew at each first load would cost most of a second of CPU.
Their names carry a hash of their content, so what is kept never goes stale and browsers may keep it for a year.
"""

import asyncio
import mimetypes
import zlib
from pathlib import Path

import anyio
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.edge.addresses import header

PREFIX = "/static/"
PACKED = frozenset({".js", ".css", ".svg", ".json", ".wasm", ".map", ".html", ".ttf", ".txt"})
FOR_EVER = "public, max-age=31536000, immutable"


class PackedStatics:
    """ASGI middleware in front of Streamlit's static files under `root`; what it does not know it passes on."""

    def __init__(self, app: ASGIApp, root: Path) -> None:
        self.app = app
        self.root = root.resolve()
        self._packed: dict[str, Response] = {}
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer(scope) if scope["type"] == "http" and scope["path"].startswith(PREFIX) else None
        await (answer or self.app)(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response | None:
        if scope["method"] not in ("GET", "HEAD") or "gzip" not in (header(scope, b"accept-encoding") or ""):
            return None
        path: str = scope["path"]
        known = self._packed.get(path)
        if known is None:
            file = self._file(path)
            if file is None:
                return None
            async with self._lock:  # one at a time: a first load asks for sixty files at once
                if path not in self._packed:
                    self._packed[path] = await anyio.to_thread.run_sync(_pack, file)
                known = self._packed[path]
        return known

    def _file(self, path: str) -> Path | None:
        if "\\" in path or ".." in path or "\x00" in path:
            return None
        file = (self.root / path.lstrip("/")).resolve()
        return file if file.suffix in PACKED and file.is_relative_to(self.root) and file.is_file() else None


def _pack(file: Path) -> Response:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = packer.compress(file.read_bytes()) + packer.flush()
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    if file.suffix == ".js":
        kind = "text/javascript"
    return Response(
        body, media_type=kind, headers={"content-encoding": "gzip", "vary": "Accept-Encoding", "cache-control": FOR_EVER}
    )
