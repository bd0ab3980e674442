"""ManageAI Ops as one system of a harness that measures job systems side by side (see docs/benchmarks.md).

The harness gives PostgreSQL (BENCH_URL) and the jobs; this starts a Valkey of its own beside it, two workers of one queue
and the clock, all with default settings. `noop` and `row` run in the worker's process, as short handlers do; `nap` forks.
"""

import os
import pathlib
import sys

import jobs  # the harness's: the same functions for every system

import core

ROOT = pathlib.Path(core.__file__).parents[1]
STORE = "postgres"
QUEUE = "background"
LOOK_UP = os.environ.get("BENCH_OPS_LOOK_UP") == "1"


def _happened(jid: object) -> bool:
    """Whether `row` had its last effect: what is asked before an outward effect is tried a second time."""
    import psycopg

    with psycopg.connect(os.environ["BENCH_SINK"]) as sink:
        return sink.execute("SELECT 1 FROM effect WHERE jid = %s AND kind = 'done'", (str(jid),)).fetchone() is not None


def _register() -> None:
    from core.runtime.runs import handlers
    from core.runtime.runs.context import RunContext
    from core.runtime.runs.handlers import Handler

    def row(ctx: RunContext) -> None:
        if not (LOOK_UP and ctx.held.attempt > 1 and _happened(*ctx.payload["args"])):
            jobs.row(*ctx.payload["args"])

    # 50 ms is as short as a reaction: it runs in the worker's process, too
    handlers.register(Handler("bench.noop", lambda ctx: jobs.noop(*ctx.payload["args"]), timeout_s=60, inline=True))
    handlers.register(Handler("bench.row", row, timeout_s=60, inline=True))
    handlers.register(Handler("bench.nap", lambda ctx: jobs.nap(*ctx.payload["args"]), timeout_s=600))


def prepare() -> None:
    """Tables, Valkey, and the settings the workers inherit."""
    from alembic import command
    from alembic.config import Config

    from core.config import get_settings
    from core.kit.embedded import Valkey

    config = Config(str(ROOT / "alembic.ini"))
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["url"] = os.environ["BENCH_URL"]
    command.upgrade(config, "head")
    folder = pathlib.Path(os.environ["BENCH_LOG"]).parent / "valkey"
    prepare.valkey = Valkey(folder)  # type: ignore[attr-defined]
    prepare.valkey.start()  # type: ignore[attr-defined]
    os.environ.update(DATABASE_URL=os.environ["BENCH_URL"], REDIS_URL=prepare.valkey.url, OPS_LOG_LEVEL="WARNING")  # type: ignore[attr-defined]
    get_settings.cache_clear()
    _register()


def enqueue(name: str, *args: object) -> None:
    """One run; durable when it returns."""
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.runs import service

    with db.transaction(STAFF) as session:
        service.enqueue(session, f"bench.{name}", name, payload={"args": args})


def worker_cmds(n: int, native: bool) -> list[list[str]]:
    """n workers, and the clock, which takes back what a dead one held."""
    return [[sys.executable, __file__, QUEUE, str(i + 1)] for i in range(n)] + [[sys.executable, "-m", "worker.clock"]]


def status() -> dict[str, int]:
    """Runs by state."""
    import psycopg

    with psycopg.connect(os.environ["BENCH_URL"]) as connection:
        return dict(connection.execute("SELECT state, count(*) FROM runs GROUP BY 1").fetchall())


if __name__ == "__main__":
    _register()
    from worker.main import main

    sys.exit(main())
