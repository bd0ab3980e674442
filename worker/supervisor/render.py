"""One log line of a process as a short line for people: time, level, message, the fields that matter."""

import contextlib
import json
import re
from datetime import datetime
from typing import Any

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_HIDDEN_FIELDS = {"event", "level", "timestamp", "process", "source", "exception", "message", "logger"}
_LEVELS = {"debug": 2, "warning": 33, "error": 31, "critical": 31}
_NOISE = re.compile(
    r"""^\s*$
    | You\ can\ now\ view\ your\ Streamlit | ^\s*(Local|Network|External)?\ ?URL:\s | ^\s*Stopping\.\.\.
    | Collecting\ usage\ statistics | For\ better\ performance,\ install\ the\ Watchdog | \$\ (xcode-select|pip)\ 
    | Started\ (server|parent|reloader)\ process | Waiting\ for\ application\ (startup|shutdown)
    | Application\ (startup|shutdown)\ complete
    | Uvicorn\ (running|server\ started)\ on | Shutting\ down$ | Finished\ server\ process | connection\ (open|closed)$
    | ^INFO:\s+\S+\ -\ "(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|WebSocket)\  | "WebSocket\ /_stcore
    | (Registering|Registered)\ (birth|death) | \*\*\*\ Listening\ on | Subscribing\ to\ channel | Cleaning\ registries
    | Worker\ rq:worker:.*\ (started|initialised) | Worker\ \S+\ \[PID\ \d+\]
    """,
    re.VERBOSE,
)
_COLOURS = (36, 35, 34, 32, 96, 95, 94, 92)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        short = value if len(value) <= 120 else value[:119] + "…"
        return json.dumps(short, ensure_ascii=False) if " " in short else short
    return json.dumps(value, ensure_ascii=False, default=str)[:160]


class Renderer:
    """Turns raw lines into lines for people. `width` is that of the name column."""

    def __init__(self, names: list[str], colour: bool) -> None:
        self.width = max([len(n) for n in names] + [3])
        self.colour = colour
        self._by_name = {n: _COLOURS[i % len(_COLOURS)] for i, n in enumerate(dict.fromkeys(names))}

    def line(self, name: str, raw: str) -> list[str]:
        """The lines to show for one line of `name`; none when it is noise."""
        if raw.startswith("{"):
            try:
                fields = json.loads(raw)
            except ValueError:
                fields = None
            if isinstance(fields, dict) and "event" in fields:
                return self._structured(name, fields)
        plain = _ANSI.sub("", raw).rstrip()
        if _NOISE.search(plain):
            return []
        return [self.say(name, raw.rstrip() if self.colour else plain)]

    def say(self, name: str, message: str, level: str = "info", at: datetime | None = None) -> str:
        """One line of ours in the same columns. `at` is local time."""
        stamp = (at or datetime.now().astimezone()).strftime("%H:%M:%S")
        label = f"{name:<{self.width}} │"
        code = _LEVELS.get(level)
        if self.colour:
            stamp, label = f"\x1b[2m{stamp}\x1b[0m", f"\x1b[{self._by_name.get(name, 37)}m{label}\x1b[0m"
            return f"{stamp} {label} \x1b[{code or 0}m{message}\x1b[0m"
        return f"{stamp} {label} {level.upper() + ': ' if code and level != 'debug' else ''}{message}"

    def _structured(self, name: str, fields: dict[str, Any]) -> list[str]:
        event = str(fields["event"])
        if fields.get("level") == "info" and _NOISE.search(event):
            return []
        message = event.replace("_", " ") if " " not in event else event
        extras = " ".join(f"{k}={_value(v)}" for k, v in fields.items() if k not in _HIDDEN_FIELDS and v is not None)
        at = None
        with contextlib.suppress(ValueError):
            at = datetime.fromisoformat(str(fields.get("timestamp"))).astimezone()
        shown = [self.say(name, f"{message}  {extras}".rstrip(), str(fields.get("level", "info")), at)]
        trace = str(fields.get("exception") or "").splitlines()
        return shown + [self.say(name, "  " + part, "error", at) for part in trace[-12:]]


def box(lines: list[str], colour: bool) -> list[str]:
    """The lines in a frame."""
    width = max(len(line) for line in lines)
    top, end = "╭" + "─" * (width + 4) + "╮", "╰" + "─" * (width + 4) + "╯"
    framed = [top, *(f"│  {line:<{width}}  │" for line in lines), end]
    return [f"\x1b[1;32m{line}\x1b[0m" for line in framed] if colour else framed
