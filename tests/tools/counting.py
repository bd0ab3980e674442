"""Counts what the database is asked, for tests that hold a page or a read model to a fixed number of queries."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

from core.kit import db


@contextmanager
def queries() -> Iterator[list[str]]:
    """The statements sent inside the block, in order (setting the transaction's scope aside)."""
    asked: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        if "set_config" not in statement:
            asked.append(statement)

    engine = db.engine()
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)
