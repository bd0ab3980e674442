"""Runs that test the ledger itself: nothing to do, or a nap of some seconds. Used by `ops doctor`, tests and benchmarks."""

import time
from typing import Any

from core.runtime.runs import handlers
from core.runtime.runs.context import RunContext
from core.runtime.runs.handlers import Handler
from core.runtime.runs.models import Queue

NOOP = "probe.noop"
NAP = "probe.nap"


def noop(_ctx: RunContext) -> dict[str, Any]:
    """Do nothing."""
    return {}


def nap(ctx: RunContext) -> dict[str, Any]:
    """Sleep for payload["seconds"], in small pieces so that it can be cancelled."""
    seconds = float(ctx.payload.get("seconds", 1))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ctx.check()
        time.sleep(min(0.1, max(0.0, end - time.monotonic())))
    return {"slept_s": seconds}


handlers.register(Handler(NOOP, noop, Queue.BACKGROUND, timeout_s=30, inline=True))
handlers.register(Handler(NAP, nap, Queue.BACKGROUND, timeout_s=120))
