"""A period that begins at `clock_timestamp()` bounds no index, since its value may differ from row to row: every row is read."""

import re
from pathlib import Path

PERIOD = re.compile(r"[<>]=? (?:func\.)?clock_timestamp\(\) -.*")
ONE_ROW = {Path("core/domains/users/signin.py"), Path("core/domains/users/keys.py")}
"""Where it is compared in a row that is found by its key."""


def test_no_period_is_counted_from_a_moment_that_bounds_no_index():
    files = (f for place in ("core", "app", "worker", "pages") for f in Path(place).rglob("*.py") if f not in ONE_ROW)
    found = [f"{file}: {match}" for file in files for match in PERIOD.findall(file.read_text())]
    assert found == [], "write statement_timestamp()"
