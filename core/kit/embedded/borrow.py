"""The database for a single command: the one that runs, or the embedded one started for as long as the command takes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from core.config import get_settings
from core.errors import Unavailable
from core.kit.embedded.lock import hold
from core.kit.embedded.postgres import Postgres


@contextmanager
def owner_url(*, create: bool = False) -> Iterator[str]:
    """The address of the database as its owner. With `create`, an embedded database is made when there is none yet.

    Raises Unavailable when there is none, OpsError when the state folder can't be used.
    """
    settings = get_settings()
    url = settings.database_admin_url or settings.database_url
    if url:
        yield url
        return
    folder = settings.state_dir.resolve()
    if not create and not list(folder.glob("postgres/data-*")):
        raise Unavailable(
            f"There is no database in the state folder {folder}.",
            "Start the app once with `make run`, or set DATABASE_URL or OPS_STATE_DIR.",
        )
    held = hold(folder)
    try:
        server = Postgres(folder / "postgres")
        try:
            server.start()
            yield server.owner_url
        finally:
            server.stop()
    finally:
        os.close(held)
