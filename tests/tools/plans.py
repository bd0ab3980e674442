"""How PostgreSQL would answer what a read model asks, for tests that no large table is read whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import event
from sqlalchemy.orm import Session

from core.config import get_settings
from core.kit import db

Asked = list[tuple[str, Any]]


@contextmanager
def statements() -> Iterator[Asked]:
    """The statements sent while inside, with their values."""
    asked: Asked = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        asked.append((statement, values))

    engine = db.engine()
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)


def learn(*tables: str) -> None:
    """Let the planner count these tables, as the server does by itself after a while."""
    with psycopg.connect(str(get_settings().database_admin_url), autocommit=True) as connection:
        for table in tables:
            connection.execute(f"ANALYZE {table}")


def plans(session: Session, asked: Asked) -> list[str]:
    """How each of these statements would be carried out."""
    run = session.connection().exec_driver_sql
    return ["\n".join(run("EXPLAIN " + statement, values).scalars()) for statement, values in list(asked)]
