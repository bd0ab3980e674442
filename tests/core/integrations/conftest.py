"""Short patience, so that a vendor that hangs does not hang the test."""

from collections.abc import Iterator

import pytest


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Calls end within two seconds. Ask for it after `world`."""
    from core.config import get_settings

    for name, value in (("CONNECT_TIMEOUT_S", "1.0"), ("TIMEOUT_S", "1.0"), ("DEADLINE_S", "2.0"), ("BACKOFF_S", "0.01")):
        monkeypatch.setenv(f"OPS_VENDOR_{name}", value)
    get_settings.cache_clear()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()
