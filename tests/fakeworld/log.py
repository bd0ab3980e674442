"""What reached the vendors: one JSON line a call, on disk before the call is answered, so that it outlives whoever called."""

import hashlib
import json
import os
import threading
import time
from pathlib import Path
from typing import Any


class CallLog:
    """Append-only. Without a path it is kept in memory only."""

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self.calls: list[dict[str, Any]] = read(path) if path is not None and path.exists() else []
        self._file = path.open("ab", buffering=0) if path is not None else None

    def add(self, *, vendor: str, endpoint: str, mode: str, body: bytes, at: float, **values: Any) -> dict[str, Any]:
        """Write one call down. `at` and `written_at` are seconds since 1970: received, and decided."""
        with self._lock:
            line = {
                "n": len(self.calls) + 1, "at": at, "written_at": time.time(), "vendor": vendor, "endpoint": endpoint,
                "mode": mode, "body_sha256": hashlib.sha256(body).hexdigest(), "body": body.decode("utf-8", "replace"),
            } | values  # fmt: skip
            self.calls.append(line)
            if self._file is not None:
                self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
                os.fsync(self._file.fileno())
        return line

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def read(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a log; a last one that is still being written is left out."""
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def applied(calls: list[dict[str, Any]], endpoint: str | None = None) -> list[dict[str, Any]]:
    """The calls that did something, of one endpoint ("slack.chat.postMessage") or of all."""
    return [c for c in calls if c["applied"] and endpoint in (None, c["endpoint"])]


def doubles(calls: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
    """(endpoint, effect key) to how often it was applied, where that is more than once."""
    counts: dict[tuple[str, str], int] = {}
    for call in applied(calls):
        if call["key"]:
            counts[call["endpoint"], call["key"]] = counts.get((call["endpoint"], call["key"]), 0) + 1
    return {k: n for k, n in counts.items() if n > 1}
