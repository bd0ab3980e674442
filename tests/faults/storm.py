"""Effects of every kind, while workers, the clock, Valkey and PostgreSQL are killed and vendors drop every fifth answer."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil
from redis import Redis
from sqlalchemy.exc import SQLAlchemyError

from benchmarks.harness import Stack
from core.errors import OpsError
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions import service
from core.runtime.actions.service import Proposal
from tests.faults.cases import SAMPLES, Case, cases
from tests.faults.stage import Stage, children
from tests.faults.world_check import check_world
from tests.gates import set_numbers
from tests.tools.database import sql

WORKERS, CLOCK, VALKEY, POSTGRES = "worker", "clock", "Valkey, emptied", "PostgreSQL"
_STATES = "SELECT kind, state, count(*) FROM actions WHERE key LIKE 'storm:%' OR undo_of IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"
_LEFT = """
    SELECT (SELECT count(*) FROM actions WHERE state NOT IN ('done', 'undone', 'failed', 'denied', 'dismissed', 'unknown'))
    + (SELECT count(*) FROM runs
       WHERE queue = 'interactive' AND state IN ('queued', 'waiting', 'running') AND run_after < now())"""
_FAILED = """
    SELECT a.id, a.kind, a.account, a.state, a.error->>'message', r.state, r.attempts, r.rescues, r.crashes, r.error->>'message'
    FROM actions a LEFT JOIN runs r ON r.id = a.execute_run_id
    WHERE a.state IN ('failed', 'denied', 'dismissed') AND a.key LIKE 'storm:%'"""
_BUSY = "SELECT DISTINCT h.pid FROM runs r JOIN heartbeats h ON h.process = r.worker WHERE r.state = 'running'"
_DONE = """SELECT a.id FROM actions a WHERE a.kind = ANY(:kinds) AND a.state = 'done' AND a.mode = 'live'
    AND NOT EXISTS (SELECT 1 FROM actions u WHERE u.undo_of = a.id) ORDER BY random() LIMIT 1"""
_REPEATS = "SELECT count(*) FROM (SELECT effect_id FROM effect_calls WHERE what = 'send' GROUP BY 1 HAVING count(*) > 1) AS again"


@dataclass
class Told:
    """How it ended. `kills` by what was killed; `states` (kind, state) to how many actions; `wrong` is `check_world`'s answer."""

    effects: int
    kills: dict[str, int] = field(default_factory=dict)
    states: dict[tuple[str, str], int] = field(default_factory=dict)
    applied: int = 0
    dropped: int = 0
    sent_again: int = 0
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def killed(self) -> int:
        """All kills."""
        return sum(self.kills.values())

    @property
    def lost(self) -> int:
        """Effects that did not end as done, or as a question to a person."""
        fine = sum(n for (_, state), n in self.states.items() if state in ("done", "undone", "unknown"))
        return sum(self.states.values()) - fine + max(0, self.effects - sum(self.states.values()))

    @property
    def unknown(self) -> int:
        return sum(n for (_, state), n in self.states.items() if state == "unknown")


@dataclass
class _Supervised:
    start: Callable[[], "subprocess.Popen[bytes]"]
    process: "subprocess.Popen[bytes]"
    again_at: float | None = None


class Storm:
    """`effects` in all, about one in eight of them takes another one back."""

    def __init__(self, stack: Stack, stage: Stage, effects: int, seed: int) -> None:
        self.stack, self.stage, self.chance = stack, stage, random.Random(seed)
        self.told = Told(effects)
        self.made = 0
        self._forward = [c for c in cases() if c.undoes is None]
        self._back = [c for c in cases() if c.undoes is not None]
        self._fleet: list[_Supervised] = []

    def run(self, kills: int, *, wipes: int, postgres: int, workers: int, gap_s: float, limit_s: float) -> Told:
        """Kill until `kills` are done, effects being asked for all along; then wait until all have ended, and check the world."""
        began = time.monotonic()
        self._prepare()
        self._fleet = [self._supervised(lambda n=n: self.stage.worker(n)) for n in range(1, workers + 1)]
        self._fleet.append(self._supervised(self.stage.clock))
        plan = [VALKEY] * wipes + [POSTGRES] * postgres
        plan += self.chance.choices([WORKERS, "work-horse", CLOCK], [70, 20, 10], k=max(0, kills - len(plan)))
        self.chance.shuffle(plan)
        for number, victim in enumerate(plan):
            self._make((number + 4) * self.told.effects // (len(plan) + 4))
            self._wait(self.chance.uniform(0.3, 1.7) * gap_s)
            if self._strike(victim):
                self.told.kills[victim] = self.told.kills.get(victim, 0) + 1
        self._make(self.told.effects)
        self._settle(limit_s)
        self.told.took_s = time.monotonic() - began
        return self._tally()

    def _prepare(self) -> None:
        with database.transaction(STAFF) as session:
            set_numbers(session, "approval_kinds", outside=False, money=False, kinds=[])
            set_numbers(session, "agent_kinds", may={"Sales AI": [c.kind for c in cases()]})
        for endpoint in {c.endpoint for c in cases() if c.endpoint}:
            self.stage.remote.mode(endpoint, "apply_then_drop", share=0.2, seed=self.chance.randrange(10**6))

    # ---- asking for effects

    def _make(self, wanted: int) -> None:
        while self.made < wanted:
            case = (
                self._back[self.made % len(self._back)] if self.made % 8 == 7 else self._forward[self.made % len(self._forward)]
            )
            self._insist(lambda case=case: self._take_back(case) if case.undoes else self._ask(case))
            self.made += 1
            self._restart()

    def _ask(self, case: Case) -> None:
        with database.transaction(STAFF) as session:
            asked = Proposal(
                case.kind, SAMPLES[case.kind](self.made), Actor("Storm", "run", 1), org_id=case.org_id, agent="Sales AI",
                key=f"storm:{self.made}",
            )  # fmt: skip
            service.propose(session, asked)

    def _take_back(self, case: Case) -> None:
        found = sql(_DONE, kinds=[case.undoes])
        if not found:
            return self._ask(next(c for c in self._forward if c.kind == case.undoes))
        with database.transaction(STAFF) as session:
            service.undo(session, found[0][0], self.stage.actor("Dave"), "web")
        return None

    def _insist(self, do: Callable[[], Any]) -> Any:
        """Although the database may be away. What was asked for twice is one, by its key."""
        end = time.monotonic() + 60
        while True:
            try:
                return do()
            except (OpsError, SQLAlchemyError):
                if time.monotonic() > end:
                    raise
                self._restart()
                time.sleep(0.1)

    # ---- killing

    def _supervised(self, start: Callable[[], "subprocess.Popen[bytes]"]) -> _Supervised:
        return _Supervised(start, start())

    def _restart(self) -> None:
        now = time.monotonic()
        for one in self._fleet:
            if one.process.poll() is not None and one.again_at is None:
                one.again_at = now
            if one.again_at is not None and now >= one.again_at:
                self.stage.started.remove(one.process)
                one.process, one.again_at = one.start(), None

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._restart()
            time.sleep(0.02)

    def _strike(self, victim: str) -> bool:
        if victim == VALKEY:
            return self._wipe()
        if victim == POSTGRES:
            return self._kill_postgres()
        if victim == CLOCK:
            return self._kill(self._fleet[-1])
        one = self._one_at_work()
        if one is None:
            return False
        if victim == "work-horse":
            horses = children(one.process.pid)
            for pid in horses:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return bool(horses)
        return self._kill(one)

    def _kill(self, one: _Supervised) -> bool:
        if one.process.poll() is not None:
            return False
        self.stage.kill(one.process)
        one.again_at = time.monotonic() + self.chance.uniform(0, 0.5)
        return True

    def _one_at_work(self) -> _Supervised | None:
        """A worker in the middle of an effect: a kill while it rests shows little."""
        end = time.monotonic() + 8
        while time.monotonic() < end:
            self._restart()
            busy = {pid for (pid,) in self._insist(lambda: sql(_BUSY))}
            found = [one for one in self._fleet[:-1] if one.process.pid in busy and one.process.poll() is None]
            if found:
                time.sleep(self.chance.uniform(0, 0.08))
                return self.chance.choice(found)
            time.sleep(0.01)
        return None

    def _wipe(self) -> bool:
        """Valkey is killed and comes back with nothing."""
        valkey = self.stack.valkey
        with contextlib.suppress(Exception):
            Redis.from_url(valkey.url).flushall()
        valkey.process.kill()
        valkey.process.wait()
        self._wait(self.chance.uniform(0, 1))
        valkey.preferred_port = valkey.port
        valkey.start()
        return True

    def _kill_postgres(self) -> bool:
        postgres = self.stack.postgres
        assert postgres.process is not None
        backends = psutil.Process(postgres.process.pid).children(recursive=True)
        postgres.process.kill()
        postgres.process.wait()
        psutil.wait_procs(backends, timeout=10)  # a new one does not start while one of them lives
        self._wait(self.chance.uniform(0, 1))
        postgres.preferred_port = postgres.port
        postgres.start()
        return True

    # ---- the end

    def _settle(self, limit_s: float) -> None:
        end = time.monotonic() + limit_s
        while time.monotonic() < end and self._insist(lambda: sql(_LEFT))[0][0]:
            self._restart()
            time.sleep(0.1)
        self._wait(1)

    def _tally(self) -> Told:
        told, calls = self.told, self.stage.remote.calls
        told.states = {(kind, state): n for kind, state, n in sql(_STATES)}
        told.sent_again = sql(_REPEATS)[0][0]
        told.failed = [" · ".join(map(str, row)) for row in sql(_FAILED)]
        writes = [c for c in calls if c["applied"]]
        told.applied, told.dropped = len(writes), sum(c["mode"] == "apply_then_drop" for c in writes)
        told.doubled = len(self.stage.remote.doubles())
        told.wrong = check_world(
            calls, secrets=self.stage.secrets, logs=[self.stage.folder / "processes.log"], queues=["interactive"]
        )
        return told


def storm(
    effects: int, kills: int, *, wipes: int, postgres: int, workers: int = 3, gap_s: float = 0.15, limit_s: float = 300,
    seed: int = 1,
) -> Told:  # fmt: skip
    """On stores of its own."""
    with Stack() as stack:
        folder = stack.folder / "stage"
        folder.mkdir()
        with Stage(folder) as stage:
            os.environ.update(stage.remote.environment)
            stage.prepare()
            told = Storm(stack, stage, effects, seed).run(
                kills, wipes=wipes, postgres=postgres, workers=workers, gap_s=gap_s, limit_s=limit_s
            )
            if told.wrong or told.lost:
                print(stage.tail())
            return told
