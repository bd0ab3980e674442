"""How long 8,800 opportunities take to import: a first time, again unchanged, and with one row changed. Own data, own server."""

import os
import random
import shutil
import statistics
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from benchmarks import results

ROWS, ROUNDS, TARGET_S = 8_800, 5, 5.0
HEADER = "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value\n"


def make_file() -> bytes:
    """As untidy as a real export: US dates, blanks, two spellings of a product, four stages."""
    chance = random.Random(8)
    lines = [HEADER]
    for n in range(ROWS):
        stage = chance.choices(("Won", "Lost", "Engaging", "Prospecting"), (48, 28, 18, 6))[0]
        engaged = date(2025, 10, 1) + timedelta(days=chance.randrange(400))
        opened = "" if stage == "Prospecting" else f"{engaged.month}/{engaged.day}/{engaged.year}"
        done = engaged + timedelta(days=chance.randrange(1, 140))
        closed = f"{done.month}/{done.day}/{done.year}" if stage in ("Won", "Lost") else ""
        value = str(chance.randrange(38, 30_000)) if stage == "Won" else "0" if stage == "Lost" else ""
        account = "" if chance.random() < 0.16 else f"Account {chance.randrange(85)}"
        product = chance.choice(("GTXPro", "GTX Pro", "MG Special", "GTX Basic"))
        lines.append(f"B{n:05d},Agent {chance.randrange(30)},{product},{account},{stage},{opened},{closed},{value}\n")
    return "".join(lines).encode()


def measure(data: bytes) -> dict[str, list[float]]:
    """Seconds by kind of import; the tables are emptied before each first import."""
    from sqlalchemy import text

    from core.domains.crm import importer
    from core.kit import db
    from core.kit.actor import SYSTEM
    from core.kit.db import STAFF

    def once(name: str, source: bytes, expected: tuple[int, int, int]) -> None:
        started = time.perf_counter()
        with db.transaction(STAFF) as session:
            done = importer.run_import(session, source, importer.Options(), by=SYSTEM)
        took.setdefault(name, []).append(time.perf_counter() - started)
        if (done.created, done.updated, done.unchanged) != expected or done.rejected_total:
            raise SystemExit(f"{name}: the import counted {done.created, done.updated, done.unchanged}, not {expected}")

    took: dict[str, list[float]] = {}
    changed = data.replace(b",Prospecting,,,\n", b",Lost,,12/31/2026,0\n", 1)
    for _ in range(ROUNDS):
        with db.transaction(STAFF) as session:
            session.execute(text("DELETE FROM deals"))
            session.execute(text("DELETE FROM stages"))
        once("first", data, (ROWS, 0, 0))
        once("again", data, (0, 0, ROWS))
        once("one row changed", changed, (0, 1, ROWS - 1))
    return took


def main() -> None:
    from alembic import command
    from alembic.config import Config

    from core.config import get_settings
    from core.kit.embedded import Postgres

    folder = Path(tempfile.mkdtemp(prefix="ops-bench-"))
    folder.chmod(0o755)
    postgres = Postgres(folder / "postgres")
    try:
        postgres.start()
        alembic = Config("alembic.ini")
        alembic.attributes["url"] = postgres.owner_url
        command.upgrade(alembic, "head")
        os.environ["DATABASE_URL"] = postgres.app_url
        get_settings.cache_clear()
        took = measure(make_file())
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)
    results.table(
        f"Import of {ROWS:,} opportunities from CSV ({ROUNDS} rounds)",
        ("import", "median s", "slowest s", "rows/s"),
        [(n, f"{statistics.median(t):.2f}", f"{max(t):.2f}", f"{ROWS / statistics.median(t):,.0f}") for n, t in took.items()],
    )
    slowest = max(took["first"])
    results.result("import_8800_s", slowest, "s", "target", TARGET_S, slowest <= TARGET_S)


if __name__ == "__main__":
    main()
