"""Private stores, workers and a clock in a temporary folder, on free ports; everything is ended by its process id."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import result, table

__all__ = ["Stack", "events", "pause", "percentile", "result", "table", "until"]
ROOT = Path(__file__).parents[1]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]


def pause(low_s: float, high_s: float) -> None:
    """A random pause, so that nothing is met in step."""
    time.sleep(random.uniform(low_s, high_s))


def until(condition: Callable[[], Any], seconds: float, what: str = "", step_s: float = 0.002) -> Any:
    """Wait until `condition()` is true and return what it gave. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(step_s)
    raise TimeoutError(what or str(condition))


def events(path: Path) -> list[tuple[str, str, float, int]]:
    """What the jobs wrote: (word, id, CLOCK_MONOTONIC seconds, pid)."""
    rows = []
    for line in path.read_text().splitlines():
        word, key, at, pid = line.split()
        rows.append((word, key, float(at), int(pid)))
    return rows


def _children(pid: int) -> list[int]:
    """All that a process started. From one small file: a look through all processes takes so long that a short run has ended."""
    try:
        found = [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*found, *(grandchild for child in found for grandchild in _children(child))]


class Stack:
    """PostgreSQL and Valkey with the schema, and the processes started on them. Use it with `with`."""

    def __init__(self, postgres: dict[str, str] | None = None) -> None:
        self._settings = postgres
        self._environment: dict[str, str] = {}
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Stack":
        from alembic import command
        from alembic.config import Config

        from core.config import get_settings
        from core.kit.embedded import Postgres, Valkey

        self.folder = Path(tempfile.mkdtemp(prefix="ops-bench-"))
        self.folder.chmod(0o755)
        self.log = (self.folder / "processes.log").open("ab")
        self.events = self.folder / "events"
        self.events.touch()
        self.postgres = Postgres(self.folder / "postgres", settings=self._settings)
        self.valkey = Valkey(self.folder / "valkey")
        self.postgres.start()
        self.valkey.start()
        alembic = Config(str(ROOT / "alembic.ini"))
        alembic.attributes["url"] = self.postgres.owner_url
        command.upgrade(alembic, "head")
        self._environment = dict(os.environ)
        for name in [n for n in os.environ if n.startswith("OPS_")]:
            del os.environ[name]  # default settings
        os.environ.update(
            DATABASE_URL=self.postgres.app_url,
            DATABASE_ADMIN_URL=self.postgres.owner_url,
            REDIS_URL=self.valkey.url,
            OPS_STATE_DIR=str(self.folder),
            OPS_LOG_LEVEL="WARNING",
            BENCH_EVENTS=str(self.events),
        )
        get_settings.cache_clear()
        from benchmarks import work
        from core import registry
        from core.kit import keyring

        keyring.create()
        registry.load()
        work.register()
        return self

    def __exit__(self, *_error: object) -> None:
        for process in self.processes:
            self.kill(process)
        self.valkey.stop()
        self.postgres.stop()
        self.log.close()
        os.environ.clear()
        os.environ.update(self._environment)
        from core.config import get_settings

        get_settings.cache_clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start a Python process on these stores."""
        process = subprocess.Popen([sys.executable, *argv], cwd=ROOT, stdout=self.log, stderr=self.log)
        self.processes.append(process)
        return process

    def worker(self, queue: str, number: int) -> subprocess.Popen[bytes]:
        """Start a worker that knows the benchmark's kinds of run."""
        return self.run("-m", "benchmarks.work", queue, str(number))

    def clock(self) -> subprocess.Popen[bytes]:
        """Start the clock."""
        return self.run("-m", "worker.clock")

    def ready(self, many: int) -> None:
        """Wait until so many of our processes have beaten."""
        from sqlalchemy import text

        until(lambda: self.sql(text("SELECT count(*) FROM heartbeats"))[0][0] >= many, 60, "the processes did not start")

    @staticmethod
    def kill(process: subprocess.Popen[bytes], *, whole_tree: bool = True) -> None:
        """SIGKILL, with all it started unless `whole_tree` is False; returns when it is gone."""
        if process.poll() is None:
            for pid in (process.pid, *(_children(process.pid) if whole_tree else ())):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.wait()

    def tail(self) -> str:
        """The end of what the processes wrote."""
        return (self.folder / "processes.log").read_text(errors="replace")[-3000:]

    @staticmethod
    def sql(statement: Any, **values: Any) -> Any:
        """Ask the database; rows, or None."""
        from core.kit import db
        from core.kit.db import STAFF

        with db.transaction(STAFF) as session:
            answer = session.execute(statement, values)
            return answer.all() if answer.returns_rows else None

    @staticmethod
    def enqueue(kind: str, name: str, payload: dict[str, Any] | None = None) -> int:
        """Enqueue one run, as a page or a reaction does it; durable when it returns."""
        from core.kit import db
        from core.kit.db import STAFF
        from core.runtime.runs import service

        with db.transaction(STAFF) as session:
            return service.enqueue(session, kind, name, payload=payload).run_id
