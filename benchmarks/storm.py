"""Runs with two effects each, while workers, the clock and Valkey are killed and Valkey is emptied: what is lost or doubled?"""

import contextlib
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg
from redis import Redis
from sqlalchemy import text

from benchmarks.harness import Stack, until

_STATES = text("SELECT state, count(*) FROM runs GROUP BY 1")
_LEFT = text("SELECT count(*) FROM runs WHERE state IN ('queued', 'waiting', 'running')")
_DONE = text("SELECT run_id, count(*) FROM bench_sink WHERE kind = 'done' GROUP BY 1")
_BEGUN = text("SELECT count(*) FROM (SELECT run_id FROM bench_sink WHERE kind = 'begun' GROUP BY 1 HAVING count(*) > 1) AS again")
# by process id: what a dead worker held still says running under its name for a while
_WORKING = text("SELECT DISTINCT h.pid FROM runs r JOIN heartbeats h ON h.process = r.worker WHERE r.state = 'running'")
_WORST = text("SELECT max(rescues), sum(rescues) FROM runs")


@dataclass
class Storm:
    """How it ended. `kills` by what was killed; `states` counts runs; `most_rescues` is the unluckiest run's."""

    runs: int
    kills: dict[str, int] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    twice: int = 0
    begun_again: int = 0
    taken_back: int = 0
    most_rescues: int = 0
    took_s: float = 0.0

    @property
    def killed(self) -> int:
        """All kills; an emptied Valkey is none."""
        return sum(n for what, n in self.kills.items() if what != "FLUSHALL")


@dataclass
class _Supervised:
    """A process that is started again some time after it was killed."""

    start: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes]
    again_at: float | None = None


def make_sink(stack: Stack) -> None:
    """The table of effects."""
    with psycopg.connect(stack.postgres.owner_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE bench_sink (id bigserial PRIMARY KEY, run_id bigint, kind text, at timestamptz DEFAULT now())"
        )
        connection.execute("GRANT SELECT, INSERT ON bench_sink TO ops_app; GRANT USAGE ON bench_sink_id_seq TO ops_app")


def storm(stack: Stack, runs: int, kills: int, *, flushes: int = 1, valkey_kills: int = 0, workers: int = 3, gap_s: float = 0.3,
          limit_s: float = 600, seed: int | None = None) -> Storm:  # fmt: skip
    """Enqueue `runs`, kill at random until `kills` are done and a little longer than that, then wait until all have ended."""
    chance = random.Random(seed)
    make_sink(stack)
    began = time.monotonic()
    told = Storm(runs)
    fleet = [_supervised(lambda n=n: stack.worker("background", n)) for n in range(1, workers + 1)]
    clock = _supervised(stack.clock)
    stack.ready(workers + 1)
    special = ["FLUSHALL"] * flushes + ["Valkey"] * valkey_kills
    plan = special + chance.choices(["worker", "worker, its horse left to die", "clock"], [70, 20, 10], k=kills - valkey_kills)
    chance.shuffle(plan)
    made = 0
    for number, victim in enumerate(plan):
        # enqueued all along, so that every kill meets work
        wanted = min(runs, (number + 8) * runs // (len(plan) + 2))
        while made < wanted:
            stack.enqueue("bench.row" if made % 2 else "bench.row_inline", "row")
            made += 1
        end = time.monotonic() + chance.uniform(0.3, 1.7) * gap_s
        while time.monotonic() < end:
            _restart([*fleet, clock])
            time.sleep(0.02)
        if _strike(stack, victim, fleet, clock, chance):
            told.kills[victim] = told.kills.get(victim, 0) + 1
    while made < runs:
        stack.enqueue("bench.row", "row")
        made += 1
    _settle(stack, [*fleet, clock], limit_s)
    told.took_s = time.monotonic() - began
    return _tally(stack, told)


def _supervised(start: Callable[[], subprocess.Popen[bytes]]) -> _Supervised:
    return _Supervised(start, start())


def _restart(fleet: list[_Supervised]) -> None:
    now = time.monotonic()
    for one in fleet:
        if one.process.poll() is not None and one.again_at is None:
            one.again_at = now
        if one.again_at is not None and now >= one.again_at:
            one.process, one.again_at = one.start(), None


def _strike(stack: Stack, victim: str, fleet: list[_Supervised], clock: _Supervised, chance: random.Random) -> bool:
    if victim == "FLUSHALL":
        Redis.from_url(stack.valkey.url).flushall()
    elif victim == "Valkey":
        stack.valkey.process.kill()
        stack.valkey.process.wait()
        time.sleep(chance.uniform(0, 1))
        stack.valkey.preferred_port = stack.valkey.port
        stack.valkey.start()
    else:
        one = clock if victim == "clock" else _one_at_work(stack, fleet, chance)
        if one is not None and one.process.poll() is None:
            stack.kill(one.process, whole_tree=victim == "worker")
            one.again_at = time.monotonic() + chance.uniform(0, 1)
        else:
            return False
    return True


def _one_at_work(stack: Stack, fleet: list[_Supervised], chance: random.Random) -> _Supervised | None:
    """A worker in the middle of a run: a kill while it starts or rests shows little. None when they don't come to work."""

    def at_work() -> list[_Supervised]:
        _restart(fleet)
        busy = {pid for (pid,) in stack.sql(_WORKING)}
        return [one for one in fleet if one.process.pid in busy and one.process.poll() is None]

    with contextlib.suppress(TimeoutError):
        found = chance.choice(until(at_work, 10))
        time.sleep(chance.uniform(0, 0.03))
        return found
    return None


def _settle(stack: Stack, fleet: list[_Supervised], limit_s: float) -> None:
    def ended() -> bool:
        _restart(fleet)
        return stack.sql(_LEFT)[0][0] == 0

    with contextlib.suppress(TimeoutError):  # what has not ended is counted as lost
        until(ended, limit_s, step_s=0.1)


def _tally(stack: Stack, told: Storm) -> Storm:
    told.states = dict(stack.sql(_STATES))
    done = dict(stack.sql(_DONE))
    told.lost = told.runs - len(done)
    told.twice = sum(many > 1 for many in done.values())
    told.begun_again = stack.sql(_BEGUN)[0][0]
    told.most_rescues, told.taken_back = (int(n or 0) for n in stack.sql(_WORST)[0])
    # a run that says it succeeded without its effect, or the other way round, is lost as well
    told.lost = max(told.lost, told.runs - told.states.get("succeeded", 0))
    return told
