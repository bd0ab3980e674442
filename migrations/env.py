"""Alembic's entry: migrates as the role that owns the tables, with a lock timeout so that it never blocks the app."""

from alembic import context
from sqlalchemy import create_engine, text

from core.config import get_settings
from core.errors import OpsError
from core.kit.db import sqlalchemy_url
from core.models import metadata


def _run() -> None:
    settings = get_settings()
    url = context.config.attributes.get("url") or settings.database_admin_url or settings.database_url
    if not url:
        raise OpsError("There is no database to migrate.", "Start the app with `make run`, or set DATABASE_ADMIN_URL.")
    engine = create_engine(sqlalchemy_url(url))
    with engine.connect() as connection:
        connection.execute(text("SET lock_timeout = '5s'"))
        # two migrators at once: the second waits, then finds nothing to do
        connection.execute(text("SELECT pg_advisory_lock(7210001)"))
        connection.commit()
        context.configure(connection=connection, target_metadata=metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    engine.dispose()


_run()
