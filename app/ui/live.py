"""Live parts of a page: a fragment that is rerun when the ledger changed, and not on a timer.

    live.watch("runs", body)        # body() draws what changes, and live.pulse("runs") where it says how fresh it is

The browser asks /live (some 60 bytes) every second or two and reruns the fragment only when the answer is new. Put a
pulse into a dialog with `live.pulse`: it reruns the dialog.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from threading import Lock

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.ui import assets, page
from app.ui.who import me
from core.errors import OpsError
from core.kit import db
from core.kit.db import STAFF
from core.runtime.runs import change
from core.runtime.runs.change import Mark
from core.runtime.switches.env import env_stop

_KEEP_S = 0.25
_lock = Lock()
_kept: tuple[float, Mark] | None = None


def now() -> Mark:
    """The ledger's mark, asked from the database at most twice a second per process."""
    global _kept
    with _lock:
        if _kept is None or time.monotonic() - _kept[0] > _KEEP_S:
            with db.transaction(STAFF) as session:
                mark = change.mark(session)
            # the environment's kill switch leaves no trace in the ledger, and must show all the same
            _kept = (time.monotonic(), replace(mark, version=f"{mark.version}!") if env_stop() else mark)
        return _kept[1]


def forget() -> None:
    """Ask the database at the next question."""
    global _kept
    _kept = None


def pulse(key: str) -> None:
    """The freshness line. It reruns the fragment it stands in when something changed."""
    mark = now()
    assets.renderer("pulse")(key=f"pulse_{key}", data={"v": mark.version, "active": mark.active}, on_beat_change=lambda: None)


def watch(key: str, body: Callable[[], None]) -> None:
    """Draw `body` in a fragment that follows the ledger; it calls `pulse` where the freshness line belongs.

    Who may see it is asked again at each rerun.
    """

    @st.fragment(key=f"live_{key}")
    def part() -> None:
        me()
        page.toasts(f"live_{key}")
        body()

    part()


async def answer(_request: Request) -> JSONResponse:
    """GET /live: {"v": version, "n": active}. The session gate stands before it."""
    try:
        mark = await run_in_threadpool(now)
    except OpsError:
        return JSONResponse({"error": "The database does not answer."}, status_code=503)
    return JSONResponse({"v": mark.version, "n": mark.active}, headers={"cache-control": "no-store"})


routes = [Route("/live", answer)]
"""For app/server.py."""
