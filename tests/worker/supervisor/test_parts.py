"""The supervisor's parts, each without starting anything big."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.config import Settings, get_settings, running_app, started_at_tick
from core.errors import OpsError
from core.kit import schema
from worker.supervisor import children, guardian, ports, procfile, render
from worker.supervisor.children import Child
from worker.supervisor.state import StateFolder
from worker.supervisor.stream import Output

ROOT = Path(__file__).resolve().parents[3]


def test_our_own_procfile_names_every_process_and_follows_the_counts() -> None:
    settings = Settings(workers_agents=3, workers_background=0)
    names = [p.name for p in procfile.read(ROOT / "Procfile", settings)]
    assert names == [
        "web", "gateway", "worker-interactive-1", "worker-agents-1", "worker-agents-2", "worker-agents-3", "clock", "watchdog",
    ]  # fmt: skip


def test_a_command_gets_its_variables_without_a_shell(tmp_path: Path) -> None:
    file = tmp_path / "Procfile"
    file.write_text("# comment\n\nworker-agents: python -m x ${OPS_INSTANCE:-1} '$OPS_WEB_PORT; rm' $NAME\n")
    program = procfile.read(file, Settings(workers_agents=2))[1]
    argv = program.argv({"OPS_WEB_PORT": "80", "NAME": "a b", "PATH": os.environ["PATH"]}, file)
    assert argv == [sys.executable, "-m", "x", "1", "80; rm", "a b"]
    with pytest.raises(OpsError, match=r"\$NAME, which is not set"):
        program.argv({"OPS_WEB_PORT": "80"}, file)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no process"),
        ("web python", "Line 1"),
        ("a: x\na: y", "is there twice"),
        ("web: 'x", "open quote"),
        ("w: gone", "not installed"),
    ],
)
def test_a_broken_procfile_is_a_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "Procfile"
    file.write_text(text)
    with pytest.raises(OpsError, match=sentence):
        procfile.read(file, Settings())[0].argv({"PATH": ""}, file)


def test_json_lines_become_short_human_ones() -> None:
    shown = render.Renderer(["clock"], colour=False)
    raw = json.dumps(
        {
            "event": "run_rescued",
            "level": "warning",
            "timestamp": "2026-11-21T10:00:00Z",
            "process": "clock",
            "run_id": 7,
            "run": "a b",
        }
    )
    (line,) = shown.line("clock", raw)
    assert line.endswith('clock │ WARNING: run rescued  run_id=7 run="a b"')
    traced = shown.line("clock", json.dumps({"event": "boom", "level": "error", "exception": "Traceback\n  x"}))
    assert len(traced) == 3


@pytest.mark.parametrize(
    "noise",
    ["",
     "  You can now view your Streamlit app in your browser.", "  Local URL: http://localhost:8501",
     'INFO:     127.0.0.1:1 - "GET /healthz HTTP/1.1" 200 OK',
     "INFO:     Started server process [12]", '{"event": "Application startup complete.", "level": "info"}',
     "\x1b[32mINFO\x1b[0m:     Waiting for application startup."],
)  # fmt: skip
def test_noise_is_left_out(noise: str) -> None:
    assert render.Renderer(["web"], colour=False).line("web", noise) == []


def test_a_line_of_an_error_is_never_noise() -> None:
    shown = render.Renderer(["web"], colour=False)
    for raw in ('{"event": "Shutting down", "level": "error"}', "ValueError: URL: is wrong", "{not json"):
        assert len(shown.line("web", raw)) == 1


def test_a_stuck_reader_never_blocks_and_is_told_what_it_missed() -> None:
    reader, writer = os.pipe()
    output = Output(writer)
    began = time.monotonic()
    for number in range(20_000):
        output.put(f"line {number:05} " + "x" * 50)
    assert time.monotonic() - began < 5
    assert output.waiting
    heard = b""
    while output.waiting or select.select([reader], [], [], 0)[0]:
        heard += os.read(reader, 65536)
        output.write()
    assert b"lines were left out" in heard
    assert heard.splitlines()[-1].startswith(b"line 19999")
    os.close(reader)
    output.put("nobody reads")  # a closed reader is no error
    os.close(writer)


def test_backoff_doubles_to_ten_seconds_and_starts_anew_after_health(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(children.time, "monotonic", lambda: clock[0])
    child = Child("x", start=lambda: pytest.fail("not started here"), started=1000.0)
    waits = [child.plan_restart() for _ in range(9)]
    assert waits[:4] == [0.2, 0.4, 0.8, 1.6]
    assert waits[-1] == children.LONGEST_BACKOFF_S
    clock[0] += children.HEALTHY_AFTER_S
    assert child.plan_restart() == children.FIRST_BACKOFF_S
    assert child.restarts == 10


def test_ports_wished_explicit_and_nearby() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = ports.choose("gateway", "OPS_GATEWAY_PORT", port, explicit=False, host="127.0.0.1")
        assert port < found <= port + 50
        with pytest.raises(OpsError, match=f"Port {port} for the gateway is taken"):
            ports.choose("gateway", "OPS_GATEWAY_PORT", port, explicit=True, host="127.0.0.1")
    free = ports.choose("gateway", "OPS_GATEWAY_PORT", found, explicit=True, host="127.0.0.1")
    assert free == found
    assert ports.choose("dashboard", "X", found, explicit=False, host="127.0.0.1", not_these=(found,)) > found


def test_the_runtime_file_counts_only_while_its_process_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "DATABASE_ADMIN_URL", "REDIS_URL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPS_STATE_DIR", str(tmp_path))
    get_settings.cache_clear()
    told = {"database_url": "postgresql://a", "database_admin_url": "postgresql://o", "redis_url": "redis://r", "web_port": 9001}
    StateFolder(tmp_path).write(told)
    file = tmp_path / "runtime.json"
    assert file.stat().st_mode & 0o777 == 0o600
    try:
        settings = get_settings()
        assert (settings.database_url, settings.database_admin_url, settings.web_port) == (
            "postgresql://a",
            "postgresql://o",
            9001,
        )

        get_settings.cache_clear()
        monkeypatch.setenv("DATABASE_URL", "postgresql://other")
        assert get_settings().database_admin_url is None, "the owner of one database must not meet the address of another"
        monkeypatch.delenv("DATABASE_URL")

        for wrong in ({"pid": 2**22 + 1}, {"pid_tick": 1}):  # gone; another process with the same number
            file.write_text(
                json.dumps(
                    {**json.loads(file.read_text()), "pid": os.getpid(), "pid_tick": started_at_tick(os.getpid()), **wrong}
                )
            )
            assert running_app(Settings()) == {}
        file.write_text("{half")
        assert running_app(Settings()) == {}
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()


def test_a_second_holder_is_refused_and_children_do_not_inherit_the_lock(tmp_path: Path) -> None:
    first = StateFolder(tmp_path)
    first.take()
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with pytest.raises(OpsError, match="already runs"):
            StateFolder(tmp_path).take()
        os.close(first._lock)
        StateFolder(tmp_path).take()
    finally:
        child.kill()
        child.wait()


@pytest.mark.slow
def test_the_guardian_ends_marked_processes_of_its_folder_only_when_the_pipe_closes(tmp_path: Path) -> None:
    mine = subprocess.Popen(["sleep", "60"], env={guardian.MARK: str(tmp_path)}, start_new_session=True)
    other = subprocess.Popen(["sleep", "60"], env={guardian.MARK: str(tmp_path) + "2"}, start_new_session=True)
    state = StateFolder(tmp_path)
    try:
        state.take()
        assert state.guard() == 1, "a process of an earlier start is ended first"
        assert mine.wait(5) == -signal.SIGKILL
        mine = subprocess.Popen(["sleep", "60"], env={guardian.MARK: str(tmp_path)}, start_new_session=True)
        with pytest.raises(subprocess.TimeoutExpired):
            mine.wait(0.3)
        state.release()
        assert mine.wait(5) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        for process in (mine, other):
            process.kill()
            process.wait()


def test_the_schema_revision_read_as_text_is_alembics() -> None:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(ROOT / "migrations"))
    assert schema.head() == script.get_current_head()
    assert schema.known() == {s.revision for s in script.walk_revisions()}


def test_env_example_names_every_setting_with_its_default() -> None:
    text = (ROOT / ".env.example").read_text()
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias.choices[0] if field.validation_alias else f"OPS_{name.upper()}"  # type: ignore[union-attr]
        assert f"\n#{alias}={'' if field.default is None else field.default}\n" in text, alias
