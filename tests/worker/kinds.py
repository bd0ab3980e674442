"""Kinds of run that do what a bad one does, and `python -m tests.worker.kinds QUEUE N`: a real worker that knows them."""

import ctypes
import os
import signal
import sys
import time

from sqlalchemy import insert

from core.kit import db
from core.kit.db import STAFF
from core.runtime.runs import handlers
from core.runtime.runs.handlers import Handler
from core.runtime.runs.models import RunLog


def _mark(ctx, word):
    """A line that is there whatever becomes of the attempt: its own transaction, unfenced."""
    with db.transaction(STAFF) as session:
        session.execute(
            insert(RunLog).values(
                org_id=ctx.org_id, run_id=ctx.run_id, level="info", message=f"{word} {ctx.held.attempt} {os.getpid()}"
            )
        )


def begun(ctx):
    _mark(ctx, "begun")


def pid(ctx):
    _mark(ctx, "begun")
    return {"pid": os.getpid(), "parent": os.getppid()}


def crash(ctx):
    """Die by the signal in the payload, on the attempts in the payload (all when there are none)."""
    _mark(ctx, "begun")
    if ctx.held.attempt in ctx.payload.get("attempts", [ctx.held.attempt]):
        os.kill(os.getpid(), ctx.payload.get("signal", signal.SIGSEGV))
        time.sleep(30)
    return {"attempt": ctx.held.attempt}


def sleep(ctx):
    """Sleep without looking up: only an interrupt ends it."""
    _mark(ctx, "begun")
    time.sleep(ctx.payload.get("seconds", 30))
    return {}


def deaf(ctx):
    """Stuck in C code that keeps the interpreter's lock: no signal handler of Python's runs."""
    _mark(ctx, "begun")
    ctypes.PyDLL(None).sleep(30)
    return {}


def grandchild(ctx):
    """Leaves a process behind that holds everything it inherited, and dies."""
    _mark(ctx, "begun")
    if os.fork() == 0:
        time.sleep(20)
        os._exit(0)
    return {"left": True}


def row(ctx):
    """Two effects: one outside of any fence, one in a step, with the payload's milliseconds between them."""
    _mark(ctx, "begun")
    time.sleep(ctx.payload.get("ms", 50) / 1000)
    ctx.step("done", lambda session: session.execute(
        insert(RunLog).values(org_id=ctx.org_id, run_id=ctx.run_id, level="info", message="done")).rowcount)  # fmt: skip
    return {}


def register():
    """Make them known in this process."""
    for fn in (begun, pid, crash, sleep, deaf, grandchild, row):
        handlers.register(Handler(f"test.{fn.__name__}", fn, timeout_s=30))
    handlers.register(Handler("test.short", sleep, timeout_s=1))
    handlers.register(Handler("test.deaf_short", deaf, timeout_s=1))
    handlers.register(Handler("test.pid_inline", pid, timeout_s=30, inline=True))
    handlers.register(Handler("test.crash_inline", crash, timeout_s=30, inline=True))
    handlers.register(Handler("test.sleep_inline", sleep, timeout_s=30, inline=True))


if __name__ == "__main__":
    register()
    from worker.main import main

    sys.exit(main())
