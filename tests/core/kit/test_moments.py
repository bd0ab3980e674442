"""A period that begins at `clock_timestamp()` bounds no index, since its value may differ from row to row: every row is read."""

import re
from pathlib import Path

PERIOD = re.compile(r"[<>]=? (?:func\.)?clock_timestamp\(\) -")
ONE_ROW = "func.coalesce("
"""What is compared so stands in a row that is found by its key; no index holds it."""


def test_no_period_is_counted_from_a_moment_that_bounds_no_index():
    files = [f for place in ("core", "app", "worker", "pages") for f in Path(place).rglob("*.py")]
    lines = [(f, line.strip()) for f in files for line in f.read_text().splitlines() if PERIOD.search(line)]
    assert [(str(f), line) for f, line in lines if ONE_ROW not in line] == [], "write statement_timestamp()"
