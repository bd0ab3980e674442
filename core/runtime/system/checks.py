"""The questions of `ops doctor`, each answered with a verdict, a sentence and a next step."""

import enum
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from core.config import get_settings, running_app
from core.errors import OpsError
from core.kit import clock, db, reach, schema
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.runs import probes
from core.runtime.runs import service as runs
from core.runtime.runs.models import RunState

OLDEST_PYTHON = (3, 11)
OLDEST_POSTGRES = 15
SKEW_WARNING_S, SKEW_PROBLEM_S = 2.0, 30.0
NOOP_WITHIN_S = 15.0
_LITTLE_SPACE_GB = 1.0


class Verdict(enum.StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One answer. `said` is a sentence, `next_step` is empty when there is nothing to do."""

    name: str
    verdict: Verdict
    said: str
    next_step: str = ""


def check_all(shared_tables: frozenset[str], on_answer: Callable[[Check], None] = lambda _check: None) -> list[Check]:
    """Ask everything, in an order in which the first problem is most likely the cause of the next."""
    answers: list[Check] = []

    def add(found: Iterable[Check]) -> bool:
        new = list(found)
        answers.extend(new)
        for one in new:
            on_answer(one)
        return all(one.verdict != Verdict.PROBLEM for one in new)

    add([python(), state_folder()])
    running = bool(running_app(get_settings()))
    stores = add([database()]) and add(in_database(shared_tables))
    stores = add([redis()]) and stores
    add([ports(running=running), model_key()])
    if stores:
        add(of_connections())
    if stores:
        add([noop(running=running)])
    return answers


def python() -> Check:
    """Is it new enough?"""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return Check("Python", Verdict.PROBLEM, f"Python {version} is too old.", "Install Python 3.11 or newer.")
    return Check("Python", Verdict.OK, f"Python {version}.")


def state_folder() -> Check:
    """Can it be written, and is there room?"""
    folder = get_settings().state_dir.resolve()
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    if not os.access(existing, os.W_OK | os.X_OK) or not existing.is_dir():
        return Check(
            "State folder", Verdict.PROBLEM, f"{folder} can't be written.", "Set OPS_STATE_DIR to a folder you may write."
        )
    free_gb = shutil.disk_usage(existing).free / 1e9
    if free_gb < _LITTLE_SPACE_GB:
        return Check(
            "State folder", Verdict.WARNING, f"Only {free_gb:.1f} GB are free for {folder}.", "Make room, or move OPS_STATE_DIR."
        )
    return Check("State folder", Verdict.OK, f"{folder} can be written; {free_gb:.0f} GB are free.")


def database() -> Check:
    """Does it answer, and is it new enough?"""
    url = get_settings().database_url
    if not url:
        return Check(
            "Database", Verdict.PROBLEM, "The app is not running, so there is no database to ask.", "Start it with `make run`."
        )
    try:
        with reach.connect(url) as connection:
            version = connection.info.server_version // 10000
    except OpsError as error:
        return Check("Database", Verdict.PROBLEM, error.message, error.next_step)
    if version < OLDEST_POSTGRES:
        return Check("Database", Verdict.PROBLEM, f"PostgreSQL {version} is too old.", "Use PostgreSQL 15 or newer.")
    return Check("Database", Verdict.OK, f"PostgreSQL {version} answers at {reach.where(url)}.")


def in_database(shared_tables: frozenset[str]) -> list[Check]:
    """What only the database can tell: role, schema, row-level security, clock. `shared_tables` carry no tenant's data."""
    try:
        with db.transaction(STAFF) as session:
            found = [app_role(session), migrations(session)]
            if found[-1].verdict == Verdict.OK:
                found.append(row_level_security(session, shared_tables))
            found.append(clock_skew(session))
            return found
    except OpsError as error:
        return [Check("Database role", Verdict.PROBLEM, error.message, error.next_step)]
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines()[0]
        return [
            Check(
                "Database role",
                Verdict.PROBLEM,
                f"The app can't work in this database: {said}.",
                "Run `ops migrate` as its owner.",
            )
        ]


_ROLE = text("""
    SELECT current_user AS name, session_user AS login, r.rolsuper, r.rolbypassrls, EXISTS (
        SELECT FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relowner = r.oid) AS owns
    FROM pg_roles r WHERE r.rolname = current_user
""")


def app_role(session: Session) -> Check:
    """Is the role the app works as held by row-level security?"""
    role = session.execute(_ROLE).one()
    wrong = [
        words
        for is_so, words in (
            (role.rolsuper, "is a superuser"),
            (role.rolbypassrls, "may bypass row-level security"),
            (role.owns, "owns tables"),
        )
        if is_so
    ]
    if wrong:
        return Check(
            "Database role",
            Verdict.PROBLEM,
            f"The app works as {role.name}, which {' and '.join(wrong)}: clients' data would not be kept apart.",
            f"Let it sign in as {db.APP_ROLE}.",
        )
    if role.login != role.name:
        return Check(
            "Database role",
            Verdict.WARNING,
            f"The app signs in as {role.login} and steps down to {role.name}.",
            f"Give {db.APP_ROLE} a password and use it in DATABASE_URL; keep {role.login} for DATABASE_ADMIN_URL.",
        )
    return Check("Database role", Verdict.OK, f"The app works as {role.name}, which owns nothing and bypasses nothing.")


def migrations(session: Session) -> Check:
    """Is the schema the one this code needs?"""
    has, needs = schema.revision(session), schema.head()
    if has == needs:
        return Check("Schema", Verdict.OK, f"The schema is at {has}, the newest.")
    if has is not None and has not in schema.known():
        return Check("Schema", Verdict.PROBLEM, f"The schema is at {has}, which this version does not know.", "Update the app.")
    return Check("Schema", Verdict.PROBLEM, f"The schema is at {has or 'nothing'}, not at {needs}.", "Run `ops migrate`.")


_UNPROTECTED = text("""
    SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        AND c.relname <> ALL (:shared) AND (NOT c.relrowsecurity OR NOT c.relforcerowsecurity
            OR NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))
    ORDER BY c.relname
""")


def row_level_security(session: Session, shared_tables: frozenset[str]) -> Check:
    """Is every tenant table under a forced policy?"""
    bare = session.execute(_UNPROTECTED, {"shared": sorted(shared_tables)}).scalars().all()
    if bare:
        return Check(
            "Row-level security",
            Verdict.PROBLEM,
            f"Tables without a forced policy: {', '.join(bare)}.",
            "Run `ops migrate`; if it stays, restore the policies before anybody signs in.",
        )
    return Check("Row-level security", Verdict.OK, "Every table with clients' data has a forced policy.")


def clock_skew(session: Session) -> Check:
    """Do this machine and the database agree on the time?"""
    began = time.monotonic()
    theirs = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    skew_s = abs((clock.now() - theirs).total_seconds() - (time.monotonic() - began) / 2)
    if skew_s < SKEW_WARNING_S:
        return Check("Clocks", Verdict.OK, f"This machine and the database differ by {skew_s * 1000:.0f} ms.")
    verdict = Verdict.PROBLEM if skew_s >= SKEW_PROBLEM_S else Verdict.WARNING
    return Check(
        "Clocks", verdict, f"This machine and the database differ by {skew_s:.0f} s.", "Switch on time synchronisation on both."
    )


def redis() -> Check:
    """Does it answer?"""
    url = get_settings().redis_url
    if not url:
        return Check(
            "Redis", Verdict.PROBLEM, "The app is not running, so there is no Redis to ask.", "Start it with `make run`."
        )
    try:
        return Check("Redis", Verdict.OK, f"Redis or Valkey {reach.check_redis(url)} answers.")
    except OpsError as error:
        return Check("Redis", Verdict.PROBLEM, error.message, error.next_step)


def ports(*, running: bool) -> Check:
    """Running: do dashboard and gateway answer? Not running: are their ports free?"""
    import socket

    settings = get_settings()
    host = "127.0.0.1" if settings.bind_host in ("0.0.0.0", "::") else settings.bind_host  # noqa: S104 - compared, not bound
    wrong = []
    for what, port, setting in (
        ("dashboard", settings.web_port, "OPS_WEB_PORT"),
        ("gateway", settings.gateway_port, "OPS_GATEWAY_PORT"),
    ):
        with socket.socket() as probe:
            probe.settimeout(2)
            answers = probe.connect_ex((host, port)) == 0
        if answers != running:
            wrong.append((what, port, setting))
    if not wrong:
        said = "Dashboard and gateway answer" if running else "The ports of dashboard and gateway are free"
        return Check("Ports", Verdict.OK, f"{said} ({settings.web_port} and {settings.gateway_port}).")
    what, port, setting = wrong[0]
    if running:
        return Check(
            "Ports", Verdict.PROBLEM, f"The {what} does not answer on port {port}.", "See its lines where `ops up` runs."
        )
    return Check(
        "Ports",
        Verdict.WARNING,
        f"Port {port} for the {what} is taken by another program.",
        f"`ops up` will take the next free one; or set {setting}.",
    )


def model_key() -> Check:
    """Who writes the prose?"""
    settings = get_settings()
    if settings.anthropic_api_key is None:
        return Check(
            "Model",
            Verdict.WARNING,
            "No ANTHROPIC_API_KEY is set: the template writes the prose.",
            "Set it if Claude should write.",
        )
    return Check("Model", Verdict.OK, f"{settings.model} writes the prose; at most ${settings.day_budget_usd:.0f} a day.")


def of_connections() -> list[Check]:
    """Keys of stored secrets, and each vendor: connected, or a dry run."""
    from core.runtime.connections import checks as connections  # it builds on this module

    try:
        with db.transaction(STAFF) as session:
            return connections.check_all(session)
    except OpsError as error:
        return [Check("Connections", Verdict.PROBLEM, error.message, error.next_step)]


def noop(*, running: bool) -> Check:
    """Does a run that does nothing go through a worker from end to end?"""
    began = time.monotonic()
    try:
        with db.transaction(STAFF) as session:
            run_id = runs.enqueue(session, probes.NOOP, "doctor's probe", by=Actor("ops doctor"), priority=1).run_id
        state = RunState.QUEUED
        while time.monotonic() - began < NOOP_WITHIN_S and state not in (RunState.SUCCEEDED, RunState.FAILED):
            time.sleep(0.02)
            with db.transaction(STAFF) as session:
                state = RunState(runs.get(session, run_id).state)
        if state == RunState.QUEUED:
            with db.transaction(STAFF) as session:
                runs.cancel(session, run_id, Actor("ops doctor"))
    except OpsError as error:
        return Check("A run, end to end", Verdict.PROBLEM, error.message, error.next_step)
    took = time.monotonic() - began
    if state == RunState.SUCCEEDED:
        return Check("A run, end to end", Verdict.OK, f"A run that does nothing went through in {took * 1000:.0f} ms.")
    step = f"See `ops runs show {run_id}` and `ops status`." if running else "Start the app with `make run`."
    said = "failed" if state == RunState.FAILED else f"was not done within {NOOP_WITHIN_S:.0f} s"
    return Check("A run, end to end", Verdict.PROBLEM, f"A run that does nothing {said}.", step)
