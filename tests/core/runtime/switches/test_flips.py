"""The kill switch flipped over busy workers: no effect starts later than a second after, and nothing is lost or done twice."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.authority import flips
from core.config import get_settings
from tests.faults.stage import Stage
from tests.tools.database import sql

FLIPS, HELD = 8, 25


@pytest.fixture
def house(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[flips.House]:
    for name in ("OPS_SLACK_BASE_URL", "OPS_RESEND_BASE_URL", "OPS_PIPEDRIVE_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.setenv(name, "")  # the house sets them, and they go back with the test
    with (tmp_path / "processes.log").open("ab") as log:
        stores = SimpleNamespace(folder=tmp_path, processes=[], log=log)
        made = flips.House(stores)  # type: ignore[arg-type]
        try:
            yield made
        finally:
            for process in stores.processes:
                Stage.kill(process)
            made.remote.close()
            monkeypatch.undo()
            get_settings.cache_clear()


@pytest.mark.soak
@pytest.mark.faults
def test_no_effect_starts_a_second_after_a_flip(house: flips.House) -> None:
    seen, done, (most, _took_s, went) = flips.run(house, FLIPS, HELD, seed=7)
    assert Counter(f.way for f in done) == dict.fromkeys(flips.WAYS, FLIPS // len(flips.WAYS))
    assert seen.worst_s <= flips.LIMIT_S, seen.late
    assert seen.starts > FLIPS, "the workers were busy"
    assert house.remote.doubles() == {}
    assert [s for s, _ in sql("SELECT state, count(*) FROM actions GROUP BY state")] == ["done"]
    assert went == HELD
    assert most <= flips.BURST
