"""The clock and the watchdog as real processes, while they, Redis and the database are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select

from core.config import get_settings
from core.kit import clock, redis
from core.kit import db as database
from core.kit.db import STAFF
from core.kit.embedded import Postgres, Valkey
from core.runtime.runs.models import Heartbeat, Run
from core.runtime.schedules.rules import slots
from tests.core.runtime.schedules.helpers import events_of, make, slots_of
from tests.tools.waiting import until
from worker.watchdog import JOB_ID, Timer

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("db")]


class Processes:
    """Starts processes of ours, keeps what they log, and ends them after the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._all: list[subprocess.Popen[bytes]] = []

    def start(self, module: str, **env: str) -> tuple[subprocess.Popen[bytes], Path]:
        log = self._folder / f"{module}-{len(self._all)}.log"
        with log.open("wb") as file:
            given = os.environ | {"DATABASE_URL": str(get_settings().database_url)} | env
            process = subprocess.Popen([sys.executable, "-m", module], env=given, stdout=file, stderr=file)
        self._all.append(process)
        return process, log

    def end(self) -> None:
        for process in self._all:
            process.kill()
            process.wait()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    yield made
    made.end()


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    valkey = Valkey(tmp_path / "valkey")
    valkey.start()
    yield valkey
    valkey.stop()


def beats(process: str) -> int:
    """The pid that beat last, 0 when none did in the last ten seconds."""
    with database.transaction(STAFF) as session:
        fresh = Heartbeat.at > func.clock_timestamp() - timedelta(seconds=10)
        return session.execute(select(Heartbeat.pid).where(Heartbeat.process == process, fresh)).scalar() or 0


def lines(log: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line]


@pytest.mark.slow
def test_a_killed_clock_is_told_of_by_the_watchdog_although_redis_is_wiped_meanwhile(
    processes: Processes, own_valkey: Valkey, tmp_path: Path
) -> None:
    stores = {"REDIS_URL": own_valkey.url}
    victim, _ = processes.start("worker.clock", **stores)
    watchdog, log = processes.start("tests.worker.hasty_watchdog", **stores)
    until(lambda: beats("clock") == victim.pid and beats("watchdog") == watchdog.pid)
    victim.kill()
    victim.wait()
    own_valkey.stop()
    for file in (tmp_path / "valkey").glob("appendonlydir/*"):
        file.unlink()
    until(lambda: [e for e in events_of("watchdog.alert") if e.payload["condition"] == "redis.away"], 40)
    back = Valkey(tmp_path / "valkey", own_valkey.port)
    back.start()
    try:
        until(lambda: [e for e in events_of("watchdog.alert") if e.payload["condition"] == "clock.silent"], 60)
        assert watchdog.poll() is None
        (alert,) = (e for e in events_of("watchdog.alert") if e.payload["condition"] == "clock.silent")
        assert alert.priority == "urgent"
        until(lambda: redis._client_for(back.url, os.getpid(), 2.0).zscore(Timer.scheduled_jobs_key, JOB_ID), 20)
        until(lambda: [e for e in events_of("watchdog.cleared") if e.payload["condition"] == "redis.away"], 30)
        fresh, _ = processes.start("worker.clock", **stores)
        until(lambda: [e for e in events_of("watchdog.cleared") if e.payload["condition"] == "clock.silent"], 40)
        assert beats("clock") == fresh.pid
        assert "Traceback" not in log.read_text()
        assert [x["event"] for x in lines(log) if x.get("part") == "timer"] == ["not_working"]
    finally:
        back.stop()


def test_two_clock_processes_make_each_slot_once(processes: Processes) -> None:
    start = clock.now() - timedelta(hours=3)
    with database.transaction(STAFF) as session:
        for number in range(3):
            make(session, f"job-{number}", "* * * * *", cursor=start, catch_up="all", overlap="queue")
    made = [processes.start("worker.clock")[0] for _ in range(2)]
    until(lambda: beats("clock"))
    until(lambda: all(len(slots_of(f"job-{n}")) >= 180 for n in range(3)))
    made[0].kill()
    with database.transaction(STAFF) as session:
        rows, due = session.execute(select(func.count(), func.count(Run.key.distinct())).where(Run.due_at.is_not(None))).one()
    assert rows == due
    expected = slots("* * * * *", "UTC", start, start + timedelta(hours=3), 1000)
    for number in range(3):
        assert set(expected) <= set(slots_of(f"job-{number}"))


@pytest.mark.parametrize("module", ["worker.clock", "worker.watchdog"])
def test_sigterm_ends_it_at_once(processes: Processes, module: str) -> None:
    process, log = processes.start(module)
    until(lambda: beats(module.removeprefix("worker.")) == process.pid)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    assert time.monotonic() - began < 1
    assert "Traceback" not in log.read_text()


@pytest.mark.slow
def test_a_database_that_goes_away_is_one_line_and_one_when_it_is_back(processes: Processes, tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    folder = tmp_path / "postgres"
    for parent in (tmp_path, *tmp_path.parents[:3]):  # as root the server runs as another user
        parent.chmod(0o755)
    postgres = Postgres(folder)
    postgres.start()
    config = Config("alembic.ini")
    config.attributes["url"] = postgres.owner_url
    command.upgrade(config, "head")
    made = {m: processes.start(m, DATABASE_URL=postgres.app_url) for m in ("worker.clock", "worker.watchdog")}
    engine = database._engine_for(postgres.app_url, os.getpid())

    def alive() -> bool:
        with engine.begin() as connection:
            since = func.clock_timestamp() - timedelta(seconds=4)
            return connection.execute(select(func.count()).where(Heartbeat.at > since)).scalar_one() == 2

    try:
        until(alive)
        postgres.stop()
        until(lambda: all(any(x["event"] == "not_working" for x in lines(log)) for _, log in made.values()), 20)
        again = Postgres(folder, postgres.port)
        again.start()
        postgres = again
        with engine.begin() as connection:
            connection.execute(delete(Heartbeat))
        until(alive, 30)
        for process, log in made.values():
            until(lambda log=log: any(x["event"] == "works_again" for x in lines(log)))
            assert process.poll() is None
            assert "Traceback" not in log.read_text()
            assert [x["event"] for x in lines(log) if "part" in x] == ["not_working", "works_again"]
    finally:
        engine.dispose()
        postgres.stop()
