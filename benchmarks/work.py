"""The work of the benchmarks, and `python -m benchmarks.work QUEUE N` (our worker) or `... --bare QUEUE` (RQ's own)."""

import os
import sys
import time
from typing import Any

from core.runtime.runs import handlers
from core.runtime.runs.context import RunContext
from core.runtime.runs.handlers import Handler


def mark(word: str, key: str) -> None:
    """Append one event line atomically; the monotonic clock is shared by all processes."""
    handle = os.open(os.environ["BENCH_EVENTS"], os.O_WRONLY | os.O_APPEND)
    os.write(handle, f"{word} {key} {time.monotonic():.6f} {os.getpid()}\n".encode())
    os.close(handle)


def noop(ctx: RunContext) -> dict[str, Any]:
    """Say that it runs."""
    mark("run", str(ctx.payload.get("key", ctx.held.name)))
    return {}


def nap(ctx: RunContext) -> dict[str, Any]:
    """Say that it runs, sleep for the payload's seconds, say that it ended."""
    mark("run", str(ctx.payload["key"]))
    time.sleep(ctx.payload["seconds"])
    mark("end", str(ctx.payload["key"]))
    return {}


def row(ctx: RunContext) -> dict[str, Any]:
    """Two effects 50 ms apart, as rows of a sink table: the first unfenced, the second in a step of the run."""
    from sqlalchemy import text

    from core.kit import db

    insert = text("INSERT INTO bench_sink (run_id, kind) VALUES (:run_id, :kind)")
    with db.transaction(ctx.held.scope) as session:
        session.execute(insert, {"run_id": ctx.run_id, "kind": "begun"})
    time.sleep(0.05)
    ctx.step("done", lambda s: s.execute(insert, {"run_id": ctx.run_id, "kind": "done"}).rowcount)  # type: ignore[attr-defined]
    return {}


def bare(key: str) -> None:
    """What RQ's own worker calls."""
    mark("run", key)


def register() -> None:
    """Make the kinds known in this process."""
    for kind, fn, inline in (
        ("bench.noop", noop, False),
        ("bench.noop_inline", noop, True),
        ("bench.nap", nap, False),
        ("bench.row", row, False),
        ("bench.row_inline", row, True),
    ):
        handlers.register(Handler(kind, fn, timeout_s=120, inline=inline))


def bare_worker(queue: str) -> None:
    """RQ's forking worker with RQ's settings, the JSON serializer, and our worker's imports."""
    from rq import Worker
    from rq.serializers import JSONSerializer

    from core.kit import redis
    from worker.main import _preload

    _preload()
    Worker([queue], connection=redis.client(None), serializer=JSONSerializer).work(logging_level="WARNING")


if __name__ == "__main__":
    # under its real name, so that what it registers is what others import
    from benchmarks import work

    if sys.argv[1] == "--bare":
        work.bare_worker(sys.argv[2])
        sys.exit(0)
    from worker.main import main

    work.register()
    sys.exit(main())
