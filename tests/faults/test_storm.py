"""The short form of the storm; the long one is `make soak`."""

import pytest

from tests.faults.storm import storm

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_hundred_effects_and_twelve_kills(capsys: pytest.CaptureFixture[str]) -> None:
    told = storm(100, 12, wipes=1, postgres=1, workers=2, limit_s=120, seed=5)
    with capsys.disabled():
        print(f"\n{told}")
    assert (told.lost, told.doubled, told.wrong) == (0, 0, [])
    assert told.killed >= 9
    assert told.dropped >= 5
