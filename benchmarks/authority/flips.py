"""Two hundred flips of the kill switch over four busy workers, by environment, database, organisation and agent.

Effects take 300 ms at the vendor, whose durable log says when each one started. No effect in a switch's reach may start later
than a second after the flip; what was on the wire is recorded and not repeated; what was held goes on after a resume, and does
not burst.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import text

from benchmarks.harness import ROOT, Stack, percentile, until
from benchmarks.results import result, table
from core.config import get_settings
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions import service as actions
from core.runtime.actions.service import Proposal
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.switches import service as switches
from core.runtime.switches.models import Reach
from tests.cast import CORNERSTONE_ORG, make_cast
from tests.fakeworld.process import Remote
from tests.faults.stage import connect, sql
from tests.gates import open_to_all, set_numbers

FLIPS, WORKERS, HELD = 200, 4, 100
BURST = 40
"""Twenty are let go every ten seconds, so ten seconds that begin between two lots see both at most."""
EFFECT_S, STOPPED_S, LIMIT_S = 0.3, 1.25, 1.0
POST = "slack.chat.postMessage"
AGENTS, ORGS = ("Sales AI", "Delivery AI"), (AGENCY_ID, CORNERSTONE_ORG)
WAYS = ("environment", "everything", "organisation", "agent")
READY = "SELECT count(*) FROM runs WHERE kind = 'action.execute' AND state IN ('queued', 'waiting') AND run_after <= now()"
HELD_NOW = "SELECT count(*) FROM actions WHERE state = 'deferred' AND deferred_until IS NULL"
UNDER_WAY = "SELECT count(*) FROM effect_calls WHERE what = 'send' AND outcome IS NULL"
OPEN = "SELECT count(*) FROM actions WHERE state IN ('proposed', 'approved', 'executing', 'deferred')"


@dataclass(frozen=True)
class Flip:
    """Off from `at` to `until` (seconds since 1970) for whom it reaches; `busy`: effects in its reach on the wire at the flip."""

    way: str
    at: float
    until: float
    org_id: UUID | None = None
    agent: str | None = None

    def reaches(self, org_id: UUID, agent: str) -> bool:
        return (self.org_id is None or self.org_id == org_id) and (self.agent is None or self.agent == agent)


@dataclass
class Seen:
    """What the vendor's log says of the flips: seconds from a flip to the starts after it, by way."""

    late: dict[str, list[float]] = field(default_factory=lambda: {w: [] for w in WAYS})
    busy: int = 0
    starts: int = 0

    @property
    def worst_s(self) -> float:
        return max((s for way in self.late.values() for s in way), default=0.0)


class House:
    """Stores, four workers, the clock, and the world outside; the processes' `.env` is in the stores' folder."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.env = stack, stack.folder / ".env"
        self.remote = Remote.start(stack.folder / "vendors.jsonl")
        os.environ.update(self.remote.environment)
        get_settings.cache_clear()
        with database.transaction(STAFF) as session:
            cast = make_cast(session)
            session.execute(text("UPDATE users SET role = 'admin' WHERE name = 'Dan'"))
            open_to_all(session)
            set_numbers(session, "rate_limit", kinds={}, others=1_000_000)
            set_numbers(session, "agent_kinds", may={a: ["slack.post"] for a in (*AGENTS, "Notifications")})
            connect(session, cast.actor("Dave"), self.remote.keys, self.remote.smtp_config)
            # nobody is told by mail: it would wait behind the switch like all else, and only blur the count
            session.execute(
                text(
                    "INSERT INTO notification_preferences (org_id, user_id, channel, pace) "
                    "SELECT org_id, id, 'app_only', 'at_once' FROM users"
                )
            )
        self.dave, self.dan = cast.actor("Dave"), cast.actor("Dan")
        self.remote.mode(POST, f"slow:{EFFECT_S}")
        self.number, self.stopped = 0, threading.Event()
        self._end = threading.Event()
        for n in range(WORKERS):
            self._start("-m", "worker.main", "interactive", str(n + 1))
        self._start("-m", "worker.clock")

    def _start(self, *argv: str) -> None:
        # their own folder, so that its `.env` is theirs
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self.stack.processes.append(
            subprocess.Popen(
                [sys.executable, *argv], cwd=self.stack.folder, env=environment, stdout=self.stack.log, stderr=self.stack.log
            )
        )

    def propose(self, many: int) -> None:
        """Approved actions of every organisation and agent in turn."""
        with database.transaction(STAFF) as session:
            for _ in range(many):
                self.number += 1
                org_id, agent = ORGS[self.number % 2], AGENTS[self.number // 2 % 2]
                payload = {"channel": "#sales", "text": f"Number {self.number}"}
                actions.propose(session, Proposal("slack.post", payload, Actor(agent), org_id=org_id, agent=agent))

    def feed(self) -> threading.Thread:
        """Keep the workers busy until `rest`."""

        def work() -> None:
            fed = 0
            while not self._end.wait(0.05):
                fed = fed if self.stopped.is_set() else 0
                if sql(READY)[0][0] < 2 * WORKERS and fed < WORKERS:
                    self.propose(WORKERS)
                    fed += WORKERS * self.stopped.is_set()

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def rest(self, feeder: threading.Thread) -> None:
        self._end.set()
        feeder.join()

    # ---- flips

    def flip(self, way: str, chance: random.Random) -> Flip:
        """Off, for a little longer than the limit, and on again."""
        self.stopped.set()
        org_id = chance.choice(ORGS) if way == "organisation" else None
        agent = chance.choice(AGENTS) if way == "agent" else None
        if way == "environment":
            self._write("OPS_KILL_SWITCH=1\n")
            at = time.time()
            time.sleep(STOPPED_S)
            until_ = time.time()
            self.env.unlink()
        else:
            made = self.pull(Reach(way), org_id, agent)
            at = time.time()
            time.sleep(STOPPED_S)
            until_ = time.time()
            self.resume(made, two=way == "everything")
        self.stopped.clear()
        return Flip(way, at, until_, org_id, agent)

    def _write(self, said: str) -> None:
        other = self.env.with_suffix(".new")
        other.write_text(said)
        other.rename(self.env)

    def pull(self, reach: Reach, org_id: UUID | None = None, agent: str | None = None) -> int:
        with database.transaction(STAFF) as session:
            return switches.pull(session, reach, "The benchmark flips it.", self.dave, org_id=org_id, agent=agent).id

    def resume(self, switch_id: int, *, two: bool) -> None:
        for by in (self.dan, self.dave) if two else (self.dave,):
            with database.transaction(STAFF) as session:
                switches.resume(session, switch_id, by)

    def starts(self) -> list[tuple[float, UUID, str]]:
        """When each effect started at the vendor, with its organisation and agent."""
        known = {str(r[0]): (r[1], r[2]) for r in sql("SELECT effect_key, org_id, agent FROM actions")}
        return [(c["at"], *known[str(c["key"])]) for c in self.remote.calls if c["endpoint"] == POST]


def judge(flips: Sequence[Flip], starts: Sequence[tuple[float, UUID, str]]) -> Seen:
    """How late effects started after the flips that reach them."""
    seen = Seen(starts=len(starts))
    for flip in flips:
        mine = [at for at, org_id, agent in starts if flip.reaches(org_id, agent)]
        seen.late[flip.way] += [at - flip.at for at in mine if flip.at <= at < flip.until]
        seen.busy += any(flip.at - EFFECT_S <= at < flip.at for at in mine)
    return seen


def burst(house: House, held: int) -> tuple[int, float, int]:
    """After a resume with so many held: (most starts within ten seconds, seconds to the last one, how many started)."""
    switch = house.pull(Reach.EVERYTHING)
    house.propose(held)
    until(lambda: sql(HELD_NOW)[0][0] >= held and sql(READY)[0][0] == 0, 120, "held", 0.2)
    house.resume(switch, two=True)
    began = time.time()
    until(lambda: sql(OPEN)[0][0] == 0, 60 + held, "all that was held is done", 0.5)
    at = sorted(a for a, *_ in house.starts() if a >= began)
    most = max(sum(1 for b in at if a <= b < a + 10) for a in at)
    return most, at[-1] - began, len(at)


def run(house: House, flips: int, held: int, seed: int = 1) -> tuple[Seen, list[Flip], tuple[int, float, int]]:
    """All flips, then the resume with many held."""
    chance = random.Random(seed)
    ways = [WAYS[n % len(WAYS)] for n in range(flips)]
    chance.shuffle(ways)
    feeder = house.feed()
    try:
        until(lambda: len(house.remote.calls) > 2 * WORKERS, 240, "the workers are busy", 0.1)
        done = []
        for way in ways:
            until(lambda: sql(UNDER_WAY)[0][0] >= 2, 60, "workers are busy", 0.02)
            time.sleep(chance.uniform(0.0, EFFECT_S))
            done.append(house.flip(way, chance))
    finally:
        house.rest(feeder)
    # what the environment held goes on within a minute, by itself; what switches held, a few at a time
    slowly = sql(OPEN)[0][0] / actions.RELEASE_AT_ONCE * actions.RELEASE_EVERY.total_seconds()
    until(lambda: sql(OPEN)[0][0] == 0, 240 + 1.5 * slowly, "all that was held by a flip is done", 0.5)
    return judge(done, house.starts()), done, burst(house, held)


def main(flips: int = FLIPS, held: int = HELD) -> int:
    """Print the numbers. 1 when one of them is wrong."""
    with Stack() as stack:
        house = House(stack)
        try:
            seen, done, (most, took_s, went) = run(house, flips, held)
            doubles, calls = house.remote.doubles(), len(house.remote.calls)
            ended = dict(sql("SELECT state, count(*) FROM actions GROUP BY state"))
        finally:
            house.remote.close()
    rows = []
    for way, late in seen.late.items():
        many = sum(f.way == way for f in done)
        worst, usual = max(late, default=0.0), percentile(late, 0.5) if late else 0.0
        rows.append((way, many, len(late), f"{usual * 1000:.0f} ms", f"{worst * 1000:.0f} ms"))
    table(
        f"{len(done)} flips over {WORKERS} workers, effects of {EFFECT_S * 1000:.0f} ms, {seen.starts:,} effects, "
        f"{seen.busy} flips met one on the wire",
        ("flipped by", "flips", "effects that started after it", "p50 after", "latest after"), rows,
    )  # fmt: skip
    fine = (seen.worst_s <= LIMIT_S, not doubles and set(ended) == {"done"}, most <= BURST)
    burst_of = f"{went} held, gone in {took_s:.0f} s"
    result("kill switch: latest start of an effect after a flip", seen.worst_s, "s", f"{len(done)} flips", LIMIT_S, fine[0])
    result("kill switch: effects lost or done twice", len(doubles), "effects", f"{calls} calls, {ended}", 0, fine[1])
    result("kill switch: most starts within 10 s of a resume", most, "effects", burst_of, BURST, fine[2])
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main(*(int(a) for a in sys.argv[1:])))
