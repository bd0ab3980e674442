"""`ops status`: what runs, and is it well?"""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from app.commands.output import as_json, fields, json_option, table

if TYPE_CHECKING:
    from core.runtime.system.queries import ProcessHealth, SystemHealth

IDLE_LIMIT_MB = 1200


@click.command()
@json_option
def status(as_json_: bool) -> None:
    """What runs, and is it well? Exits with 0 only when everything is."""
    from core.runtime.system.queries import read_health

    found = read_health()
    if as_json_:
        as_json(_plain(found))
    else:
        _show(found)
    sys.exit(0 if found.healthy else 1)


def _plain(found: "SystemHealth") -> dict[str, object]:
    """The JSON document: sizes in MB, ages in seconds."""
    data = asdict(found)
    for process in data["processes"]:
        size = process.pop("memory") or {"rss_mb": None, "pss_mb": None}
        process.update(size)
    data["memory"]["limit_idle_mb"] = IDLE_LIMIT_MB
    return {"healthy": found.healthy, **data}


def _ago(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def _for(process: "ProcessHealth") -> str:
    if process.since is None:
        return "–"
    return _ago((datetime.now(UTC) - process.since).total_seconds()).removesuffix(" ago")


def _show(found: "SystemHealth") -> None:
    from core.runtime.system.queries import WORDS

    rows = [
        (
            p.name,
            WORDS[p.state].split(":")[0],
            _for(p),
            p.restarts if p.restarts else "–",
            _ago(p.heartbeat_age_s),
            p.pid or "–",
            f"{p.memory.rss_mb:.0f} MB" if p.memory else "–",
        )
        for p in found.processes
    ]
    table(("process", "state", "for", "restarts", "last sign of life", "pid", "memory"), rows, empty="No process runs.")
    click.echo()
    database, redis = found.database, found.redis
    shared = f", {found.memory.pss_mb:.0f} MB with shared pages counted once" if found.memory.pss_mb is not None else ""
    values = {
        "Dashboard": found.url,
        "Database": f"PostgreSQL {database.version}, {database.size_mb:.0f} MB, schema {database.migration}"
        if database.ok
        else "does not answer",
        "Redis": f"{redis.version}, {redis.memory_mb:.0f} MB, waiting: " + ", ".join(f"{q} {n}" for q, n in redis.queues.items())
        if redis.ok
        else "does not answer",
        "Waiting run": f"the oldest waits for {found.oldest_runnable_run_s:.0f} s" if found.oldest_runnable_run_s else "none",
        "Memory": f"{found.memory.rss_mb:.0f} MB resident{shared}",
    }
    fields(values)
    click.echo()
    for problem in found.problems:
        click.secho(f"Problem: {problem}", fg="red")
    if found.healthy:
        click.secho("All well.", fg="green")
