"""Real `ops up` with stand-in processes: what must hold when it is stopped, killed, started twice, or loses a child."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from tests.tools.waiting import until
from worker.supervisor import guardian

pytestmark = [pytest.mark.faults, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[3]
PROCFILE = Path(__file__).with_name("Procfile.test")
GONE_WITHIN_S = 10.0


class Up:
    """One `ops up` on its own state folder."""

    def __init__(self, state: Path, prefix: tuple[str, ...] = (), **env: str) -> None:
        self.state = state
        kept = {k: v for k, v in os.environ.items() if not k.startswith("OPS_") and not k.endswith("_URL")}
        self.env = {**kept, "OPS_STATE_DIR": str(state), "OPS_PROCFILE": str(PROCFILE), **env}
        self.argv = [*prefix, env.pop("PYTHON", sys.executable), "-m", "app.cli", "up", "--no-demo"]
        self.log = state.with_suffix(".log")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.argv, env=self.env, stdout=log, stderr=log, cwd=ROOT)

    def runtime(self) -> dict:
        try:
            return json.loads((self.state / "runtime.json").read_text())
        except (OSError, ValueError):
            return {}

    def ready(self) -> "Up":
        def is_ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            told = self.runtime()  # a killed one's file still lies there for a while
            return told.get("pid") == self.process.pid and bool(told["ready"])

        until(is_ready, 60)
        return self

    def pid_of(self, name: str) -> int | None:
        return next((p["pid"] for p in self.runtime()["processes"] if p["name"] == name), None)

    def alive(self) -> list[guardian.Found]:
        return list(guardian.find(guardian.MARK, str(self.state), str(self.state)))

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(15)


@pytest.fixture
def state() -> Iterator[Path]:
    """A state folder that every user of this machine can reach; whatever still runs on it in the end is killed."""
    folder = Path(tempfile.mkdtemp(prefix="ops-up-"))
    folder.chmod(0o755)
    yield folder / "state"
    for left in guardian.find(guardian.MARK, str(folder / "state"), str(folder / "state")):
        guardian.kill(left.pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def seconds_until_gone(up: Up) -> float:
    began = time.monotonic()
    until(lambda: not up.alive(), 20)
    return time.monotonic() - began


def test_a_second_start_refuses_with_a_sentence_and_everything_ends_after_ctrl_c(state: Path) -> None:
    up = Up(state).ready()
    second = subprocess.run(up.argv, env=up.env, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert second.returncode == 1
    assert f"already runs on the state folder {state} (process {up.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    assert up.runtime()["pid"] == up.process.pid
    assert len(up.alive()) > 8  # web, gateway, worker and its horse, clock and its horse, postgres' own, valkey
    began = time.monotonic()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(GONE_WITHIN_S) == 0
    assert not up.alive()
    assert time.monotonic() - began < GONE_WITHIN_S
    assert not (state / "runtime.json").exists()
    assert "stopped" in up.log.read_text()


def test_everything_ends_after_kill_9_and_the_next_start_works(state: Path) -> None:
    up = Up(state).ready()
    port = up.runtime()["database_url"].rsplit(":", 1)[1]
    with psycopg.connect(up.runtime()["database_admin_url"], autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    up.process.kill()
    up.process.wait()
    # started at once, while the first one's processes may still be ending
    again = Up(state).ready()
    try:
        assert again.runtime()["database_url"].rsplit(":", 1)[1] == port
        with psycopg.connect(again.runtime()["database_admin_url"]) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        again.process.kill()
        again.process.wait()
        assert seconds_until_gone(again) < GONE_WITHIN_S
    finally:
        again.end()


def test_kill_9_of_supervisor_and_guardian_at_once_leaves_no_store_and_the_next_start_cleans_up(state: Path) -> None:
    up = Up(state).ready()
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and f"guardian.py\0{state}\0".encode() in _cmdline(process):
            os.kill(int(process.name), signal.SIGKILL)
    up.process.kill()
    up.process.wait()
    until(lambda: not [f for f in up.alive() if f.store])
    again = Up(state).ready()
    marked = {f.pid for f in again.alive()}
    again.end()
    assert marked
    assert not again.alive()


def _cmdline(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def test_killed_children_and_stores_come_back_on_the_same_address(state: Path) -> None:
    up = Up(state).ready()
    try:
        before = up.runtime()
        horses = [f.pid for f in guardian.find("OPS_SUPERVISED_AS", f"{state}#worker-interactive-1")]
        for name in ("worker-interactive-1", "postgres", "valkey", "web"):
            pid = up.pid_of(name)
            assert pid
            os.kill(pid, signal.SIGKILL)
            until(lambda n=name, p=pid: up.pid_of(n) not in (None, p) and _state(up, n) == "running")
        after = up.runtime()
        assert len(horses) == 2
        assert not set(horses) & {f.pid for f in up.alive()}, "the killed worker's horse still lives"
        assert [after[k] for k in ("database_url", "redis_url", "web_port")] == [
            before[k] for k in ("database_url", "redis_url", "web_port")
        ]
        assert all(p["restarts"] >= 1 for p in after["processes"] if p["name"] in ("worker-interactive-1", "postgres", "web"))
    finally:
        up.end()


def _state(up: Up, name: str) -> str:
    return next(p["state"] for p in up.runtime()["processes"] if p["name"] == name)


def test_a_child_that_keeps_failing_is_started_again_ever_more_slowly(state: Path, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    script = tmp_path / "fails.py"
    script.write_text(f"import time; open({str(marks)!r}, 'a').write(f'{{time.monotonic()}}\\n'); raise SystemExit(3)")
    procfile = tmp_path / "Procfile"
    procfile.write_text(f"fails: python -S {script}\n")
    up = Up(state, OPS_PROCFILE=str(procfile))
    try:
        until(lambda: marks.exists() and len(marks.read_text().splitlines()) >= 4, 60)
        times = [float(t) for t in marks.read_text().splitlines()]
        gaps = [b - a for a, b in pairwise(times)]
        assert gaps[1] > 0.35
        assert gaps[2] > 0.75
        assert "fails ended with code 3" in up.log.read_text()
    finally:
        up.end()


def test_a_child_that_will_not_end_is_killed_in_time(state: Path, tmp_path: Path) -> None:
    procfile = tmp_path / "Procfile"
    script = tmp_path / "stubborn.py"
    script.write_text(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(600)"
    )
    procfile.write_text(f"stubborn: python {script}\n")
    up = Up(state, OPS_PROCFILE=str(procfile)).ready()
    until(lambda: "deaf" in up.log.read_text())
    began = time.monotonic()
    up.process.send_signal(signal.SIGTERM)
    up.process.wait(GONE_WITHIN_S)
    assert time.monotonic() - began < GONE_WITHIN_S
    assert not up.alive()
    assert "did not end in time" in up.log.read_text()


def test_our_own_processes_forked_from_the_nursery_end_and_come_back_like_any_other(state: Path, tmp_path: Path) -> None:
    procfile = tmp_path / "Procfile"
    procfile.write_text("worker-background: python -m worker.main background ${OPS_INSTANCE:-1}\nclock: python -m worker.clock\n")
    up = Up(state, OPS_PROCFILE=str(procfile)).ready()
    try:
        ops = [sys.executable, "-m", "app.cli"]
        asked = subprocess.run([*ops, "doctor", "--json"], env=up.env, cwd=ROOT, capture_output=True, text=True, timeout=60)
        by_name = {c["name"]: c["verdict"] for c in json.loads(asked.stdout)["checks"]}
        assert by_name["A run, end to end"] == "ok"

        worker = up.pid_of("worker-background-1")
        assert worker
        assert _parent(worker) == up.process.pid, "a forked process is the supervisor's own child"
        environment = Path(f"/proc/{worker}/environ").read_bytes()
        assert b"ops_owner" not in environment
        code = (
            "from core import registry; registry.load()\n"
            "from core.kit import db; from core.runtime.runs import service\n"
            "with db.transaction(db.STAFF) as s: print(service.enqueue(s, 'probe.nap', 'nap', payload={'seconds': 60}).run_id)"
        )
        done = subprocess.run([sys.executable, "-c", code], env=up.env, cwd=ROOT, capture_output=True, text=True, timeout=60)
        run_id = int(done.stdout)
        owner = up.runtime()["database_admin_url"]

        def holder() -> str | None:
            with psycopg.connect(owner) as connection:
                row = connection.execute("SELECT state, attempts FROM runs WHERE id = %s", (run_id,)).fetchone()
            return f"{row[0]} {row[1]}" if row else None

        until(lambda: holder() == "running 1")
        horses = guardian.left_by(worker, "NO_SUCH", "MARK")
        os.kill(worker, signal.SIGKILL)
        try:
            until(lambda: (holder() or "").startswith("running") and holder() != "running 1", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}: the run is {holder()}\n{up.log.read_text()[-4000:]}") from None
        assert not [pid for pid in horses if Path(f"/proc/{pid}/environ").exists() and _state_letter(pid) not in "ZX"]

        nursery = next(int(p.name) for p in Path("/proc").iterdir() if _cmdline(p).count(b"supervisor.nursery") and _of(p, up))
        os.kill(nursery, signal.SIGKILL)
        clock = up.pid_of("clock")
        assert clock
        os.kill(clock, signal.SIGKILL)
        until(lambda: up.pid_of("clock") not in (None, clock) and _state(up, "clock") == "running")
        up.process.kill()
        up.process.wait()
        assert seconds_until_gone(up) < GONE_WITHIN_S
    finally:
        up.end()


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def _state_letter(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "X"


def _of(process: Path, up: Up) -> bool:
    """Whether this is a direct child of this `ops up` that is no process of the Procfile."""
    pid = int(process.name)
    return _parent(pid) == up.process.pid and pid not in {p["pid"] for p in up.runtime()["processes"]}


NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


def _python_for_nobody() -> tuple[str, dict[str, str]] | None:
    """An interpreter the user nobody can start, with our packages; None when ours stands in a private folder."""
    packages = f"{Path(psycopg.__file__).parents[1]}:{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    for python, env in ((sys.executable, {}), (f"/usr/bin/python3.{sys.version_info.minor}", {"PYTHONPATH": packages})):
        probe = [*NOBODY, "sh", "-c", f"exec {python} -c 'import psycopg, redis, click, core'"]
        if subprocess.run(probe, env={**os.environ, **env}, cwd=ROOT, capture_output=True).returncode == 0:
            return python, env
    return None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_can_start_it_and_kill_9_ends_everything(state: Path) -> None:
    found = _python_for_nobody()
    if found is None:
        pytest.skip("no interpreter that the user nobody can start")
    state.parent.chmod(0o777)
    up = Up(state, NOBODY, PYTHON=found[0], **found[1], HOME=str(state.parent), PYTHONDONTWRITEBYTECODE="1").ready()
    assert Path(f"/proc/{up.pid_of('postgres')}").stat().st_uid != 0
    up.process.kill()
    up.process.wait()
    assert seconds_until_gone(up) < GONE_WITHIN_S
