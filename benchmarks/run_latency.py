"""Run now → running, and durable noop runs per second, beside bare RQ on the same stores in the same run.

Bare RQ: RQ's forking worker, JSON serializer, the same imports preloaded; two workers each, one queue each.
"""

import os
import time
from typing import Any

from rq import Queue as RQQueue
from rq.serializers import JSONSerializer
from sqlalchemy import insert

from benchmarks.harness import Stack, events, pause, percentile, result, table, until
from core.kit import db, redis
from core.kit.actor import Actor
from core.kit.db import STAFF

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "150"))
BATCH = int(os.environ.get("BENCH_BATCH", "1000"))
BARE_BATCH = BATCH // 4
REPEATS = 3
DAVE = Actor("Dave", "user", 1)


def _schedules() -> None:
    from core.runtime.orgs.models import AGENCY_ID
    from core.runtime.schedules.models import Schedule

    with db.transaction(STAFF) as session:
        for kind in ("bench.noop", "bench.noop_inline"):
            session.execute(
                insert(Schedule).values(
                    org_id=AGENCY_ID, name=kind.replace(".", "-").replace("_", "-"), title=kind, department="Engineering",
                    agent="Engineering AI", kind=kind, task="Nothing.", cron="0 0 1 1 *", time_zone="UTC", enabled=False,
                )
            )  # fmt: skip


def _run_now(name: str, key: str) -> None:
    from core.runtime.schedules import service

    with db.transaction(STAFF) as session:
        service.run_now(session, name, DAVE, payload={"key": key})


def _latencies(stack: Stack) -> dict[str, list[float]]:
    queue = RQQueue("bare", connection=redis.client(), serializer=JSONSerializer)
    ways: dict[str, Any] = {
        "bare RQ": lambda key: queue.enqueue("benchmarks.work.bare", key),
        "ours, forked": lambda key: _run_now("bench-noop", key),
        "ours, inline": lambda key: _run_now("bench-noop-inline", key),
    }
    found: dict[str, list[float]] = {w: [] for w in ways}
    for i in range(-5, ROUNDS):
        for number, (way, start) in enumerate(ways.items()):
            pause(0.02, 0.08)
            key = f"l{number}x{i}"
            began = time.monotonic()
            start(key)
            at = until(
                lambda key=key: next((e[2] for e in reversed(events(stack.events)) if e[1] == key), None), 30, stack.tail()
            )
            if i >= 0:
                found[way].append((at - began) * 1000)
        if i % 20 == 0:
            stack.events.write_text("")
    return found


def _per_second(stack: Stack, prefix: str, many: int, start: Any) -> float:
    stack.events.write_text("")
    began = time.monotonic()
    for i in range(many):
        start(f"{prefix}{i}")
    until(lambda: stack.events.read_text().count("\n") >= many, 300, stack.tail(), 0.02)
    return many / (max(e[2] for e in events(stack.events)) - began)


def _throughput(stack: Stack) -> dict[str, list[float]]:
    queue = RQQueue("bare", connection=redis.client(), serializer=JSONSerializer)
    found: dict[str, list[float]] = {"bare RQ": [], "ours, forked": [], "ours, inline": []}
    for r in range(REPEATS):
        found["bare RQ"].append(_per_second(stack, f"b{r}x", BARE_BATCH, lambda key: queue.enqueue("benchmarks.work.bare", key)))
        found["ours, forked"].append(
            _per_second(stack, f"f{r}x", BARE_BATCH, lambda key: stack.enqueue("bench.noop", "noop", {"key": key}))
        )
        found["ours, inline"].append(
            _per_second(stack, f"i{r}x", BATCH, lambda key: stack.enqueue("bench.noop_inline", "noop", {"key": key}))
        )
    return found


def main() -> None:
    """Measure and print."""
    with Stack() as stack:
        for number in (1, 2):
            stack.worker("interactive", number)
            stack.worker("background", number)
            stack.run("-m", "benchmarks.work", "--bare", "bare")
        stack.clock()
        stack.ready(5)
        _schedules()
        waits, speeds = _latencies(stack), _throughput(stack)
    middle = {w: sorted(s)[REPEATS // 2] for w, s in speeds.items()}
    table(
        f"Run now → running (ms, {ROUNDS} interleaved rounds) and noop runs a second (median of {REPEATS}), two workers each",
        ("system", "p50", "p99", "noops/s", "lowest–highest"),
        [
            (w, f"{percentile(ms, 0.5):.1f}", f"{percentile(ms, 0.99):.1f}", f"{middle[w]:.0f}",
             f"{min(speeds[w]):.0f}–{max(speeds[w]):.0f}")
            for w, ms in waits.items()
        ],
    )  # fmt: skip
    for share, label in ((0.5, "p50"), (0.99, "p99")):
        ratio = percentile(waits["ours, forked"], share) / percentile(waits["bare RQ"], share)
        result(f"run_latency_{label}_ratio", ratio, "times", "bare RQ enqueue to start, forking workers", 1.5, ratio <= 1.5)
    ratio = middle["ours, inline"] / middle["bare RQ"]
    result("durable_noops_ratio", ratio, "times", "bare RQ forking workers", 0.8, ratio >= 0.8)
    result("durable_noops_per_s", middle["ours, inline"], "runs/s", "Procrastinate 701/s measured apart", 701,
           middle["ours, inline"] >= 701)  # fmt: skip
    result("run_latency_inline_p50", percentile(waits["ours, inline"], 0.5), "ms", "Procrastinate 3.7 ms measured apart", 3.7,
           percentile(waits["ours, inline"], 0.5) <= 3.7)  # fmt: skip


if __name__ == "__main__":
    main()
