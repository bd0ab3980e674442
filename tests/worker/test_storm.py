"""Workers, the clock and Valkey die at random moments: nothing is lost, nothing is done twice."""

import pytest

from benchmarks.harness import Stack
from benchmarks.storm import storm

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300)]


def test_two_hundred_runs_and_fifteen_kills(capsys):
    with Stack() as stack:
        told = storm(stack, 200, 15, flushes=1, workers=2, gap_s=0.3, limit_s=200, seed=7)
        with capsys.disabled():
            print(f"\n{told}")
        assert (told.lost, told.twice) == (0, 0), stack.tail()
        assert set(told.states) == {"succeeded"}
        assert told.states["succeeded"] >= 200
        assert told.killed >= 12
        assert told.taken_back >= 8  # the kills did hit runs
