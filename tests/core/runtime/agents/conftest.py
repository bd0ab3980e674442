import pytest

from tests.core.runtime.agents import lab


@pytest.fixture
def agency(db):
    """An empty database, and sections and a job of ours."""
    with lab.opened():
        yield lab
