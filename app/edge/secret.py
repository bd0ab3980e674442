"""The web process's own secret: it signs cookies that hold no right by themselves. Kept in the state folder."""

import os
import secrets
from functools import lru_cache
from pathlib import Path

from core.config import get_settings

FILE = "web-secret"


@lru_cache(maxsize=1)
def web_secret() -> str:
    """64 hex digits, made at the first start and the same ever after (mode 0600)."""
    folder = get_settings().state_dir
    path = folder / FILE
    known = _read(path)
    if known:
        return known
    folder.mkdir(parents=True, exist_ok=True)
    made = secrets.token_hex(32)
    draft = folder / f"{FILE}.{os.getpid()}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(made)
    try:
        os.link(draft, path)  # fails when another process was first: then its secret holds
    except FileExistsError:
        made = _read(path) or made
    finally:
        draft.unlink(missing_ok=True)
    return made


def _read(path: Path) -> str | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return text if len(text) == 64 else None
