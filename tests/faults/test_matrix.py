"""Every way out of the house, killed at every crash point: nothing is lost, nothing happens twice. The whole matrix is in
`python -m benchmarks.effects`; here are its most dangerous cells."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

from core.kit import crashpoints
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.runs import service as runs
from core.runtime.runs.models import Queue
from tests.core.runtime.connections import test_rotation
from tests.faults import matrix
from tests.faults.cases import SAMPLES, cases
from tests.faults.stage import Stage
from tests.faults.world_check import check_world

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]
CHOSEN = [b for b in matrix.batches() if matrix.dangerous(b)]


@pytest.fixture(scope="module")
def seeds(stage: Stage) -> dict[str, list[int]]:
    workers = {1: stage.worker(1)}
    made = matrix.seed(stage, workers, len(CHOSEN))
    for process in workers.values():
        stage.kill(process)
    return made


@pytest.mark.parametrize("batch", CHOSEN, ids=str)
def test_dies_there_and_is_done_once(stage: Stage, seeds: dict[str, list[int]], batch: matrix.Batch) -> None:
    told = matrix.run(stage, batch, seeds)
    assert told.wrong == [], stage.tail()
    stage.drain(150)
    assert (
        check_world(stage.remote.calls, secrets=stage.secrets, logs=[stage.folder / "processes.log"], queues=["interactive"])
        == []
    )
    dead = [case.name for case, times in told.passed.items() if times]
    assert len(dead) >= (3 if batch.point not in matrix.INSIDE else len(cases())), (dead, stage.tail())


def test_a_queue_that_does_not_run_dry_is_said(stage: Stage) -> None:
    with database.transaction(STAFF) as session:
        runs.enqueue(session, "probe.noop", "Probe", queue=Queue.INTERACTIVE)
    with pytest.raises(AssertionError, match="the interactive queue runs dry"):
        stage.drain(limit_s=0)
    stage.drain()


def _passed() -> set[str]:
    """The crash points in the code; what holds one is imported, so that it registers."""
    found = set()
    for file in (*Path("core").rglob("*.py"), *Path("worker").rglob("*.py")):
        told = file.read_text()
        if "crashpoint(" in told and file.name != "crashpoints.py":
            import_module(".".join(file.with_suffix("").parts))
            calls = [
                n for n in ast.walk(ast.parse(told)) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "crashpoint"
            ]
            found |= {ast.literal_eval(n.args[0]) for n in calls}
    return found


def test_every_crash_point_has_a_cell() -> None:
    """Here, or among those that a rotation of the key is killed at."""
    _passed()
    assert set(crashpoints.names()) == set(matrix.POINTS) | {name for name, _ in test_rotation.KILLED_AT}


def test_every_crash_point_in_the_code_is_registered() -> None:
    """A name that is passed somewhere but not registered would be found only by a run that is to die there."""
    assert _passed() == set(crashpoints.names())


def test_every_way_out_has_a_payload() -> None:
    """Ways are taken from the registry: a new kind without a payload raises in `cases`."""
    for case in cases():
        assert case.undoes is not None or SAMPLES[case.kind](1) != SAMPLES[case.kind](2), case
        assert case.endpoint is None or case.endpoint.split(".")[0] == case.vendor
