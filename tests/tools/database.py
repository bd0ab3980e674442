"""A look at what the database holds, for tests of what wrote it."""

from typing import Any

from sqlalchemy import Executable, text

from core.kit import db as database
from core.kit.db import STAFF


def sql(statement: str | Executable, **values: Any) -> Any:
    """Run it in a transaction of its own; its rows, or None when it has none to give."""
    with database.transaction(STAFF) as session:
        answer: Any = session.execute(text(statement) if isinstance(statement, str) else statement, values)
        return list(answer.all()) if answer.returns_rows else None
