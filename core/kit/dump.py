"""Backup and restore of the whole database with PostgreSQL's own tools: complete, consistent, all or nothing."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from core.errors import BadInput, Conflict, OpsError, Unavailable
from core.kit import reach, schema
from core.kit.embedded.postgres import binaries
from core.kit.embedded.process import die_with_parent
from core.kit.roles import APP_ROLE

Progress = Callable[[str, float], None]
"""Called with a table's name and the share done, 0 to 1."""

_DUMPING = re.compile(r'dumping contents of table "?(?:public\.)?([^"\s]+)')
_RESTORING = re.compile(r'processing data for table "?(?:public\.)?([^"\s]+)')
# it holds for the tools' sessions: our policies then show and take every organisation's rows
_SEE_ALL = "-c app.scope=staff"


def backup(url: str, file: Path, *, force: bool, progress: Progress) -> int:
    """Write a backup of the database at `url` (its owner's address) to `file`. Returns its size in bytes.

    It is written beside `file` under another name and takes its place when it is whole. Raises Conflict when
    `file` is there and not `force`, OpsError with what went wrong; then nothing is left behind.
    """
    if file.is_dir():
        raise BadInput(f"{file} is a folder.", "Name a file, e.g. ops.backup.")
    if file.exists() and not force:
        raise Conflict(f"{file} is already there.", "Choose another name, or add --force to replace it.")
    with reach.connect(url) as connection:
        if schema.current(connection) is None:
            raise Conflict("The database is empty, so there is nothing to back up.", "Start the app once with `make run`.")
        sizes = _table_sizes(connection)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=file.parent)
    except OSError as error:
        raise OpsError(f"{file.parent} can't be written ({(error.strerror or '').lower()}).", "Choose another folder.") from None
    os.close(handle)
    part = Path(name)
    try:
        # by row security on, an owner that is no superuser can dump its own protected tables
        argv = [_tool("pg_dump"), "--format=custom", "--no-owner", "--enable-row-security", "--verbose", f"--file={part}"]
        _run([*argv, f"--dbname={_without_password(url)}"], url, _DUMPING, sizes, progress)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        if file.exists() and not force:
            raise Conflict(f"{file} appeared in the meantime.", "Choose another name, or add --force to replace it.")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return file.stat().st_size


def restore(url: str, file: Path, *, force: bool, progress: Progress) -> str:
    """Put the backup `file` into the database at `url`, in one transaction. Returns the revision it ends at.

    Raises BadInput when the file is no backup or of a newer version, Conflict when the database holds rows and not
    `force`; the database is then as it was.
    """
    tables = _tables_in(file)
    revision = _revision_in(file)
    if revision not in schema.known():
        raise BadInput(
            f"{file} was made by another version of the app (its schema is {revision}; the newest here is {schema.head()}).",
            "Restore it with that version, or update the app.",
        )
    with reach.connect(url, autocommit=True) as connection:
        if not force and _has_rows(connection):
            raise Conflict("The database is not empty.", "Restore into an empty one, or add --force to replace everything in it.")
        _ensure_app_role(connection)
    with tempfile.TemporaryFile() as script:
        _write_script(file, script, tables, progress)
        script.seek(0)
        argv = [
            _tool("psql"),
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "--single-transaction",
            "-f",
            "-",
            "-d",
            _without_password(url),
        ]
        done = subprocess.run(
            argv, stdin=script, env=_env(url), capture_output=True, text=True, errors="replace", preexec_fn=die_with_parent
        )
    if done.returncode != 0:
        raise Unavailable(
            f"The backup could not be restored, and nothing was changed: {_last(done.stderr)}", "Mend the cause and try again."
        )
    schema.upgrade(url)
    progress("", 1.0)
    return schema.head()


def _tool(name: str) -> str:
    with suppress(OpsError):
        beside = binaries() / name
        if beside.exists():
            return str(beside)
    found = shutil.which(name)
    if found is None:
        raise OpsError(f"{name} is not installed.", "Install PostgreSQL's client programs (postgresql-client).")
    return found


def _without_password(url: str) -> str:
    # everybody can read a command line: the password goes into the environment
    parts = {k: str(v) for k, v in conninfo_to_dict(_libpq(url)).items() if k != "password"}
    return make_conninfo("", **parts)


def _env(url: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PG") and not k.endswith("DATABASE_URL")}
    password = conninfo_to_dict(_libpq(url)).get("password")
    return {**kept, "PGOPTIONS": _SEE_ALL, "PGPASSWORD": str(password or ""), "LC_ALL": "C"}


def _libpq(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def _run(argv: list[str], url: str, line: re.Pattern[str], weights: Mapping[str, int], progress: Progress) -> None:
    """Run a tool and follow its verbose lines. Raises Unavailable with its last words when it fails."""
    whole, done, last, said = sum(weights.values()) or 1, 0, "", ""
    process = subprocess.Popen(
        argv, env=_env(url), stderr=subprocess.PIPE, text=True, errors="replace", preexec_fn=die_with_parent
    )
    try:
        for text in process.stderr or ():
            if "error:" in text or "ERROR:" in text:
                said += text
            found = line.search(text)
            if found:
                done += weights.get(last, 0)
                last = found[1]
                progress(last, min(0.99, done / whole))
        if process.wait() != 0:
            raise Unavailable(f"{Path(argv[0]).name} failed: {_last(said)}", "No file was written.")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stderr:
            process.stderr.close()
    progress(last, 1.0)


def _last(text: str) -> str:
    lines = [part.strip() for part in text.splitlines() if part.strip()]
    told = [part for part in lines if "ERROR" in part or "error:" in part] or lines
    return told[0][:300] if told else "it said nothing"


def _table_sizes(connection: "psycopg.Connection[tuple[object, ...]]") -> dict[str, int]:
    rows = connection.execute(
        "SELECT relname, pg_table_size(oid) + 8192 FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    ).fetchall()
    return {str(name): int(str(size)) for name, size in rows}


def _listed(file: Path, *options: str) -> str:
    try:
        with file.open("rb") as opened:
            opened.read(1)
    except OSError as error:
        raise BadInput(f"{file} can't be read ({(error.strerror or '').lower()}).", "Check the name.") from None
    done = subprocess.run([_tool("pg_restore"), *options, str(file)], capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise BadInput(
            f"{file} is not a backup, or it is damaged: {_last(done.stderr)}", "Choose a file that `ops backup` wrote."
        )
    return done.stdout


def _tables_in(file: Path) -> list[str]:
    tables = re.findall(r"TABLE DATA public (\S+)", _listed(file, "--list"))
    if "alembic_version" not in tables:
        raise BadInput(f"{file} is not a backup of ManageAI Ops.", "Choose a file that `ops backup` wrote.")
    return tables


def _revision_in(file: Path) -> str:
    data = _listed(file, "--data-only", "--table=alembic_version", "--file=-")
    found = re.search(r"^COPY public\.alembic_version .*\n(\w+)$", data, re.MULTILINE)
    if not found:
        raise BadInput(f"{file} is damaged: its schema revision is missing.", "Choose another backup.")
    return found[1]


def _has_rows(connection: "psycopg.Connection[tuple[object, ...]]") -> bool:
    """Whether anything but what a first migration writes is there."""
    connection.execute("SELECT set_config('app.scope', 'staff', false)")
    own = {"alembic_version": 1, "organisations": 1, "heartbeats": 10_000}
    for name in _table_sizes(connection):
        counted = sql.SQL("SELECT count(*) FROM (SELECT FROM public.{} LIMIT %s) AS t").format(sql.Identifier(name))
        row = connection.execute(counted, (own.get(name, 0) + 1,)).fetchone()
        if row and int(str(row[0])) > own.get(name, 0):
            return True
    return False


def _ensure_app_role(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    role = sql.Identifier(APP_ROLE)
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (APP_ROLE,)).fetchone():
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN NOSUPERUSER NOBYPASSRLS").format(role))
    if connection.execute("SELECT pg_has_role(current_user, %s, 'MEMBER')", (APP_ROLE,)).fetchone() != (True,):
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))


_WIPE = b"""
DO $$ DECLARE it record; BEGIN
    FOR it IN SELECT c.oid::regclass AS name, c.relkind AS kind FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    LOOP
        IF to_regclass(it.name::text) IS NOT NULL THEN
            EXECUTE format('DROP %s IF EXISTS %s CASCADE',
                CASE it.kind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, it.name);
        END IF;
    END LOOP;
    FOR it IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('DROP ROUTINE IF EXISTS %s CASCADE', it.name);
    END LOOP;
END $$;
"""


def _write_script(file: Path, script: IO[bytes], tables: list[str], progress: Progress) -> None:
    """The whole restore as one SQL script: empty the schema, then everything of the backup, its grants too."""
    script.write(_WIPE)
    script.flush()
    argv = [_tool("pg_restore"), "--no-owner", "--verbose", "--file=-", str(file)]
    process = subprocess.Popen(
        argv, stdout=script, stderr=subprocess.PIPE, text=True, errors="replace", preexec_fn=die_with_parent
    )
    done, errors = 0, ""
    for text in process.stderr or ():
        if "error:" in text:
            errors += text
        found = _RESTORING.search(text)
        if found:
            done += 1
            progress(found[1], 0.9 * done / max(1, len(tables)))
    if process.stderr:
        process.stderr.close()
    if process.wait() != 0:
        raise BadInput(f"{file} is damaged: {_last(errors)}", "Choose another backup; nothing was changed.")
