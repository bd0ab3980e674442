"""Is the process alive, and could it do its work?"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late

from pydantic import BaseModel, Field
from redis.exceptions import RedisError

from core.errors import OpsError
from core.kit import db, redis, schema
from core.kit.db import STAFF

CHECK_S = 3.0


class Check(BaseModel):
    """One thing the gateway needs."""

    ok: bool
    detail: str = Field(description="One sentence when it is not well.", examples=["Redis does not answer."])


class Readiness(BaseModel):
    """Whether the gateway can do its work now."""

    ready: bool
    checks: dict[str, Check]


def _database() -> str:
    with db.transaction(STAFF) as session:
        schema.ping(session)
    return ""


def _migrations() -> str:
    with db.transaction(STAFF) as session:
        found = schema.revision(session)
    if found != schema.wanted():
        return f"The database has schema {found or 'none'}, this version needs {schema.wanted()}: run `ops migrate`."
    return ""


def _redis() -> str:
    redis.client().ping()
    return ""


CHECKS: dict[str, tuple[Callable[[], str], str]] = {
    "database": (_database, "The database does not answer."),
    "redis": (_redis, "Redis does not answer; work still gets done, only later."),
    "migrations": (_migrations, "The schema of the database could not be read."),
}

_pool = ThreadPoolExecutor(max_workers=6, thread_name_prefix="readiness")


def _run(name: str) -> Check:
    check, sentence = CHECKS[name]
    try:
        said = check()
    except (OpsError, RedisError, OSError):
        return Check(ok=False, detail=sentence)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not ready, and its inside is nobody's business
        from core.kit import log

        log.get("gateway").warning("readiness check failed", check=name, reason=f"{type(error).__name__}: {error}"[:200])
        return Check(ok=False, detail=sentence)
    return Check(ok=not said, detail=said or "ok")


def readiness() -> Readiness:
    """Look at everything at once, within CHECK_S seconds."""
    asked = {name: _pool.submit(_run, name) for name in CHECKS}
    checks: dict[str, Check] = {}
    for name, answer in asked.items():
        try:
            checks[name] = answer.result(timeout=CHECK_S)
        except Late:
            checks[name] = Check(ok=False, detail=f"No answer within {CHECK_S:g} seconds.")
    return Readiness(ready=all(c.ok for c in checks.values()), checks=checks)
