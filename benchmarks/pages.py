"""Every page's script, warm, with 100,000 deals and 50,000 runs: how long it takes and how many queries it makes.

Compared, in the same run, with the same pages over a hundredth of the rows: the number of queries must be the same.
"""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from benchmarks import results
from benchmarks.bulk import fill
from benchmarks.harness import ROOT, Stack

PAGES = sorted(p.stem for p in Path("pages").glob("*.py") if p.stem != "__init__")
WARM_UP, TIMED = 3, 20
TARGET_MS = 100
BIG, SMALL = (100_000, 50_000), (1_000, 500)


@contextmanager
def agency(deals: int, runs: int) -> Iterator[Stack]:
    """A private database with so many rows, and the process's settings pointing at it."""
    from core.kit import db
    from core.runtime.schedules import service as schedules

    with Stack() as stack:
        with db.transaction(db.STAFF) as session:
            schedules.sync_builtin(session)
        fill(stack.postgres.owner_url, deals, runs)
        yield stack
        db.engine().dispose()


def session_token() -> str:
    """A signed-in admin's session."""
    from core.domains.users import service as users
    from core.kit import db

    with db.transaction(db.STAFF) as session:
        user_id = users.ensure_first_admin(session)
        link = users.create_login_link(session, user_id)
        _, token = users.redeem_link(session, link, "benchmark")
    return token


def _parameters(page: str) -> dict[str, str]:
    """The address of a record in the middle of the data, for the pages that show one."""
    from sqlalchemy import text

    from core.kit import db

    with db.transaction(db.STAFF) as session:
        deal = session.execute(text("SELECT id FROM deals ORDER BY id OFFSET 500 LIMIT 1")).scalar_one()
        run = session.execute(text("SELECT max(id) FROM runs WHERE id % 10 = 0")).scalar_one()
    return {"deal": {"deal": str(deal)}, "run": {"run": str(run)}, "job": {"name": "ceo-morning-brief"}}.get(page, {})


def measure(page: str, token: str) -> tuple[float, float, int]:
    """(median ms, p95 ms, queries of one warm run) of one page's script, dashboard frame included.

    Every few seconds a run also renews what the whole process keeps (health, names of jobs); the least count leaves that out.
    """
    from sqlalchemy import event
    from streamlit.testing.v1 import AppTest

    from core.kit import db

    queries: list[str] = []

    def seen(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        queries.append(statement)

    with patch("app.auth.current.session_token", return_value=token):
        at = AppTest.from_file(str(ROOT / "app" / "dashboard.py"), default_timeout=60)
        for name, value in _parameters(page).items():
            at.query_params[name] = value
        at.run()
        at.switch_page(str(ROOT / "pages" / f"{page}.py"))
        for name, value in _parameters(page).items():
            at.query_params[name] = value
        for _ in range(WARM_UP):
            at.run()
        if at.exception:
            raise RuntimeError(f"{page}: {at.exception[0].message}")
        times, counts = [], []
        event.listen(db.engine(), "before_cursor_execute", seen)
        try:
            for _ in range(TIMED):
                queries.clear()
                begun = time.perf_counter()
                at.run()
                times.append((time.perf_counter() - begun) * 1000)
                counts.append(len(queries))
        finally:
            event.remove(db.engine(), "before_cursor_execute", seen)
    return statistics.median(times), statistics.quantiles(times, n=20)[18], min(counts)


def main() -> None:
    found: dict[str, list[tuple[float, float, int]]] = {page: [] for page in PAGES}
    for deals, runs in (SMALL, BIG):
        with agency(deals, runs):
            token = session_token()
            measure(PAGES[0], token)  # what a process does once in its life is not any page's
            for page in PAGES:
                found[page].append(measure(page, token))
    rows = [
        (page, f"{small[0]:.0f}", f"{small[1]:.0f}", small[2], f"{big[0]:.0f}", f"{big[1]:.0f}", big[2])
        for page, (small, big) in found.items()
    ]
    columns = ("page", "small p50 ms", "small p95 ms", "queries", "big p50 ms", "big p95 ms", "queries ")
    results.table(f"Page scripts, warm: {SMALL} against {BIG} deals and runs", columns, rows)
    worst = max(found, key=lambda page: found[page][1][1])
    results.result("pages.worst_p95", found[worst][1][1], "ms", worst, TARGET_MS, found[worst][1][1] <= TARGET_MS)
    growing = [page for page, (small, big) in found.items() if big[2] != small[2]]
    results.result("pages.query_count_grows", len(growing), "pages", ", ".join(growing) or "none", 0, not growing)


if __name__ == "__main__":
    main()
