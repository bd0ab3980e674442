"""Effects under faults: the whole crash-point matrix, and a storm of kills. What is lost, what is done twice?

Sizes by environment: SOAK_EFFECTS, SOAK_KILLS, SOAK_WIPES, SOAK_POSTGRES, SOAK_SEED; `make soak` sets the large ones.
"""

import os
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.harness import Stack
from benchmarks.results import result, table
from tests.faults import matrix
from tests.faults.cases import cases
from tests.faults.stage import Stage
from tests.faults.storm import storm
from tests.faults.world_check import check_world


def the_matrix() -> int:
    """Every way out × every crash point × {once, twice} × how the vendor behaves. Returns how many cells are wrong."""
    batches = matrix.batches()
    with Stack() as stack:
        folder = stack.folder / "stage"
        folder.mkdir()
        with Stage(folder) as stage:
            os.environ.update(stage.remote.environment)
            stage.prepare()
            stage.clock()
            began, told = time.monotonic(), []
            workers = {1: stage.worker(1)}
            seeds = matrix.seed(stage, workers, len(batches))
            stage.kill(workers[1])
            for batch in batches:
                told.append(matrix.run(stage, batch, seeds, limit_s=240))
                print(f"  {batch}: {_short(told[-1])}", flush=True)
            stage.drain()
            wrong = [w for one in told for w in one.wrong]
            wrong += check_world(
                stage.remote.calls, secrets=stage.secrets, logs=[stage.folder / "processes.log"], queues=["interactive"]
            )
            wrong += matrix.unmet(told)
            doubles = len(stage.remote.doubles())
    cells = sum(one.cells for one in told)
    died = sum(1 for one in told for times in one.passed.values() if times)
    table(
        "Crash-point matrix",
        ["Way out", "Cells", "Died there", "Done", "Asked a person", "Lost", "Twice"],
        [_row(case, told) for case in cases()],
    )
    for line in wrong:
        print("WRONG", line)
    print(f"{cells} cells, {died} of which came by their crash point, in {time.monotonic() - began:.0f} s")
    result("effects.matrix_wrong", len(wrong), "cells", f"{cells} cells, {len(batches)} batches", 0, not wrong)
    result("effects.matrix_doubled", doubles, "effects", f"{cells} cells", 0, doubles == 0)
    return len(wrong) + doubles


def _short(told: matrix.Told) -> str:
    counted = Counter(told.states.values())
    return ", ".join(f"{n} {state}" for state, n in counted.items()) + (f"; {told.wrong}" if told.wrong else "")


def _row(case: object, told: list[matrix.Told]) -> list[object]:
    states = [one.states[case] for one in told if case in one.states]  # type: ignore[index]
    died = sum(1 for one in told if one.passed.get(case))  # type: ignore[call-overload]
    bad = sum(s not in ("done", "unknown") for s in states)
    return [case.name, len(states), died, states.count("done"), states.count("unknown"), bad, 0]  # type: ignore[attr-defined]


def the_storm() -> int:
    """Workers, work-horses, the clock, Valkey and PostgreSQL die at random."""
    size = {k: int(os.environ.get(f"SOAK_{k.upper()}", v)) for k, v in
            {"effects": 300, "kills": 24, "wipes": 1, "postgres": 2, "seed": int(time.time()) % 100_000}.items()}  # fmt: skip
    print(f"storm: {size}", flush=True)
    told = storm(
        size["effects"], size["kills"], wipes=size["wipes"], postgres=size["postgres"], seed=size["seed"], workers=3, limit_s=2400
    )
    table("Kills", ["What", "Times"], sorted(told.kills.items()))
    table("Effects", ["Kind", "State", "How many"], [[*k, n] for k, n in sorted(told.states.items())])
    for line in (*told.wrong, *told.failed):
        print("WRONG", line)
    against = f"{sum(told.states.values())} effects, {told.killed} kills"
    print(
        f"{against}, {told.applied} applied at vendors, {told.dropped} without an answer, {told.sent_again} sent more than once, "
        f"{told.unknown} asked a person, in {told.took_s:.0f} s; seed {size['seed']}"
    )
    result("effects.storm_lost", told.lost, "effects", against, 0, told.lost == 0)
    result("effects.storm_doubled", told.doubled, "effects", against, 0, told.doubled == 0)
    result("effects.storm_wrong", len(told.wrong), "invariants", against, 0, not told.wrong)
    return told.lost + told.doubled + len(told.wrong)


def main() -> int:
    """Both, or the one that is named: matrix, storm."""
    parts = {"matrix": the_matrix, "storm": the_storm}
    chosen = [parts[name] for name in sys.argv[1:]] or list(parts.values())
    return 1 if sum(part() for part in chosen) else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.exit(main())
