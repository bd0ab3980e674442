"""Windows and ceilings stay exact with many real workers at once. Breaking a lock or what counts turns these red."""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions.models import Action
from tests.cast import make_cast
from tests.core.runtime.policies import making
from tests.gates import open_to_all, set_numbers

pytestmark = [pytest.mark.usefixtures("db"), pytest.mark.slow, pytest.mark.timeout(240)]
PROCESSES, THREADS = 4, 8


def crowd(log: Path, seconds: float = 60, *, lock: bool = True) -> None:
    """32 workers in four processes, until every action has its end."""
    argv = [
        sys.executable,
        "-m",
        "tests.core.runtime.policies.crowd",
        str(log),
        str(THREADS),
        str(seconds),
        "lock" if lock else "no",
    ]
    running = [subprocess.Popen(argv, stderr=subprocess.PIPE) for _ in range(PROCESSES)]
    for process in running:
        _, said = process.communicate(timeout=seconds + 90)
        assert process.returncode == 0, said.decode()[-2000:]


def arrived(log: Path) -> list[tuple[int, str, int, tuple[str, ...], float]]:
    """What the vendor got: (action, organisation, cost, people, when)."""
    rows = []
    for line in log.read_text().splitlines():
        action, org, cost, people, at = line.split()
        rows.append((int(action), org, int(cost), tuple(people.split(",")), float(at)))
    return rows


def most_within(instants: Sequence[float], window: float) -> int:
    """The most that lie within any window of that length, by sliding it over all of them."""
    ranked = sorted(instants)
    first = most = 0
    for last, at in enumerate(ranked):
        while ranked[first] <= at - window:
            first += 1
        most = max(most, last - first + 1)
    return most


def states() -> dict[str, int]:
    with database.transaction(STAFF) as session:
        return {r[0]: r[1] for r in session.execute(select(Action.state, func.count()).group_by(Action.state))}


@pytest.mark.parametrize(
    ("cap", "window", "many"), [(20, 1.5, 50), pytest.param(30, 3.0, 100, marks=pytest.mark.soak)], ids=["some", "many"]
)
def test_never_more_than_the_cap_in_any_window_and_none_is_dropped(tmp_path: Path, cap: int, window: float, many: int) -> None:
    with database.transaction(STAFF) as session:
        make_cast(session)
        open_to_all(session)
        set_numbers(session, "rate_limit", kinds={"mail.send": cap}, window_s=window)
        for n in range(many):
            making.action(session, recipients=[f"person{n}@northwind.example"])
    crowd(tmp_path / "log")
    rows = arrived(tmp_path / "log")
    assert states() == {"done": many}
    assert sorted(r[0] for r in rows) == sorted({r[0] for r in rows})
    assert len(rows) == many
    assert most_within([r[-1] for r in rows], window) <= cap
    with database.transaction(STAFF) as session:
        times = session.execute(
            text("SELECT inputs->>'free_at' FROM policy_verdicts WHERE policy = 'rate_limit' AND verdict = 'defer'")
        ).all()
    assert times, "a test that defers nobody proves nothing"


def test_without_the_locks_the_cap_is_passed(tmp_path: Path) -> None:
    """The negative control of all tests here."""
    with database.transaction(STAFF) as session:
        make_cast(session)
        open_to_all(session)
        set_numbers(session, "rate_limit", kinds={"mail.send": 5}, window_s=2.0)
        for n in range(60):
            making.action(session, recipients=[f"person{n}@northwind.example"])
    crowd(tmp_path / "log", seconds=3, lock=False)
    assert most_within([r[-1] for r in arrived(tmp_path / "log")], 2.0) > 5


def test_a_person_gets_no_more_than_the_ceiling_from_all_senders(tmp_path: Path) -> None:
    with database.transaction(STAFF) as session:
        make_cast(session)
        open_to_all(session)
        set_numbers(session, "contact_ceiling", quiet=False, week=3, month=50)
        orgs = [making.client(session, name) for name in ("One", "Two", "Three")]
        people = ("ann@northwind.example", "bob@northwind.example", "cy@cornerstone.example")
        for n in range(60):
            making.action(
                session, org_id=orgs[n % 3], recipients=[people[n % 3], people[(n // 3) % 3]] if n % 2 else [people[n % 3]],
                marketing=True,
            )  # fmt: skip
    crowd(tmp_path / "log")
    reached: dict[str, int] = defaultdict(int)
    for row in arrived(tmp_path / "log"):
        for person in set(row[3]):
            reached[person] += 1
    assert set(reached.values()) <= {2, 3}
    assert max(reached.values()) == 3


def test_money_stays_below_its_ceilings(tmp_path: Path) -> None:
    with database.transaction(STAFF) as session:
        make_cast(session)
        open_to_all(session)
        set_numbers(session, "money_ceilings", action={"USD": 3000}, day={"USD": 10_000}, week={"USD": 12_000})
        set_numbers(session, "two_people", start={"USD": 1_000_000})
        for n in range(60):
            making.action(session, kind="ads.spend", recipients=[], audience="nobody", cost_minor=700 + n % 5 * 300)
        set_numbers(session, "rate_limit", others=1000)
    crowd(tmp_path / "log", seconds=20)
    spent = sum(r[2] for r in arrived(tmp_path / "log"))
    assert 9000 < spent <= 10_000
    assert set(states()) == {"done", "denied"}
