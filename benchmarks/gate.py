"""What authority costs: all that carrying an action out does besides the vendor's call, and that call bare, in turns.

The gate's part is: the action's row, whose account, fourteen policies with their windows under locks, the intent, the secret, and
afterwards the record, its event and its entry in the audit chain: two transactions that are on disk before they return.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.authority.scene import Scene
from benchmarks.harness import Stack, percentile
from benchmarks.results import result, table
from core.config import get_settings
from core.kit import crashpoints, db
from core.kit.db import STAFF
from core.runtime.actions import kinds
from core.runtime.actions.kinds import Account, Outgoing
from core.runtime.connections import service as connections
from core.runtime.runs import execute
from core.runtime.runs.lease import claim
from tests.fakeworld.world import World
from tests.faults.cases import cases
from tests.faults.stage import sql

TARGET_MS = 15.0
_BEFORE = 20


class Stopwatch:
    """Around `send`: how long the vendor's own call took, each time."""

    def __init__(self, send: Callable[[Outgoing, Account], Any]) -> None:
        self._send = send
        self.took: list[float] = []

    def __call__(self, out: Outgoing, account: Account) -> Any:
        began = time.perf_counter()
        try:
            return self._send(out, account)
        finally:
            self.took.append(time.perf_counter() - began)


def _carried_out(action_id: int) -> float:
    """Seconds of the handler, without what any run costs (claim, end): see benchmarks.run_latency for those."""
    run_id = sql("SELECT execute_run_id FROM actions WHERE id = :id", id=action_id)[0][0]
    with db.transaction(STAFF) as session:
        held = claim(session, run_id, "bench")
    assert held is not None
    began = time.perf_counter()
    ended = execute.attempt(held)
    took = time.perf_counter() - began
    execute.settle(held, ended)
    assert ended.state == "succeeded", ended
    return took


def _bare(scene: Scene, kind: Any, action_id: int) -> float:
    """The vendor's call alone, with another mail's bytes."""
    wire, key, org, account = sql("SELECT wire, effect_key, org_id, account FROM actions WHERE id = :id", id=action_id)[0]
    with db.transaction(STAFF) as session:
        opened = connections.open_account(session, int(account.split(":")[1]), "a benchmark")
    began = time.perf_counter()
    kind.send(Outgoing(bytes(wire), key, org, None), opened)
    return time.perf_counter() - began


def measure(scene: Scene, many: int) -> tuple[list[float], list[float], list[float]]:
    """(overhead, the vendor's call inside, the vendor's call bare) in ms, `many` each, taken in turns."""
    case = next(c for c in cases() if c.name == "mail.send by resend")
    kind = kinds.get(case.kind)
    watch = Stopwatch(kind.send)  # type: ignore[arg-type]
    object.__setattr__(kind, "send", watch)
    over, inside, bare = [], [], []
    try:
        for n in range(_BEFORE + many):
            action_id, other = scene.approved(case), scene.approved(case)
            watch.took.clear()
            took = _carried_out(action_id)
            call = sum(watch.took)
            alone = _bare(scene, kind, other)
            if n >= _BEFORE:
                over.append((took - call) * 1000)
                inside.append(call * 1000)
                bare.append(alone * 1000)
    finally:
        object.__setattr__(kind, "send", watch._send)
    return over, inside, bare


def main() -> int:
    """Print it beside the bare call, and whether it is within its target."""
    many = int(os.environ.get("GATE_EFFECTS", "300"))
    assert crashpoints.SETTING not in os.environ
    with Stack() as stack:
        world = World(stack.folder / "vendors.jsonl")
        os.environ.update(world.environment)
        get_settings.cache_clear()
        over, inside, bare = measure(Scene.set(world), many)
        world.close()
    rows = [
        [name, *(f"{percentile(values, share):.1f}" for share in (0.5, 0.9, 0.99))]
        for name, values in (("Policies, ledger, audit", over), ("Vendor's call within", inside), ("Vendor's call bare", bare))
    ]
    table(f"One approved mail through Resend, {many} of each in turns, ms", ["Part", "p50", "p90", "p99"], rows)
    p50 = percentile(over, 0.5)
    result("gate.overhead_p50", p50, "ms", f"bare vendor call {percentile(bare, 0.5):.1f} ms", TARGET_MS, p50 <= TARGET_MS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
