"""Workers, the clock and Valkey die at random moments: nothing is lost, nothing is done twice."""

import pytest

from benchmarks.harness import Stack
from benchmarks.storm import storm

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize(("runs", "kills"), [(60, 5), pytest.param(200, 15, marks=pytest.mark.soak)])
def test_runs_and_kills(capsys, runs, kills):
    with Stack() as stack:
        told = storm(stack, runs, kills, flushes=1, workers=2, gap_s=0.3, limit_s=200, seed=7)
        with capsys.disabled():
            print(f"\n{told}")
        assert (told.lost, told.twice) == (0, 0), stack.tail()
        assert set(told.states) == {"succeeded"}
        assert told.states["succeeded"] >= runs
        assert told.killed >= kills * 0.8
        assert told.taken_back >= kills * 0.5  # the kills did hit runs
