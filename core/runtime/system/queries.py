"""The health of the installation in one read. Times are UTC, ages seconds by the database's clock, sizes megabytes."""

import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from core.config import get_settings, running_app
from core.errors import OpsError, Unavailable
from core.kit import redis, schema
from core.runtime.runs import wake
from core.runtime.runs.heartbeats import Beat, beats
from core.runtime.runs.models import Queue
from core.runtime.runs.queries import oldest_runnable_s
from core.runtime.system import memory
from core.runtime.system.memory import Memory

SILENT_AFTER_S = 30.0
WAITS_TOO_LONG_S = 60.0
_FORGOTTEN_AFTER_S = 3600.0
SUPERVISOR = "ops up"
_BEATING = ("worker-", "clock", "watchdog")
_NEEDED = ("clock", "watchdog", "worker")


@dataclass(frozen=True, slots=True)
class ProcessHealth:
    """`state` is running, starting, restarting, stopped or silent (it lives but gives no sign of life).

    `restarts` and `since` are None for a process that no `ops up` on this machine watches.
    """

    name: str
    pid: int | None
    state: str
    since: datetime | None
    restarts: int | None
    heartbeat_age_s: float | None
    host: str | None
    memory: Memory | None


@dataclass(frozen=True, slots=True)
class DatabaseHealth:
    """`migration` is the schema's revision; `error` a sentence when `ok` is False."""

    ok: bool
    version: str | None = None
    size_mb: float | None = None
    migration: str | None = None
    at_head: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RedisHealth:
    """`queues`: messages that wait in each RQ queue."""

    ok: bool
    version: str | None = None
    queues: dict[str, int] = field(default_factory=dict)
    memory_mb: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SystemHealth:
    """Everything at once. `problems` are sentences for people; the installation is healthy when there are none."""

    url: str | None
    started_at: datetime | None
    processes: tuple[ProcessHealth, ...]
    database: DatabaseHealth
    redis: RedisHealth
    clock_heartbeat_age_s: float | None
    watchdog_heartbeat_age_s: float | None
    oldest_runnable_run_s: float | None
    memory: Memory
    problems: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing needs a person."""
        return not self.problems


def health(session: Session | None, error: str | None = None) -> SystemHealth:
    """How everything is. Without a session (the database is away; `error` says why) the rest is still told."""
    app = running_app(get_settings())
    found = beats(session) if session else []
    database = _database(session) if session else DatabaseHealth(False, error=error)
    cache = redis_health()
    processes = _processes(app, found)
    ages = {b.process: b.age_s for b in found}
    oldest = oldest_runnable_s(session) if session and database.at_head else None
    return SystemHealth(
        url=app.get("url"),
        started_at=_instant(app.get("started_at")),
        processes=processes,
        database=database,
        redis=cache,
        clock_heartbeat_age_s=ages.get("clock"),
        watchdog_heartbeat_age_s=ages.get("watchdog"),
        oldest_runnable_run_s=oldest,
        memory=memory.total(p.memory for p in processes if p.memory),
        problems=tuple(_problems(processes, database, cache, oldest)),
    )


def _processes(app: dict[str, Any], found: list[Beat]) -> tuple[ProcessHealth, ...]:
    here = socket.gethostname()
    watched = app.get("processes", [])
    others = [b for b in found if b.process not in {p["name"] for p in watched} and b.age_s < _FORGOTTEN_AFTER_S]
    if watched:  # what an earlier start with more workers left in the table is no process
        others = [b for b in others if b.host != here]
    pids = {p["name"]: p["pid"] for p in watched if p["pid"]} | {b.process: b.pid for b in others if b.host == here}
    if app:
        pids[SUPERVISOR] = app["pid"]
    sizes = memory.of_trees(pids)
    rows = []
    if app:
        rows.append(
            ProcessHealth(
                SUPERVISOR, app["pid"], "running", _instant(app.get("started_at")), 0, None, here, sizes.get(SUPERVISOR)
            )
        )
    by_name = {b.process: b for b in found}
    for p in watched:
        age = by_name[p["name"]].age_s if p["name"] in by_name else None
        rows.append(
            ProcessHealth(
                p["name"], p["pid"], _state(p["name"], p["state"], age), _instant(p["since"]), p["restarts"], age, here,
                sizes.get(p["name"]),
            )
        )  # fmt: skip
    for b in others:
        state = "running" if b.age_s < SILENT_AFTER_S else "silent"
        rows.append(ProcessHealth(b.process, b.pid, state, None, None, b.age_s, b.host, sizes.get(b.process)))
    return tuple(rows)


def _state(name: str, told: str, age: float | None) -> str:
    if told == "running" and name.startswith(_BEATING) and (age is None or age > SILENT_AFTER_S):
        return "silent"
    return told


def _instant(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _database(session: Session) -> DatabaseHealth:
    version, size = session.execute(text("SELECT current_setting('server_version'), pg_database_size(current_database())")).one()
    try:
        with session.begin_nested():
            migration = schema.revision(session)
    except DBAPIError:
        migration = None  # a schema from before its revision was readable to the app: not at head
    return DatabaseHealth(True, str(version).split()[0], round(size / 1048576, 1), migration, migration == schema.head())


def redis_health() -> RedisHealth:
    """Redis or Valkey: version, memory, how much waits."""
    try:
        info: Any = redis.client().info()
        depths = wake.depths([q.value for q in Queue])
    except Unavailable as error:
        return RedisHealth(False, error=str(error))
    except (RedisError, OSError, ValueError) as error:
        return RedisHealth(False, error=f"Redis does not answer ({type(error).__name__}).")
    version = info.get("valkey_version") or info.get("redis_version")
    return RedisHealth(True, str(version), depths, round(info["used_memory"] / 1048576, 1))


def _problems(
    processes: tuple[ProcessHealth, ...], database: DatabaseHealth, cache: RedisHealth, oldest: float | None
) -> list[str]:
    said = []
    if not database.ok:
        said.append(database.error or "The database does not answer.")
    elif not database.at_head:
        said.append(f"The schema is at {database.migration or 'nothing'}, not at {schema.head()}: run `ops migrate`.")
    if not cache.ok:
        said.append(f"{cache.error} Runs still go out, through the clock, but later.")
    said += [f"{p.name} is {WORDS[p.state]}." for p in processes if p.state != "running"]
    if database.ok:
        kinds = {p.name.split("-")[0] for p in processes}
        said += [f"No {kind} runs: start one with `ops up`." for kind in _NEEDED if kind not in kinds]
    if oldest is not None and oldest > WAITS_TOO_LONG_S:
        said.append(f"A run has been waiting for a worker for {oldest:.0f} s.")
    return said


WORDS = {
    "running": "running",
    "starting": "still starting",
    "restarting": "being started again after it ended",
    "stopped": "stopped",
    "silent": "running but silent: it gives no sign of life",
}
"""States for people."""


def read_health() -> SystemHealth:
    """`health` in a transaction of its own, also when the database is away."""
    from core.kit import db
    from core.kit.db import STAFF

    try:
        with db.transaction(STAFF) as session:
            return health(session)
    except OpsError as error:
        return health(None, str(error))
    except DBAPIError as error:
        return health(None, f"The database does not answer: {str(error.orig).strip().splitlines()[0]}.")
