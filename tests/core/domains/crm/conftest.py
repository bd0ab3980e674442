"""Small deals of our own; the amounts are in cents."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from core.domains.crm import importer
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF

TONY = Actor("Tony", "user", 4)
NOON = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
"""Friday noon in Chicago."""


def import_text(data: str | bytes, **options: object) -> importer.ImportResult:
    """Import in a transaction of its own, as Tony."""
    source = data.encode() if isinstance(data, str) else data
    with database.transaction(STAFF) as session:
        return importer.run_import(session, source, importer.Options(**options), by=TONY)


def preview_text(data: str | bytes, **options: object) -> importer.Preview:
    source = data.encode() if isinstance(data, str) else data
    with database.transaction(STAFF) as session:
        return importer.preview(session, source, importer.Options(**options))


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> Callable[[], datetime]:
    """The product's clock stands at Friday noon."""
    from core.kit import clock

    monkeypatch.setattr(clock, "now", lambda: NOON)
    return clock.now
