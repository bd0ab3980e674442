"""Fixtures of the fake world."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakeworld.anthropic import FakeAnthropic
from tests.fakeworld.world import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The world outside, and settings that point the product at it. Keys are not set: make connections with `world.keys`."""
    from core.config import get_settings

    made = World(tmp_path / "vendors.jsonl")
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    yield made
    made.close()
    monkeypatch.undo()
    get_settings.cache_clear()


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
