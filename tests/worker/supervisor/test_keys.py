"""Real `ops up` and the keys of stored secrets: made at the first start, needed at every other."""

import signal
from pathlib import Path

import psycopg
import pytest

from tests.tools.waiting import until
from tests.worker.supervisor.test_faults import Up, state

__all__ = ["state"]
pytestmark = [pytest.mark.faults, pytest.mark.slow]
TOKEN = "xoxb-canary-of-the-supervisor"


def ready(up: Up) -> Up:
    until(lambda: up.process.poll() is not None or (up.runtime().get("pid") == up.process.pid and up.runtime()["ready"]), 180)
    return up.ready()


def stop(up: Up) -> None:
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(20) == 0


def connections(up: Up) -> list[tuple[str, str]]:
    with psycopg.connect(up.runtime()["database_admin_url"]) as connection:
        connection.execute("SELECT set_config('app.scope', 'staff', true)")
        return connection.execute("SELECT vendor, name FROM connections").fetchall()


def test_keys_are_made_once_and_a_start_without_them_is_refused(state: Path) -> None:
    up = ready(Up(state, SLACK_BOT_TOKEN=TOKEN, RESEND_API_KEY="re_without_a_sender"))
    keys = state / "secret.keys"
    assert keys.stat().st_mode & 0o777 == 0o600
    until(lambda: "MAIL_FROM is not" in up.log.read_text())
    until(lambda: connections(up) == [("slack", "environment")])
    stop(up)

    kept = keys.read_bytes()
    keys.unlink()
    up = Up(state)
    assert up.process.wait(120) == 1
    assert "There are no keys for stored secrets" in up.log.read_text()
    assert "ops doctor" in up.log.read_text()
    assert not up.alive()
    assert not keys.exists()

    keys.write_bytes(kept)
    up = ready(Up(state))
    until(lambda: connections(up) == [])  # the variable is gone
    stop(up)
    assert TOKEN not in up.log.read_text()
