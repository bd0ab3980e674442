"""`ops jobs` and `ops runs`: what people and programs get, and the exit codes scripts rely on."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from sqlalchemy import select

from app.cli import main
from app.commands.moments import future
from core import registry
from core.errors import BadInput
from core.kit import clock
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.agents import facts, store
from core.runtime.agents.facts import Section
from core.runtime.runs import handlers
from core.runtime.runs.execute import execute
from core.runtime.runs.handlers import Handler
from core.runtime.runs.models import Run
from core.runtime.runs.probes import NAP
from tests.core.runtime.schedules.helpers import at, events_of, get, make

pytestmark = pytest.mark.usefixtures("db")
Ops = Callable[..., tuple[int, str, str]]
FAILS = "probe.fails_in_tests"
TALKS = "probe.talks_in_tests"


def _fail(_ctx: Any) -> None:
    raise BadInput("The list is empty.", "Fill it.")


def _talk(ctx: Any) -> dict[str, Any]:
    moved = Section("crm", "Deals", (facts.count("crm.moved", "Moved", 3, "q", noun="deal"),), ())
    ctx.step("collect", lambda s: store.save(s, ctx.run_id, ctx.org_id, clock.now(), [moved]), label="Collect facts")
    ctx.step("report", lambda session: 1, label="Write the report")
    return {"text": "[[crm.moved]] changed stage.", "seen": ctx.payload.get("seen")}


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.load()  # once a process: what it registered into the copy would be gone for every later test
    monkeypatch.setattr(handlers, "_handlers", dict(handlers._handlers))
    handlers.register(Handler(FAILS, _fail))
    handlers.register(Handler(TALKS, _talk))


@pytest.fixture
def ops(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ops:
    """Calls the real entry point: (exit code, standard output, standard error)."""

    def call(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ops", *args])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


@pytest.fixture
def worker() -> Iterator[None]:
    """Works off whatever is queued, in a thread."""
    done = threading.Event()

    def loop() -> None:
        while not done.wait(0.02):
            with database.transaction(STAFF) as session:
                waiting = list(session.scalars(select(Run.id).where(Run.state == "queued")))
            for run_id in waiting:
                execute(run_id, "worker-test")

    thread = threading.Thread(target=loop)
    thread.start()
    yield
    done.set()
    thread.join()


def job(name: str = "ceo-morning-brief", kind: str = TALKS, **values: Any) -> None:
    with database.transaction(STAFF) as session:
        make(session, name, "0 7 * * 1-5", kind=kind, time_zone="America/Chicago", **values)


class TestRun:
    def test_wait_json_prints_the_settled_form(self, ops: Ops, worker: None) -> None:
        job()
        code, out, err = ops("jobs", "run", "ceo-morning-brief", "--wait", "--json", "--payload", '{"seen": 3}')
        found = json.loads(out)
        assert list(found) == ["run_id", "state", "duration_ms", "output"]
        assert (code, err, found["state"]) == (0, "", "succeeded")
        assert found["output"] == {"text": "[[crm.moved]] changed stage.", "seen": 3}
        assert isinstance(found["duration_ms"], int)

    def test_a_failure_is_exit_code_1(self, ops: Ops, worker: None) -> None:
        job(kind=FAILS)
        code, out, _ = ops("jobs", "run", "ceo-morning-brief", "--wait", "--json")
        assert (code, json.loads(out)["state"], json.loads(out)["output"]) == (1, "failed", None)
        code, out, _ = ops("jobs", "run", "ceo-morning-brief", "--wait")
        assert code == 1
        assert "The list is empty. Fill it." in " ".join(out.split())

    def test_a_person_sees_the_steps_and_the_report(self, ops: Ops, worker: None) -> None:
        job()
        code, out, _ = ops("jobs", "run", "ceo-morning-brief", "--wait")
        assert code == 0
        assert "✓ Collect facts" in out
        assert "✓ Write the report" in out
        assert "\n3 deals changed stage.\n" in out
        assert "\n3 deals changed stage.\n" in ops("runs", "show", "1")[1]

    def test_a_wait_that_is_too_short_is_exit_code_1_and_the_run_goes_on(self, ops: Ops) -> None:
        job()
        code, out, _ = ops("jobs", "run", "ceo-morning-brief", "--wait", "--json", "--timeout", "0.2")
        assert (code, json.loads(out)["state"], json.loads(out)["duration_ms"]) == (1, "queued", None)
        code, _, err = ops("jobs", "run", "ceo-morning-brief", "--wait", "--timeout", "0.1")
        assert code == 1
        assert "has not ended after 0.1 s; it goes on" in err

    def test_without_wait(self, ops: Ops) -> None:
        job()
        code, out, _ = ops("jobs", "run", "ceo-morning-brief")
        assert (code, out) == (0, "Run 1 is queued. `ops runs show 1` tells how it goes.\n")
        assert json.loads(ops("jobs", "run", "ceo-morning-brief", "--json")[1]) == {"run_id": 2}
        (first, _) = events_of("job.run_requested")
        assert (first.actor, first.actor_user_id) == ("CLI", None)

    @pytest.mark.parametrize(
        ("args", "says"),
        [
            (["ceo-mourning-brief"], "There is no job called “ceo-mourning-brief”. Did you mean ceo-morning-brief?"),
            (["ceo-morning-brief", "--payload", "{"], "The payload is not JSON"),
            (["ceo-morning-brief", "--payload", "[1]"], "The payload has to be a JSON object."),
        ],
    )
    def test_bad_input_is_one_sentence(self, ops: Ops, args: list[str], says: str) -> None:
        job()
        code, out, err = ops("jobs", "run", *args, "--json")
        assert (code, out) == (1, "")
        assert says in err
        assert err.count("\n") == 1

    def test_exit_codes_of_the_real_process(self) -> None:
        job(kind=NAP)
        command = [sys.executable, "-m", "app.cli", "jobs", "run"]
        late = subprocess.run(
            [*command, "ceo-morning-brief", "--wait", "--json", "--timeout", "0"], capture_output=True, text=True
        )
        assert (late.returncode, json.loads(late.stdout)["state"]) == (1, "queued")
        unknown = subprocess.run([*command, "nothing"], capture_output=True, text=True)
        assert (unknown.returncode, unknown.stdout) == (1, "")
        assert unknown.stderr.startswith("There is no job called “nothing”.")
        assert "Traceback" not in unknown.stderr

    def test_what_is_logged_never_gets_into_the_json(self) -> None:
        job(kind=NAP)
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", "jobs", "run", "ceo-morning-brief", "--json"],
            capture_output=True,
            text=True,
            env=os.environ | {"REDIS_URL": "redis://127.0.0.1:1/0"},
        )
        assert (done.returncode, json.loads(done.stdout)) == (0, {"run_id": 1})
        assert "wake_failed" in done.stderr


class TestJobs:
    def test_list_and_show(self, ops: Ops, worker: None) -> None:
        assert "There are no jobs yet." in ops("jobs", "list")[1]
        job(facts=["crm.quiet_deals"])
        ops("jobs", "run", "ceo-morning-brief", "--wait", "--json")
        code, out, _ = ops("jobs", "list")
        assert code == 0
        assert "ceo-morning-brief" in out
        assert "Weekdays at 7:00 AM" in out
        assert "Succeeded" in out
        (row,) = json.loads(ops("jobs", "list", "--json")[1])
        assert (row["name"], row["last"]["word"], row["success_percent"]) == ("ceo-morning-brief", "Succeeded", 100.0)
        code, out, _ = ops("jobs", "show", "ceo-morning-brief")
        assert code == 0
        for part in ("Weekdays at 7:00 AM (0 7 * * 1-5, America/Chicago)", "crm.quiet_deals", "CLI started", "Nothing."):
            assert part in out
        shown = json.loads(ops("jobs", "show", "ceo-morning-brief", "--json")[1])
        assert len(shown["next_times"]) == 3
        assert ops("jobs", "show", "x")[0] == 1

    def test_enable_and_disable(self, ops: Ops) -> None:
        job()
        assert "is off" in ops("jobs", "disable", "ceo-morning-brief")[1]
        assert get("ceo-morning-brief").enabled is False
        assert json.loads(ops("jobs", "enable", "ceo-morning-brief", "--json")[1])["enabled"] is True
        assert [e.actor for e in events_of("schedule.enabled")] == ["CLI"]
        assert ops("jobs", "enable", "x")[0] == 1

    def test_pause_and_resume(self, ops: Ops) -> None:
        job()
        code, out, _ = ops("jobs", "pause", "ceo-morning-brief", "--until", "3d")
        assert code == 0
        assert "is paused until" in out
        paused_until = get("ceo-morning-brief").paused_until
        assert paused_until is not None
        assert timedelta(days=2.9) < paused_until - clock.now() < timedelta(days=3)
        assert "is on. Its next run is" in ops("jobs", "resume", "ceo-morning-brief")[1]
        code, _, err = ops("jobs", "pause", "ceo-morning-brief", "--until", "soon")
        assert code == 1
        assert err.startswith("“soon” is not a time.")
        assert ops("jobs", "pause", "ceo-morning-brief", "--until", "2020-01-01")[0] == 1

    def test_add(self, ops: Ops, tmp_path: Path) -> None:
        task = tmp_path / "task.txt"
        task.write_text("Report the week.")
        args = ["friday-numbers", "--cron", "0 16 * * 5", "--zone", "Europe/London", "--task-file", str(task)]
        code, out, _ = ops("jobs", "add", *args)
        assert code == 0
        assert "Friday numbers is added: Fridays at 4:00 PM (Europe/London)." in out
        assert out.count("4:00 PM GMT") + out.count("4:00 PM BST") == 3
        assert get("friday-numbers").task == "Report the week."

    @pytest.mark.parametrize(
        ("args", "says"),
        [
            (["friday", "--cron", "0 16 * *", "--task", "x"], "“0 16 * *” is not a schedule"),
            (["friday", "--cron", "0 16 * * 5", "--task", "x", "--zone", "Mars"], "There is no time zone called “Mars”."),
            (["friday", "--cron", "0 16 * * 5"], "The job needs a task."),
            (["Friday!", "--cron", "0 16 * * 5", "--task", "x"], "“Friday!” can't be the name of a job."),
            (["friday", "--cron", "0 16 * * 5", "--task", "x", "--fact", "no.such"], "no facts called “no.such”"),
        ],
    )
    def test_add_refuses_in_one_sentence(self, ops: Ops, args: list[str], says: str) -> None:
        code, out, err = ops("jobs", "add", *args)
        assert (code, out) == (1, "")
        assert says in err


class TestRuns:
    def start(self, ops: Ops) -> int:
        return int(json.loads(ops("jobs", "run", "ceo-morning-brief", "--json")[1])["run_id"])

    def test_list_filters_and_pages(self, ops: Ops) -> None:
        assert "Nothing has run yet." in ops("runs", "list")[1]
        job()
        job("other", kind=NAP)
        first, _ = self.start(ops), ops("jobs", "run", "other")
        ops("runs", "cancel", str(first))
        assert [r["id"] for r in json.loads(ops("runs", "list", "--json")[1])["runs"]] == [2, 1]
        assert [r["id"] for r in json.loads(ops("runs", "list", "--state", "cancelled", "--json")[1])["runs"]] == [1]
        assert [r["id"] for r in json.loads(ops("runs", "list", "--job", "other", "--since", "1h", "--json")[1])["runs"]] == [2]
        assert "There are more: add --before 2." in ops("runs", "list", "--limit", "1")[1]
        assert "No run matches." in ops("runs", "list", "--before", "1")[1]
        for bad in (["--state", "odd"], ["--since", "long"]):
            code, _, err = ops("runs", "list", *bad)
            assert code == 1
            assert err.count("\n") == 1

    def test_show(self, ops: Ops, worker: None) -> None:
        job(kind=FAILS)
        ops("jobs", "run", "ceo-morning-brief", "--wait", "--json")
        code, out, _ = ops("runs", "show", "1")
        assert code == 0
        assert "Failed" in out
        assert "The list is empty. Fill it." in out
        assert json.loads(ops("runs", "show", "1", "--json")[1])["run"]["word"] == "Failed"
        code, _, err = ops("runs", "show", "99")
        assert (code, err.startswith("There is no run 99.")) == (1, True)

    def test_cancel_retry_and_replay(self, ops: Ops) -> None:
        job()
        run = str(self.start(ops))
        assert ops("runs", "retry", run)[0] == 1
        assert "is cancelled" in ops("runs", "cancel", run)[1]
        code, _, err = ops("runs", "cancel", run)
        assert code == 1
        assert "already ended" in err
        assert json.loads(ops("runs", "retry", run, "--json")[1]) == {"run_id": 1}
        ops("runs", "cancel", run)
        assert "Run 2 does run 1 again." in ops("runs", "replay", run, "--payload", '{"seen": 9}')[1]
        with database.transaction(STAFF) as session:
            assert session.get_one(Run, 2).payload == {"agent": "Engineering AI", "seen": 9}


@pytest.mark.parametrize("args", [["jobs"], ["runs"], ["jobs", "run"], ["jobs", "pause"], ["jobs", "add"], ["runs", "list"]])
def test_help(ops: Ops, args: list[str]) -> None:
    code, out, _ = ops(*args, "--help")
    assert code == 0
    assert "Usage:" in out


def test_listing_jobs_imports_nothing_heavy() -> None:
    script = (
        "import sys\nsys.argv = ['ops', 'jobs', 'list']\nfrom app.cli import main\nmain()\n"
        "print([m for m in ('pandas', 'numpy', 'streamlit', 'anthropic', 'plotly', 'fastapi', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("90m", "2027-06-02T13:30-05:00"),
        ("+3d", "2027-06-05T12:00-05:00"),
        ("2w", "2027-06-16T12:00-05:00"),
        ("tomorrow", "2027-06-03T00:00-05:00"),
        ("Tomorrow 9:00", "2027-06-03T09:00-05:00"),
        ("friday 09:30", "2027-06-04T09:30-05:00"),
        ("wednesday", "2027-06-09T00:00-05:00"),
        ("2027-12-01", "2027-12-01T00:00-06:00"),
        ("2027-12-01 09:00", "2027-12-01T09:00-06:00"),
        ("2027-12-01T09:00+00:00", "2027-12-01T09:00+00:00"),
    ],
)
def test_times_a_person_types(text: str, means: str) -> None:
    with time_machine.travel(at("2027-06-02T12:00-05:00"), tick=False):
        assert future(text, clock.now(), clock.zone("America/Chicago")) == at(means)


@pytest.mark.parametrize("text", ["", "soon", "tomorrow noon", "99999999d", "2027-13-01", "friday 25:00"])
def test_times_nobody_understands(text: str) -> None:
    with pytest.raises(BadInput):
        future(text, clock.now(), clock.zone("UTC"))
