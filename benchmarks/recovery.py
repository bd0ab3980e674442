"""How long a run is dead when its worker is killed, and what a storm of kills loses or doubles. Default settings."""

import os
import time

from sqlalchemy import text

from benchmarks.harness import Stack, events, pause, percentile, result, table, until
from benchmarks.storm import storm

TRIALS = int(os.environ.get("BENCH_TRIALS", "20"))
RUNS = int(os.environ.get("BENCH_RUNS", "2000"))
KILLS = int(os.environ.get("BENCH_KILLS", "160"))

_BEATEN = text("SELECT 1 FROM heartbeats WHERE process = :name")


def _begun(stack: Stack, key: str, times: int) -> tuple[float, int] | None:
    hits = [e for e in events(stack.events) if e[0] == "run" and e[1] == key]
    return (hits[times - 1][2], hits[times - 1][3]) if len(hits) >= times else None


def _supervised(stack: Stack) -> list[float]:
    """One worker on the queue; when it is killed it is rescued and started again at once, as `ops up` does it."""
    from core.runtime.runs import dispatch

    worker, waits = stack.worker("agents", 1), []
    clock = stack.clock()
    for i in range(TRIALS):
        key = f"s{i}"
        run_id = _nap(key, "agents")
        until(lambda key=key: _begun(stack, key, 1), 60, stack.tail())
        pause(0.2, 2.0)
        at = time.monotonic()
        stack.kill(worker)
        dispatch.rescue_worker("worker-agents-1")
        worker = stack.worker("agents", 1)
        waits.append(until(lambda key=key: _begun(stack, key, 2), 120, stack.tail())[0] - at)
        _drop(run_id)
    stack.kill(worker)
    stack.kill(clock)
    return waits


def _left_alone(stack: Stack) -> list[float]:
    """Nobody starts the killed worker again; a second one is alive, and the clock runs."""
    workers, waits = [stack.worker("background", n) for n in (1, 2)], []
    clock = stack.clock()
    number = 2
    for i in range(TRIALS):
        key = f"a{i}"
        run_id = _nap(key, "background")
        pid = until(lambda key=key: _begun(stack, key, 1), 60, stack.tail())[1]
        pause(0.2, 2.0)
        owner = next(w for w in workers if _is_of(pid, w.pid))
        at = time.monotonic()
        stack.kill(owner)
        waits.append(until(lambda key=key: _begun(stack, key, 2), 120, stack.tail())[0] - at)
        _drop(run_id)
        workers.remove(owner)
        number += 1  # another name: it must not rescue the dead one's run
        workers.append(stack.worker("background", number))
        until(lambda n=number: stack.sql(_BEATEN, name=f"worker-background-{n}"), 60)
    for process in (*workers, clock):
        stack.kill(process)
    return waits


def _is_of(pid: int, worker: int) -> bool:
    import psutil

    return pid == worker or any(p.pid == worker for p in psutil.Process(pid).parents())


def _nap(key: str, queue: str) -> int:
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.runs import service
    from core.runtime.runs.models import Queue

    with db.transaction(STAFF) as session:
        payload = {"key": key, "seconds": 100}
        return service.enqueue(session, "bench.nap", "nap", payload=payload, queue=Queue(queue)).run_id


def _drop(run_id: int) -> None:
    """Cancel it, and wait until its worker is free again."""
    from core.kit import db
    from core.kit.actor import Actor
    from core.kit.db import STAFF
    from core.runtime.runs import service

    with db.transaction(STAFF) as session:
        service.cancel(session, run_id, Actor("Dave", "user", 1))
    ended = text("SELECT 1 FROM runs WHERE id = :id AND state = 'cancelled'")
    until(lambda: Stack.sql(ended, id=run_id), 60)


def main() -> None:
    """Measure and print."""
    with Stack() as stack:
        ways = {
            "started again at once, the only worker": _supervised(stack),
            "never started again, a second worker": _left_alone(stack),
        }
    table(
        f"Worker killed -9 mid-run until the run runs again (s, {TRIALS} kills each)",
        ("the killed worker is", "p50", "p99", "longest"),
        [(w, f"{percentile(s, 0.5):.2f}", f"{percentile(s, 0.99):.2f}", f"{max(s):.2f}") for w, s in ways.items()],
    )
    with Stack() as stack:
        told = storm(stack, RUNS, KILLS, flushes=2, valkey_kills=3, workers=3, gap_s=0.3)
    table(
        "Storm of kills",
        ("runs", "kills", "lost", "done twice", "begun again", "taken back", "the unluckiest run", "seconds"),
        [(told.runs, ", ".join(f"{n} {w}" for w, n in told.kills.items()), told.lost, told.twice, told.begun_again,
          told.taken_back, told.most_rescues, f"{told.took_s:.0f}")],
    )  # fmt: skip
    waits = [w for s in ways.values() for w in s]
    p50, p99 = percentile(waits, 0.5), percentile(waits, 0.99)
    result("recovery_p50", p50, "s", "RQ tuned 74 s, peers' defaults 65 s to never", 5, p50 <= 5)
    result("recovery_p99", p99, "s", "RQ tuned 74 s, peers' defaults 65 s to never", 30, p99 <= 30)
    result("storm_kills", told.killed, "kills", f"{RUNS} runs, 2 FLUSHALL", 150, told.killed >= 150)
    result("storm_lost", told.lost, "runs", f"{told.killed} kills, 2 FLUSHALL", 0, told.lost == 0)
    result("storm_done_twice", told.twice, "runs", f"{told.killed} kills, 2 FLUSHALL", 0, told.twice == 0)


if __name__ == "__main__":
    main()
