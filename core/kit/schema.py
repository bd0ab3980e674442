"""The database's schema revision: which one it has, which one this code needs, and how to get there."""

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from core.errors import OpsError, Unavailable

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

ROOT = Path(__file__).resolve().parents[2]
"""The installation's folder: migrations, Procfile, app."""

_REVISION = re.compile(r"^revision\s*(?::\s*str)?\s*=\s*['\"](\w+)['\"]", re.MULTILINE)
_DOWN = re.compile(r"^down_revision\s*(?::[^=]+)?=\s*['\"](\w+)['\"]", re.MULTILINE)


def known() -> set[str]:
    """All revisions this code can migrate from."""
    return {found for text in _texts() for found in _REVISION.findall(text)}


def _texts() -> list[str]:
    # read as text: importing Alembic takes half a second
    return [file.read_text() for file in (ROOT / "migrations" / "versions").glob("[0-9]*.py")]


def head() -> str:
    """The newest revision among the migration files: the one this version of the code was written for."""
    heads = known() - {found for text in _texts() for found in _DOWN.findall(text)}
    if len(heads) != 1:
        raise OpsError(f"The migrations have {len(heads)} newest revisions.", "Reinstall this version of the app.")
    return heads.pop()


def current(connection: "psycopg.Connection[Any]") -> str | None:
    """The revision the database has; None when it has no schema of ours yet. Raises OpsError when it may not be read."""
    if connection.execute("SELECT to_regclass('public.alembic_version')").fetchone() == (None,):
        return None
    try:
        row = connection.execute("SELECT version_num FROM public.alembic_version").fetchone()
    except psycopg.errors.InsufficientPrivilege:
        raise OpsError(
            "The user of DATABASE_URL may not read this database's schema revision.", "Set DATABASE_ADMIN_URL to its owner's."
        ) from None
    return str(row[0]) if row else None


def ping(session: "Session") -> None:
    """One round trip to the database."""
    from sqlalchemy import text

    session.execute(text("SELECT 1"))


def revision(session: "Session") -> str | None:
    """The schema's revision as the app's role sees it, or None when nothing was ever migrated."""
    from sqlalchemy import text

    found = session.execute(text("SELECT to_regclass('public.alembic_version') IS NOT NULL")).scalar_one()
    return session.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none() if found else None


@lru_cache(maxsize=1)
def wanted() -> str:
    """`head`, read once per process."""
    return head()


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate the database at `url` (the owner's address), in this process. Raises OpsError when the revision is unknown."""
    import alembic.command
    from alembic.config import Config
    from alembic.util import CommandError
    from sqlalchemy.exc import DBAPIError

    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations").replace("%", "%%"))
    config.attributes["url"] = url
    try:
        alembic.command.upgrade(config, revision)
    except CommandError as error:
        raise OpsError(f"The database can't be migrated to “{revision}”: {error}.", "Use `head`, or update the app.") from None
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines()[0]
        if "permission denied" in said or "must be owner" in said:
            raise OpsError(
                f"The database can't be migrated: {said}.", "Set DATABASE_ADMIN_URL to the address of its owner."
            ) from None
        raise Unavailable(
            f"The migration stopped and was rolled back: {said}.", "Nothing was changed; mend the cause and run `ops migrate`."
        ) from error
