"""The crash-point matrix: every way out × every crash point × {dies once there, dies twice there} × how the vendor behaves."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field

from core import registry
from core.kit import crashpoints
from tests.faults.cases import Case, cases
from tests.faults.stage import Stage

registry.load()  # the cells come from what is registered
TURNS = ("1", "1,2")
"""Each effect dies when it comes by for the first time; and also when it, started anew, comes by for the second time."""
MODES = ("ok", "apply_then_drop")
POINTS = {
    "action.after_claim": (),
    "action.before_intent_committed": (),
    "action.after_intent_committed": (),
    "action.after_send_before_record": (),
    "action.after_record_before_ack": (),
    "run.after_ack": (),
    # these lie on the way of an effect that had bad luck before: the vendor behaves so that it comes by
    "action.after_look_up_before_send": ("drop_before",),
    "action.after_refusal_before_record": ("429:0",),
    "action.after_no_answer": ("drop_before", "apply_then_500"),
}
"""Every crash point of effects, with what else vendors do there."""
INSIDE = frozenset(
    {
        "action.after_claim", "action.before_intent_committed", "action.after_intent_committed", "action.after_record_before_ack",
        "run.after_ack",
    }
)  # fmt: skip
"""Those that an effect in our own database comes by."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Cells that share a worker: one of each case."""

    point: str
    turns: str
    mode: str

    @property
    def crash(self) -> str:
        return f"{self.point}:{self.turns}"

    def __str__(self) -> str:
        return f"{self.point} x{len(self.turns.split(','))}, {self.mode}"


@dataclass
class Told:
    """How a batch ended: case to its action's state. `passed` is how often each came by the crash point."""

    batch: Batch
    states: dict[Case, str] = field(default_factory=dict)
    passed: dict[Case, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def cells(self) -> int:
        return len(self.states)


def points() -> tuple[str, ...]:
    """The registered crash points on the way of effects."""
    return tuple(n for n in crashpoints.names() if n.startswith(("action.", "run.")))


def batches() -> list[Batch]:
    """The whole matrix."""
    return [Batch(p, t, m) for p in points() for t in TURNS for m in (*MODES, *POINTS[p])]


def seed(stage: Stage, workers: dict[int, subprocess.Popen[bytes]], many: int) -> dict[str, list[int]]:
    """So many done actions of each kind that can be taken back: kind to their ids."""
    wanted = {c.undoes for c in cases() if c.undoes}
    made = {c.kind: stage.approved(c, many) for c in cases() if c.kind in wanted}
    ended = stage.settle([i for ids in made.values() for i in ids], workers, None, 30 + many * len(made))
    assert set(ended.values()) == {"done"}, ended
    return made


def run(stage: Stage, batch: Batch, seeds: dict[str, list[int]], limit_s: float = 150) -> Told:
    """One batch, from approved actions to their ends. `seeds` loses one of each kind.

    The limit is for machines on which a worker, which dies once or twice for each case, takes seconds to start.
    """
    told = Told(batch)
    stage.remote.reset()
    made: dict[Case, int] = {}
    for case in cases():
        made[case] = stage.approved(case)[0] if case.undoes is None else stage.undo([seeds[case.undoes].pop()])[0]
        if case.endpoint is not None and batch.mode != "ok":
            stage.remote.mode(case.endpoint, batch.mode, calls=[1])
    workers = {1: stage.worker(1, batch.crash)}
    states = stage.settle(list(made.values()), workers, batch.crash, limit_s)
    for process in workers.values():
        stage.kill(process)
    told.states = {case: states[number] for case, number in made.items()}
    told.passed = {case: stage.passed(batch.crash, number) for case, number in made.items()}
    told.wrong = [f"{case.name} ended as {state}" for case, state in told.states.items() if state not in _good(case)]
    return told


def _good(case: Case) -> tuple[str, ...]:
    """How it may end: done; where nobody can look, also as a question to a person."""
    return ("done",) if case.can_tell else ("done", "unknown")


def dangerous(batch: Batch) -> bool:
    """The few that are tried on every push."""
    return (batch.point, batch.turns, batch.mode) in {
        ("action.after_intent_committed", "1", "ok"),
        ("action.after_send_before_record", "1,2", "ok"),
        ("action.after_no_answer", "1", "apply_then_drop"),
        ("action.after_look_up_before_send", "1", "drop_before"),
        ("run.after_ack", "1", "ok"),
    }


def unmet(told: Iterable[Told]) -> list[str]:
    """Crash points that no effect of a case ever came by."""
    seen: dict[str, set[str]] = {}
    for one in told:
        for case, times in one.passed.items():
            if times:
                seen.setdefault(case.name, set()).add(one.batch.point)
    return [f"{case.name} came by only {sorted(seen.get(case.name, ()))}" for case in cases() if len(seen.get(case.name, ())) < 5]
