"""Five years of schedules with two clocks that jump: is every slot there exactly once?

`python -m benchmarks.schedules [--years 5] [--examples 60]`. The product's own `tick` runs on a real database, called by two
clocks (threads) whose time jumps by one second to 25 hours in both directions. What the ledger then holds is compared with
an oracle that knows nothing of the product: it walks every UTC minute of the years and looks at the wall clock. Hypothesis
then looks for a sequence of steps and jumps, mostly around nights in which the clocks change, that breaks it.
"""

import argparse
import random
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update

from benchmarks.harness import Stack, result, table
from tests.core.runtime.schedules.oracle import Oracle

ZONES = ("America/New_York", "Europe/London", "Australia/Lord_Howe", "UTC")
JOBS = {
    "ceo-morning-brief": "0 7 * * 1-5",
    "sales-pipeline-review": "0 8 * * 1-5",
    "build-queue-check": "0 9 * * 1-5",
    "delivery-health-check": "0 9 * * 1-5",
    "weekly-ceo-report": "0 8 * * 1",
    "monthly-client-reports": "0 9 1 * *",
    "marketing-content-pipeline": "0 10 * * 1",
    "every-four-hours": "0 */4 * * *",
    "hourly": "0 * * * *",
    "half-past-two": "30 2 * * *",
}
POLICIES = (("all", "queue"), ("latest", "skip"), ("none", "skip"), ("all", "skip"))
FIRST_YEAR = 2027
MAX_JUMP_S = 25 * 3600


def name_of(zone: str, job: str) -> str:
    return f"{zone.replace('/', '-').replace('_', '-').lower()}-{job}"


def jump(chance: random.Random) -> timedelta:
    """One second to 25 hours, all sizes alike, in either direction."""
    seconds = MAX_JUMP_S ** chance.random()
    return timedelta(seconds=round(seconds) * chance.choice((-1, 1)))


class Bench:
    """The schedules, the oracle, and what was found."""

    def __init__(self, years: int, seed: int) -> None:
        self.start = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
        self.end = datetime(FIRST_YEAR + years, 1, 1, tzinfo=UTC)
        self.chance = random.Random(seed)
        began = time.monotonic()
        crons = sorted(set(JOBS.values()))
        # a month more on both sides, for windows that jump over the ends
        margin = timedelta(days=31)
        self.oracles = {z: Oracle(z, crons, self.start - margin, self.end + margin) for z in ZONES}
        self.oracle_s = time.monotonic() - began
        self.ids: dict[tuple[str, str], int] = {}

    def make_schedules(self) -> None:
        from core.kit import db
        from core.kit.db import STAFF
        from core.runtime.orgs.models import AGENCY_ID
        from core.runtime.runs.probes import NOOP
        from core.runtime.schedules.models import Schedule

        with db.transaction(STAFF) as session:
            for place, zone in enumerate(ZONES):
                for number, (job, cron) in enumerate(JOBS.items()):
                    # so that every job has another policy in each zone
                    catch_up, overlap = POLICIES[(place + number) % len(POLICIES)]
                    schedule = Schedule(
                        org_id=AGENCY_ID, name=name_of(zone, job), title=job, department="bench", agent="Bench", kind=NOOP,
                        task="Nothing.", cron=cron, time_zone=zone, catch_up=catch_up, overlap=overlap,
                    )  # fmt: skip
                    session.add(schedule)
                    session.flush()
                    self.ids[zone, job] = schedule.id

    def reset(self, cursor: datetime, zones: Iterable[str] = ZONES) -> None:
        """Nothing has run; these zones' schedules count from `cursor`, the others are off."""
        from core.kit import db
        from core.kit.db import STAFF
        from core.runtime.schedules.models import Schedule

        with db.transaction(STAFF) as session:
            session.execute(text("DELETE FROM runs"))
            session.execute(update(Schedule).values(enabled=False))
            session.execute(
                update(Schedule).where(Schedule.time_zone.in_(list(zones))).values(enabled=True, cursor=cursor, next_due_at=None)
            )

    def compare(self, after: datetime, until: datetime, zones: Iterable[str] = ZONES) -> dict[str, list[int]]:
        """By zone: slots of the oracle, missed, double, false, and of the ledger run, missed (by policy), coalesced."""
        from core.kit import db
        from core.kit.db import STAFF
        from core.runtime.runs.models import Run

        found: dict[int, dict[datetime, list[str]]] = {}
        with db.transaction(STAFF) as session:
            wanted = select(Run.schedule_id, Run.due_at, Run.reason).where(Run.due_at > after, Run.due_at <= until)
            for schedule_id, due_at, reason in session.execute(wanted):
                found.setdefault(schedule_id, {}).setdefault(due_at.astimezone(UTC), []).append(reason or "run")
        sums = {}
        for zone in zones:
            row = [0] * 7
            for job, cron in JOBS.items():
                expected = set(self.oracles[zone].between(cron, after, until))
                ledger = found.get(self.ids[zone, job], {})
                words = [w for slot in ledger.values() for w in slot]
                row[0] += len(expected)
                row[1] += len(expected - ledger.keys())
                row[2] += sum(len(w) - 1 for w in ledger.values())
                row[3] += len(ledger.keys() - expected)
                for column, word in enumerate(("run", "missed", "coalesced"), 4):
                    row[column] += words.count(word)
            sums[zone] = row
        return sums


def turn(now: datetime) -> int:
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.schedules.service import tick

    with db.transaction(STAFF) as session:
        return tick(session, now)


def drain(now: datetime) -> None:
    """Turn until nothing is due any more."""
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.schedules.models import Schedule

    due = select(func.count()).where(Schedule.enabled, func.coalesce(Schedule.next_due_at, now) <= now)
    while True:
        turn(now)
        with db.transaction(STAFF) as session:
            if not session.execute(due).scalar_one():
                return


def five_years(bench: Bench) -> tuple[dict[str, list[int]], int, int, float]:
    """Two clocks in two threads through all years. Returns the comparison, turns, jumps and seconds."""
    bench.reset(bench.start)
    steps, at = [], bench.start
    while at < bench.end:
        at += timedelta(seconds=bench.chance.choice((60, 3600, 6 * 3600, 86400, 4 * 86400)) * bench.chance.uniform(0.5, 2))
        steps.append(min(at, bench.end))
    together = threading.Barrier(2)
    counts = {"turns": 0, "jumps": 0}
    failures: list[BaseException] = []

    def clock(seed: float) -> None:
        chance, skew = random.Random(seed), timedelta()
        try:
            for step in steps:
                if chance.random() < 0.3:
                    skew = jump(chance) if chance.random() < 0.7 else timedelta()
                    counts["jumps"] += 1
                together.wait(120)
                turn(step + skew)
                counts["turns"] += 1
        except BaseException as error:
            failures.append(error)
            together.abort()

    began = time.monotonic()
    threads = [threading.Thread(target=clock, args=(bench.chance.random(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    drain(bench.end)
    return bench.compare(bench.start, bench.end), counts["turns"], counts["jumps"], time.monotonic() - began


def search(bench: Bench, examples: int) -> tuple[int, int]:
    """Let Hypothesis look for steps and jumps that lose or double a slot; it raises when it finds one.

    Returns how many sequences and slots it tried.
    """
    tried = {"examples": 0, "slots": 0}
    changes = _nights_the_clocks_change(bench)
    move = st.tuples(
        st.sampled_from((30, 300, 900, 1800, 3600, 6 * 3600, 86400)),
        st.integers(0, 1),
        st.one_of(st.just(0), st.integers(-MAX_JUMP_S, MAX_JUMP_S), st.integers(-3600, 3600)),
    )

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        zone=st.sampled_from(ZONES),
        change=st.integers(0, 10**6),
        before_s=st.integers(0, 2 * 86400),
        moves=st.lists(move, min_size=3, max_size=25),
    )
    def holds(zone: str, change: int, before_s: int, moves: list[tuple[int, int, int]]) -> None:
        nights = changes[zone]
        start = nights[change % len(nights)] - timedelta(seconds=before_s)
        bench.reset(start, [zone])
        now, skews = start, [timedelta(), timedelta()]
        for step_s, which, skew_s in moves:
            now += timedelta(seconds=step_s)
            skews[which] = timedelta(seconds=skew_s)
            turn(now + skews[which])
        drain(now)
        slots, missed, double, wrong, *_ = bench.compare(start, now, [zone])[zone]
        tried["examples"] += 1
        tried["slots"] += slots
        assert (missed, double, wrong) == (0, 0, 0), (zone, start, moves)

    holds()
    return tried["examples"], tried["slots"]


def _nights_the_clocks_change(bench: Bench) -> dict[str, list[datetime]]:
    """Midnights UTC after which a zone's offset is another one; for a zone without any, the turns of the months."""
    from zoneinfo import ZoneInfo

    found: dict[str, list[datetime]] = {}
    days = (bench.end - bench.start).days
    for zone in ZONES:
        place = ZoneInfo(zone)
        all_days = [bench.start + timedelta(days=d) for d in range(2, days)]
        found[zone] = [
            d for d in all_days if d.astimezone(place).utcoffset() != (d + timedelta(days=1)).astimezone(place).utcoffset()
        ]
        found[zone] = found[zone] or [d for d in all_days if d.day == 1]
    return found


def idle_ms() -> float:
    """What a turn costs when nothing is due, in milliseconds (median of 200)."""
    times = []
    for _ in range(200):
        began = time.perf_counter()
        turn(datetime(FIRST_YEAR - 5, 1, 1, tzinfo=UTC))
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)[100]


def two_days_down(bench: Bench) -> tuple[int, float]:
    """A schedule for every minute after two days: turns until it has caught up, and the longest of them in milliseconds."""
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.schedules.models import Schedule

    bench.reset(bench.start, ["UTC"])
    with db.transaction(STAFF) as session:
        session.execute(
            update(Schedule)
            .where(Schedule.name == name_of("UTC", "hourly"))
            .values(cron="* * * * *", catch_up="latest", overlap="skip")
        )
    now, turns, longest, made = bench.start + timedelta(days=2), 0, 0.0, 1
    while made:
        began = time.perf_counter()
        made = turn(now)
        longest = max(longest, (time.perf_counter() - began) * 1000)
        turns += bool(made)
    return turns, longest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--examples", type=int, default=60, help="how many sequences Hypothesis tries")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given_ = parser.parse_args()
    bench = Bench(given_.years, given_.seed)
    print(
        f"oracle: every minute of {given_.years} years in {len(ZONES)} zones walked in {bench.oracle_s:.0f} s; seed {given_.seed}"
    )
    with Stack():
        from core import registry
        from core.runtime.runs import wake

        registry.load()
        wake.push = lambda *_: False  # no worker here, and a quarter of a million messages for none
        bench.make_schedules()
        sums, turns, jumps, seconds = five_years(bench)
        columns = ("zone", "slots by the oracle", "missed", "double", "false", "run", "missed by policy", "coalesced")
        table(
            f"{given_.years} years, {len(JOBS)} jobs a zone, two clocks, {jumps:,} jumps",
            columns,
            [(z, *r) for z, r in sums.items()],
        )
        slots, missed, double, wrong = (sum(r[i] for r in sums.values()) for i in range(4))
        examples, tried = search(bench, given_.examples)
        idle = idle_ms()
        down_turns, down_ms = two_days_down(bench)
    rate = slots / seconds
    print(
        f"{turns:,} turns and {slots:,} slots in {seconds:.0f} s; "
        f"Hypothesis: {examples} sequences, {tried:,} slots, none broke it"
    )
    against = f"{slots:,} slots of a brute-force oracle over zoneinfo"
    result("schedules.missed", missed, "slots", against, 0, missed == 0)
    result("schedules.double", double, "slots", against, 0, double == 0)
    result("schedules.false", wrong, "slots", against, 0, wrong == 0)
    result("schedules.searched", examples, "sequences", "Hypothesis, none broke it", given_.examples, examples >= given_.examples)
    result("schedules.slots_per_s", rate, "slots/s", "two clocks on one database", "> 100", rate > 100)
    result("schedules.idle_turn", idle, "ms", f"{len(ZONES) * len(JOBS)} schedules, none due", "< 20", idle < 20)
    result(
        "schedules.two_days_down", down_ms, "ms", f"the longest of {down_turns} turns for 2,880 slots", "< 2000", down_ms < 2000
    )


if __name__ == "__main__":
    main()
