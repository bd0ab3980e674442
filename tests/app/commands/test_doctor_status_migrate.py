"""What `ops status`, `ops doctor` and `ops migrate` say and with which exit code, well and unwell."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from core.config import get_settings
from core.kit.db import STAFF, transaction
from core.models import SHARED_TABLES
from core.runtime.runs.heartbeats import beat
from core.runtime.system import checks
from core.runtime.system.checks import Verdict
from core.runtime.system.queries import read_health
from tests.app.commands.conftest import run

pytestmark = pytest.mark.usefixtures("db")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Settings that a test may bend; as they were afterwards."""
    yield monkeypatch
    monkeypatch.undo()
    get_settings.cache_clear()


def test_status_is_well_only_when_clock_watchdog_and_a_worker_beat() -> None:
    found = json.loads(run("status", "--json").output)
    assert found["healthy"] is False
    assert len([p for p in found["problems"] if p.startswith("No ")]) == 3
    with transaction(STAFF) as session:
        for name in ("clock", "watchdog", "worker-agents-1"):
            beat(session, name)
    result = run("status", "--json")
    found = json.loads(result.output)
    assert (found["healthy"], found["problems"], result.exit_code) == (True, [], 0)
    assert found["database"]["ok"]
    assert found["database"]["at_head"]
    assert set(found["redis"]["queues"]) == {"interactive", "agents", "background"}
    assert found["clock_heartbeat_age_s"] < 5
    assert found["processes"][0]["rss_mb"] > 10
    assert "All well." in run("status").output


def test_a_silent_process_is_told() -> None:
    with transaction(STAFF) as session:
        for name in ("clock", "watchdog", "worker-agents-1"):
            beat(session, name)
        session.connection().exec_driver_sql("UPDATE heartbeats SET at = at - interval '2 minutes' WHERE process = 'clock'")
    result = run("status")
    assert result.exit_code == 1
    assert "clock is running but silent" in result.output


def test_status_without_a_database_still_answers(elsewhere: pytest.MonkeyPatch) -> None:
    elsewhere.setenv("DATABASE_URL", "postgresql://ops_app:x@127.0.0.1:1/ops")
    get_settings.cache_clear()
    found = read_health()
    assert not found.database.ok
    assert found.redis.ok
    assert not found.healthy


def test_doctor_finds_a_table_without_a_policy() -> None:
    with psycopg.connect(str(get_settings().database_admin_url), autocommit=True) as connection:
        connection.execute("ALTER TABLE deals NO FORCE ROW LEVEL SECURITY")
        try:
            bad = {c.name: c for c in checks.in_database(SHARED_TABLES)}["Row-level security"]
        finally:
            connection.execute("ALTER TABLE deals FORCE ROW LEVEL SECURITY")
    assert (bad.verdict, "deals" in bad.said) == (Verdict.PROBLEM, True)
    assert {c.verdict for c in checks.in_database(SHARED_TABLES)} == {Verdict.OK}


def test_doctor_warns_of_an_owner_that_steps_down(elsewhere: pytest.MonkeyPatch) -> None:
    elsewhere.setenv("DATABASE_URL", str(get_settings().database_admin_url))
    get_settings.cache_clear()
    role = checks.in_database(SHARED_TABLES)[0]
    assert (role.verdict, "steps down" in role.said) == (Verdict.WARNING, True)


def test_doctor_says_that_no_worker_took_the_run(elsewhere: pytest.MonkeyPatch) -> None:
    elsewhere.setattr(checks, "NOOP_WITHIN_S", 0.2)
    answers = json.loads(run("doctor", "--json").output)
    by_name = {c["name"]: c for c in answers["checks"]}
    assert not answers["ok"]
    assert by_name["A run, end to end"]["verdict"] == "problem"
    assert by_name["Model"]["verdict"] == "warning"
    assert all(c["next_step"] for c in answers["checks"] if c["verdict"] != "ok")
    assert run("doctor").exit_code == 1


def test_migrate_says_when_there_is_nothing_to_do() -> None:
    result = run("migrate")
    assert result.exit_code == 0
    assert "nothing to do" in result.output


WRONG = [
    ({"DATABASE_URL": "mysql://x"}, "not a PostgreSQL address"),
    ({"DATABASE_URL": "postgresql://u:p@no-such-host.invalid:5432/x"}, "host name is unknown"),
    ({"DATABASE_URL": "postgresql://u:p@127.0.0.1:1/x"}, "nothing listens there"),
    ({"DATABASE_URL": "BAD PASSWORD"}, "user or password is wrong"),
    ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "does not answer"),
    ({"REDIS_URL": "ftp://x"}, "not a Redis address"),
    ({"OPS_WEB_PORT": "TAKEN"}, "is taken by another program"),
    ({"OPS_WEB_PORT": "ninety"}, "OPS_WEB_PORT is set to 'ninety'"),
    ({"OPS_STATE_DIR": "/proc/nowhere"}, "can't be written"),
    ({"OPS_PROCFILE": "/nowhere/Procfile"}, "can't be read"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("env", "sentence"), WRONG, ids=[s for _, s in WRONG])
def test_ops_up_with_wrong_settings_is_one_sentence(env: dict[str, str], sentence: str, tmp_path: Path) -> None:
    owner = str(get_settings().database_admin_url)
    taken = owner.rsplit(":", 1)[1].split("/")[0]
    filled = {k: {"BAD PASSWORD": owner.replace("ops_owner:", "ops_owner:x"), "TAKEN": taken}.get(v, v) for k, v in env.items()}
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_URL") and not k.startswith("OPS_")}
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "up"],
        env={**kept, "OPS_STATE_DIR": str(tmp_path), **filled}, cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
