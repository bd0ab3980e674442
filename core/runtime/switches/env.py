"""The kill switch of whoever runs the server: OPS_KILL_SWITCH in the environment or in `.env`, read anew at each question.

The file counts too, since the environment of a process that runs can't be changed: a line in `.env` stops every process at once.
"""

import os
from pathlib import Path
from typing import Final

from core.config import Settings

SETTING: Final = "OPS_KILL_SWITCH"
REASON: Final = "OPS_KILL_SWITCH_REASON"
_OFF: Final = frozenset({"", "0", "false", "no", "off"})


def env_stop() -> str | None:
    """Why the environment stops everything, or None when it does not. Any value but 0, false, no and off stops.

    A `.env` that is there but can't be read stops everything too.
    """
    file = _from_file()
    if file is None:
        return "The file .env can't be read, so it may hold a stop."
    for where in (os.environ, file):
        if where.get(SETTING, "").strip().lower() not in _OFF:
            return where.get(REASON, "").strip() or f"{SETTING} is set on the server."
    return None


def _from_file() -> dict[str, str] | None:
    """What `.env` says of the switch; None when it can't be read. Never kept: a kept answer would miss a change."""
    try:
        data = Path(str(Settings.model_config.get("env_file") or ".env")).read_bytes()
    except FileNotFoundError:
        return {}
    except OSError:
        return None
    if b"kill_switch" not in data.lower():
        return {}
    found: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        name = name.strip().upper()
        if equals and name in (SETTING, REASON):
            found[name] = _unquoted(value)
    return found


def _unquoted(value: str) -> str:
    value = value.strip()
    if value[:1] in ("'", '"'):
        return value[1:].partition(value[0])[0]
    return value.split(" #", 1)[0].strip()
