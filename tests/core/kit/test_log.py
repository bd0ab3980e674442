"""What a log line may never hold."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os
from core.kit import log
{setup}
token = os.environ["THE_TOKEN"]
try:
    raise ValueError("the vendor said no")
except ValueError:
    log.get("test").exception("failed")
"""


@pytest.mark.parametrize("setup", ["", "log.configure('test')"], ids=["a command", "a process"])
def test_a_traceback_shows_no_values(setup):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(setup=setup)],
        env={**os.environ, "THE_TOKEN": "swordfish-4711"}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "the vendor said no" in done.stderr
    assert "swordfish-4711" not in done.stderr
