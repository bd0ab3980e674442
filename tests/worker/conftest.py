"""Real worker processes on the test's own database and Valkey number."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.runs import handlers, service
from core.runtime.runs.models import Queue, Run
from tests.tools.database import sql
from tests.tools.waiting import until
from tests.worker import kinds

ROOT = Path(__file__).parents[2]


def enqueue(kind, many=1, queue=Queue.BACKGROUND, **payload):
    with database.transaction(STAFF) as session:
        made = [service.enqueue(session, kind, kind, queue=queue, payload=payload).run_id for _ in range(many)]
    return made if many > 1 else made[0]


def get(run_id):
    with database.transaction(STAFF) as session:
        return session.get(Run, run_id)


def begun(run_id, times=1):
    """Process ids of the attempts that began, once there are so many."""
    rows = sql("SELECT message FROM run_logs WHERE run_id = :id AND message LIKE 'begun%' ORDER BY id", id=run_id)
    return [int(m.split()[2]) for (m,) in rows] if len(rows) >= times else None


def ended(run_id):
    run = get(run_id)
    return run if run.state in ("succeeded", "failed", "cancelled", "quarantined") else None


class Workers:
    """Starts workers and the clock; ends what is left of them afterwards, by their ids."""

    def __init__(self, log):
        self.log, self.started = log, []

    def start(self, number=1, queue="background", module="tests.worker.kinds", **env):
        argv = [sys.executable, "-m", module, queue, str(number)]
        process = subprocess.Popen(argv, cwd=ROOT, env={**os.environ, **env}, stdout=self.log, stderr=self.log)
        self.started.append(process)
        return process

    def ready(self, number=1, queue="background", **env):
        """A worker that has beaten."""
        process = self.start(number, queue, **env)
        until(lambda: sql("SELECT 1 FROM heartbeats WHERE pid = :pid", pid=process.pid))
        return process

    def kill(self, process):
        process.send_signal(signal.SIGKILL)
        process.wait()

    def close(self):
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                self.kill(process)


@pytest.fixture
def known_kinds():
    before = dict(handlers._handlers)
    kinds.register()
    yield
    handlers._handlers.clear()
    handlers._handlers.update(before)


@pytest.fixture
def workers(db, known_kinds, tmp_path):
    with (tmp_path / "workers.log").open("w") as log:
        made = Workers(log)
        yield made
        made.close()
    sys.stderr.write((tmp_path / "workers.log").read_text()[-6000:])
