"""Eight weeks of runs of the built-in jobs, on the slots they really have. Every run has ended: no worker ever picks one up."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from core.domains.demo import words
from core.domains.demo.world import HISTORY, Row, World
from core.kit import clock
from core.runtime.agents.specs import AGENT_JOB, JobSpec, specs
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs.models import CauseKind, Queue, Reason, RunState, StepState
from core.runtime.schedules import rules as slots

MODEL = "claude-sonnet-5"
_STEPS = (
    ("collect", "Collecting facts", 0.12),
    ("compose", "Writing the report", 0.7),
    ("verify", "Checking every number", 0.78),
    ("act", "Preparing messages", 0.9),
    ("report", "Filing the report", 1.0),
)
"""Names and labels of the steps of an agent job, and the share of the run's time after which each ends."""
# outcomes that are not plain success: one in so many runs, spread evenly so that each kind is there to see
_ODD_EVERY, _ODD = 13, ("failed", "late", "timed_out", "failed", "missed", "late", "coalesced")


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run of the demo and the job it belongs to."""

    spec: JobSpec
    row: Row
    id: int


def build(world: World) -> dict[str, PastRun]:
    """Past runs with their steps and events. Returns each job's latest run, which succeeded, by job name."""
    known = world.table("schedules")
    found = world.session.execute(
        select(known.c.name, known.c.id, known.c.cron, known.c.time_zone).where(known.c.org_id == AGENCY_ID)
    )
    schedules = {r.name: r for r in found}
    rows: list[tuple[JobSpec, Row]] = []
    for spec in specs():
        if spec.name in schedules:
            rows += [(spec, row) for row in _slots(world, spec, schedules[spec.name])]
            rows += [(spec, row) for row in _by_hand(world, spec, schedules[spec.name])]
    rows.sort(key=lambda pair: pair[1]["created_at"])
    ids = world.put("runs", [row for _, row in rows])
    past = [PastRun(spec, row, run_id) for (spec, row), run_id in zip(rows, ids, strict=True)]
    world.put_many("run_steps", [step for run in past for step in _steps(run)])
    latest = {run.spec.name: run for run in past if run.row["state"] == RunState.SUCCEEDED}
    for run in past:
        _tell(world, run, is_latest=latest.get(run.spec.name) is run)
    return latest


def _slots(world: World, spec: JobSpec, schedule: Any) -> list[Row]:
    due = slots.slots(schedule.cron, schedule.time_zone, world.now - HISTORY, world.now - timedelta(minutes=5), 400)
    if not due and spec.cron == schedule.cron:
        return []
    shift = sum(map(ord, spec.name)) % _ODD_EVERY
    made = []
    for number, at in enumerate(due):
        place = number + shift
        odd = _ODD[(place // _ODD_EVERY + shift) % len(_ODD)] if place % _ODD_EVERY == 0 else ""
        # the latest run of each job is a good one, for its report is shown in full
        made.append(_run(world, spec, schedule.id, at, "" if at == due[-1] else odd))
    return made


def _by_hand(world: World, spec: JobSpec, schedule: Any) -> list[Row]:
    """A person pressed Run now once or twice."""
    made = []
    for who in world.rng.sample(("Dave", "Brian", "Dan"), world.rng.randint(0, 2)):
        at = world.office_time(world.now - HISTORY, world.now - timedelta(days=4))
        row = _run(world, spec, schedule.id, at, "")
        by = {"cause_kind": CauseKind.USER, "cause_id": world.users.get(who), "cause_label": who}
        made.append({**row, **by, "due_at": None, "queue": Queue.INTERACTIVE, "priority": 10, "key": None})
    return made


def _run(world: World, spec: JobSpec, schedule_id: int, due: datetime, odd: str) -> Row:
    rng = world.rng
    by_model = rng.random() < 0.75
    took = rng.uniform(9, 34) if by_model else rng.uniform(0.3, 1.4)
    late = odd == "late"
    started = due + timedelta(minutes=rng.uniform(18, 44)) if late else due + timedelta(seconds=rng.uniform(0.05, 0.9))
    state, reason, error = RunState.SUCCEEDED, None, None
    if odd == "failed":
        kind, message, step = rng.choice(words.RUN_FAILURES)
        state, reason, error = RunState.FAILED, Reason.ERROR, _error(kind, message, step)
    if odd == "timed_out":
        took = spec.timeout_s
        state, reason = RunState.FAILED, Reason.TIMED_OUT
        error = _error(
            "TimeoutError", f"It took longer than its limit of {spec.timeout_s} s.", "Retry it, or raise the job's time limit."
        )
    skipped = odd in ("missed", "coalesced")
    if skipped:
        state, reason = RunState.CANCELLED, Reason(odd)
    good = state is RunState.SUCCEEDED
    tokens = rng.randrange(3_200, 7_400) if good and by_model else 0
    found_out = due + timedelta(hours=rng.uniform(0.5, 2))
    return {
        "org_id": AGENCY_ID, "kind": AGENT_JOB, "name": spec.name, "key": f"demo:{spec.name}:{due.isoformat()}",
        "queue": Queue.AGENTS, "priority": 100, "state": state, "reason": reason, "payload": {"agent": spec.agent},
        "run_after": due, "attempts": 0 if skipped else 1, "max_attempts": 3, "rescues": 0, "timeout_s": spec.timeout_s,
        "worker": None if skipped else "worker-agents-1", "pushed_at": None if skipped else due,
        "progress": 1.0 if good else 0.0 if skipped else 0.3, "progress_note": None,
        "output": _output(MODEL if by_model else "template") if good else None, "error": error,
        "cause_kind": CauseKind.SCHEDULE, "cause_id": schedule_id, "cause_label": "schedule", "schedule_id": schedule_id,
        "due_at": due, "late": late, "tokens": tokens, "cost_microusd": tokens * rng.randrange(4, 7),
        "created_at": found_out if skipped else due, "started_at": None if skipped else started,
        "finished_at": found_out if skipped else started + timedelta(seconds=took),
    }  # fmt: skip


def _error(kind: str, message: str, next_step: str) -> dict[str, str]:
    return {"type": kind, "message": message, "next_step": next_step, "trace": ""}


def _output(composer: str) -> dict[str, Any]:
    return {"text": words.OLD_REPORT, "composer": composer, "verified": True, "note": None, "produced": {}, "event_id": None}


def _steps(run: PastRun) -> list[Row]:
    row = run.row
    if row["started_at"] is None:
        return []
    good = row["state"] == RunState.SUCCEEDED
    took, at, made = row["finished_at"] - row["started_at"], row["started_at"], []
    for name, label, share in _STEPS:
        end = row["started_at"] + took * share
        last = not good and name == "compose"
        made.append(
            {
                "org_id": AGENCY_ID, "run_id": run.id, "name": name, "label": label,
                "state": StepState.FAILED if last else StepState.SUCCEEDED, "attempt": 1,
                "note": row["error"]["message"] if last else None, "started_at": at,
                "finished_at": row["finished_at"] if last else end,
            }
        )  # fmt: skip
        if last:
            break
        at = end
    return made


def _tell(world: World, run: PastRun, *, is_latest: bool) -> None:
    row, spec = run.row, run.spec
    if row["state"] == RunState.FAILED:
        world.tell(
            "run.failed", f"{spec.name} failed: {row['error']['message']}", row["finished_at"], actor=spec.agent,
            subject=("run", run.id), priority="high", run_id=run.id, payload={"reason": row["reason"]},
        )  # fmt: skip
    elif row["reason"] == Reason.MISSED:
        world.tell(
            "schedule.missed", f"{spec.title} missed a slot: nothing was running when it was due.", row["finished_at"],
            actor="Clock", subject=("schedule", row["schedule_id"]), priority="high",
        )  # fmt: skip
    elif row["state"] == RunState.SUCCEEDED and not is_latest:
        day = row["started_at"].astimezone(clock.zone(str(world.zone)))
        world.tell(
            spec.event_type, f"{spec.title} of {day:%A} {day.day} {day:%B} was filed.", row["finished_at"], actor=spec.agent,
            subject=("schedule", row["schedule_id"]), run_id=run.id, payload={"run_id": run.id, "schedule": spec.name},
        )  # fmt: skip
