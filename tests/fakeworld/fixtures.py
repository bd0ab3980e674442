"""Fixtures of the fake world."""

from collections.abc import Iterator

import pytest

from tests.fakeworld.anthropic import FakeAnthropic


@pytest.fixture
def fake_anthropic(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAnthropic]:
    """A Messages API of one's own, and settings that point the product at it with quick back-off."""
    from core.config import get_settings

    fake = FakeAnthropic()
    monkeypatch.setenv("ANTHROPIC_API_KEY", fake.key)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.url)
    monkeypatch.setenv("OPS_MODEL_BACKOFF_S", "0.02")
    monkeypatch.setenv("OPS_MODEL_CALL_DEADLINE_S", "5")
    get_settings.cache_clear()
    yield fake
    fake.close()
    monkeypatch.undo()
    get_settings.cache_clear()
