"""A hundred people press "approve" for one item at the same moment: one transition, and ninety-nine who see who won."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.authority.scene import Scene
from benchmarks.results import result, table
from core.errors import Conflict, OpsError
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions import service
from core.runtime.actions.models import Decided
from tests.faults.cases import cases
from tests.faults.stage import sql

_AFTER = """SELECT (SELECT count(*) FROM action_decisions WHERE action_id = :id AND decision IN ('approve', 'reject')),
    (SELECT count(*) FROM events WHERE subject_type = 'action' AND subject_id = :id
        AND type IN ('action.approved', 'action.rejected')),
    (SELECT count(*) FROM runs WHERE kind = 'action.execute' AND payload->>'action_id' = CAST(:id AS text)),
    (SELECT count(*) FROM audit_entries WHERE subject_type = 'action' AND subject_id = :id
        AND what IN ('action.approved', 'action.rejected'))"""


@dataclass
class Race:
    """How it ended. `losers`: what those who came too late were told. `transitions`: decisions, events, runs, audit entries."""

    won: list[str] = field(default_factory=list)
    losers: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    transitions: tuple[int, ...] = ()
    took_s: float = 0.0


def race(action_id: int, sha: str, presses: Sequence[tuple[Actor, Decided]]) -> Race:
    """All of them at once, each in a transaction of its own."""
    told, lock, gate = Race(), threading.Lock(), threading.Barrier(len(presses))

    def press(by: Actor, what: Decided) -> None:
        gate.wait()
        try:
            with database.transaction(STAFF) as session:
                service.decide(session, action_id, what, by, payload_sha256=sha, via="web")
            where, said = told.won, by.label
        except Conflict as error:
            where, said = told.losers, error.message
        except OpsError as error:
            where, said = told.other, error.message
        with lock:
            where.append(said)

    began = time.monotonic()
    threads = [threading.Thread(target=press, args=p) for p in presses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.took_s = time.monotonic() - began
    told.transitions = tuple(sql(_AFTER, id=action_id)[0])
    return told


def run(scene: Scene, many: int = 100) -> int:
    """One item of each kind that is asked for. Returns how many went wrong."""
    rows, wrong = [], 0
    for case in (c for c in cases() if c.undoes is None):
        action_id, sha = scene.waiting(case)
        people = [scene.cast.actor(name) for name in scene.cast.users if name != "Tony"]
        told = race(action_id, sha, [(people[n % len(people)], Decided.APPROVE) for n in range(many)])
        named = sum(f"{told.won[0]} was first" in said for said in told.losers) if told.won else 0
        good = len(told.won) == 1 and named == many - 1 and told.transitions == (1, 1, 1, 1)
        wrong += not good
        rows.append([case.name, many, len(told.won), named, "/".join(map(str, told.transitions)), f"{told.took_s:.2f} s"])
    table("Approvals at once", ["Kind", "Presses", "Transitions", "Saw who won", "Decisions/events/runs/entries", "Took"], rows)
    result("authority.approvals_wrong", wrong, "items", f"{many} presses each", 0, wrong == 0)
    return wrong
