"""A stage for a whole module: starting the processes anew for each test would take most of the time."""

import os
from collections.abc import Iterator

import pytest

from core.config import get_settings
from tests.conftest import empty_stores
from tests.faults.stage import Stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """On this test worker's own database, emptied; with people, connections, the clock and the world outside."""
    empty_stores()
    with Stage(tmp_path_factory.mktemp("stage")) as made:
        before = dict(os.environ)
        os.environ.update(made.remote.environment)
        get_settings.cache_clear()
        made.prepare()
        made.clock()
        yield made
        os.environ.clear()
        os.environ.update(before)
    get_settings.cache_clear()
