"""Everything an effect needs, for real: stores with people, connections and policies, worker processes, the clock, and the world
outside as a process of its own. What is killed is started again."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import text

from core.kit import crashpoints
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions import service
from core.runtime.actions.models import ActionState, Decided
from core.runtime.actions.service import Proposal
from core.runtime.connections import service as connections
from core.runtime.orgs.models import AGENCY_ID
from tests.cast import CORNERSTONE_ORG, Cast, make_cast
from tests.fakeworld.process import Remote
from tests.faults.cases import SAMPLES, Case
from tests.gates import open_to_all, set_numbers
from tests.tools.database import sql
from tests.tools.waiting import until

ROOT = Path(__file__).resolve().parents[2]
FAST = {
    "OPS_EFFECT_SETTLE_S": "1.0", "OPS_EFFECT_RETRY_S": "0.1", "OPS_LEASE_S": "3", "OPS_HEARTBEAT_S": "0.8",
    "OPS_CLOCK_TICK_S": "0.1",
}  # fmt: skip
"""Settings that make waiting short."""
SETTLED = ("done", "undone", "failed", "denied", "dismissed", "unknown")
_STATES = text("SELECT id, state FROM actions WHERE id = ANY(:ids)")
_LEFT = text("""
    SELECT count(*) FROM runs
    WHERE kind = 'action.execute' AND (state = 'running' OR state IN ('queued', 'waiting') AND run_after < now())
""")
_DUE = text("""
    SELECT count(*) FROM runs
    WHERE queue = 'interactive' AND (state = 'running' OR state IN ('queued', 'waiting') AND run_after < now())
""")


def children(pid: int) -> list[int]:
    """All that a process started."""
    try:
        found = [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*found, *(grandchild for child in found for grandchild in children(child))]


def connect(session: Any, by: Actor, keys: Mapping[str, str], smtp: Mapping[str, Any]) -> None:
    """The agency's accounts at every vendor; mail through Resend, and Cornerstone's through its own server."""
    password = keys["SMTP_URL"].split(":")[2].split("@")[0]
    for vendor, config, secret, org_id in (
        ("slack", {}, keys["SLACK_BOT_TOKEN"], AGENCY_ID),
        ("resend", {"from": smtp["from"]}, keys["RESEND_API_KEY"], AGENCY_ID),
        ("pipedrive", {}, keys["PIPEDRIVE_API_TOKEN"], AGENCY_ID),
        ("smtp", dict(smtp), password, CORNERSTONE_ORG),
    ):
        connections.save(session, vendor, "main", config, secret, by, org_id)


class Stage:
    """Use it with `with`, on stores whose addresses are in the environment. `folder` gets the world's log and the processes'."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = (folder / "processes.log").open("ab")
        self.remote = Remote.start(folder / "vendors.jsonl")
        self.started: list[subprocess.Popen[bytes]] = []
        self.environment = {**self.remote.environment, **FAST}
        self.cast: Cast
        self._number = itertools.count(1)

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_error: object) -> None:
        for process in self.started:
            self.kill(process)
        self.remote.close()
        self.log.close()

    # ---- the world inside

    def prepare(self) -> None:
        """People, connections to every vendor, and policies that let through what a person approves. On an empty database."""
        with database.transaction(STAFF) as session:
            self.cast = make_cast(session)
            open_to_all(session, approvals=True)
            set_numbers(session, "rate_limit", kinds={}, others=1_000_000)
            connect(session, self.cast.actor("Dave"), self.remote.keys, self.remote.smtp_config)

    def approved(self, case: Case, many: int = 1, by: str = "Dave") -> list[int]:
        """Actions of this case that were approved and are about to be carried out. `undo` makes those that take back."""
        assert case.undoes is None
        made = []
        for _ in range(many):
            with database.transaction(STAFF) as session:
                asked = Proposal(case.kind, SAMPLES[case.kind](next(self._number)), self.cast.actor("Robert"), org_id=case.org_id)
                proposed = service.propose(session, asked)
                self._approve(session, proposed, by)
            made.append(proposed.id)
        return made

    def undo(self, action_ids: Iterable[int]) -> list[int]:
        """Actions that take these back, approved."""
        made = []
        for action_id in action_ids:
            with database.transaction(STAFF) as session:
                proposed = service.undo(session, action_id, self.cast.actor("Dave"), "web")
                self._approve(session, proposed, "Dave")
            made.append(proposed.id)
        return made

    def _approve(self, session: Any, proposed: Any, by: str) -> None:
        if proposed.state == ActionState.AWAITING:
            sha = session.execute(text("SELECT payload_sha256 FROM actions WHERE id = :id"), {"id": proposed.id}).scalar_one()
            service.decide(session, proposed.id, Decided.APPROVE, self.cast.actor(by), payload_sha256=sha, via="web")
        elif proposed.state not in (ActionState.APPROVED, ActionState.DEFERRED):
            raise AssertionError(f"{proposed.state}: {proposed.reason}")

    @property
    def secrets(self) -> dict[str, str]:
        """What must be nowhere but in its place."""
        keys = {k: v for k, v in self.remote.keys.items() if k.endswith(("TOKEN", "API_KEY"))}
        return keys | {"SMTP password": self.remote.keys["SMTP_URL"].split(":")[2].split("@")[0]}

    def actor(self, name: str) -> Actor:
        return self.cast.actor(name)

    # ---- processes

    def worker(self, number: int = 1, crash: str | None = None) -> subprocess.Popen[bytes]:
        """A real worker of the interactive queue. `crash` is "point:1" or "point:1,2": each action dies there at its first, and
        also at its second passing."""
        environment = {**os.environ, **self.environment}
        if crash is not None:
            self._counters(crash).mkdir(exist_ok=True)
            environment |= {crashpoints.SETTING: crash, crashpoints.COUNTER: str(self._counters(crash))}
        return self._start(environment, "-m", "worker.main", "interactive", str(number))

    def _counters(self, crash: str) -> Path:
        return self.folder / ("crash-" + crash.replace(":", "-").replace(",", "-"))

    def passed(self, crash: str, action_id: int) -> int:
        """How often this action came by that crash point, alive or for the last time."""
        counted = self._counters(crash) / str(action_id)
        return counted.stat().st_size if counted.exists() else 0

    def clock(self) -> subprocess.Popen[bytes]:
        """The clock, which wakes workers for what waits and takes back what dead ones held."""
        return self._start({**os.environ, **self.environment}, "-m", "worker.clock")

    def _start(self, environment: dict[str, str], *argv: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, *argv], cwd=ROOT, env=environment, stdout=self.log, stderr=self.log)
        self.started.append(process)
        return process

    @staticmethod
    def kill(process: subprocess.Popen[bytes]) -> None:
        """SIGKILL, with all it started; returns when it is gone."""
        if process.poll() is None:
            for pid in (process.pid, *children(process.pid)):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        process.wait()

    def settle(
        self, ids: Sequence[int], workers: dict[int, subprocess.Popen[bytes]], crash: str | None, limit_s: float
    ) -> dict[int, str]:
        """Wait until these actions have ended and their runs too; a worker that was killed is started anew. State by id.

        When they don't end in time the states say so.
        """

        def settled() -> bool:
            for number, process in workers.items():
                if process.poll() is not None:
                    workers[number] = self.worker(number, crash)
            return all(s in SETTLED for _, s in sql(_STATES, ids=list(ids))) and sql(_LEFT)[0][0] == 0

        with suppress(AssertionError):
            until(settled, limit_s)
        return dict(sql(_STATES, ids=list(ids)))

    def drain(self, limit_s: float = 60) -> None:
        """Let a worker do what is left of its queue, e.g. what tells people of an `unknown`."""
        if sql(_DUE)[0][0] == 0:
            return
        worker = self.worker(9)
        try:
            until(lambda: sql(_DUE)[0][0] == 0, limit_s, "the interactive queue runs dry")
        finally:
            self.kill(worker)

    def tail(self) -> str:
        """The end of what the processes wrote."""
        return (self.folder / "processes.log").read_text(errors="replace")[-4000:]
