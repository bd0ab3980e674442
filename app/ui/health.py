"""Is the machinery running? One sentence for the page's head, worked out at most every few seconds per process."""

import time
from dataclasses import dataclass, replace
from threading import Lock

from core.domains.demo import service as demo
from core.errors import OpsError
from core.kit import db
from core.kit.db import STAFF
from core.runtime.runs import heartbeats, queries

KEEP_S = 4.0
SILENT_S = 20.0
STUCK_S = 60.0
EXPECTED = ("clock", "watchdog", "worker")


@dataclass(frozen=True, slots=True)
class Health:
    """`text` for the chip, `tone` its colour, `problems` in sentences; `demo`: the demo agency is in the database."""

    tone: str
    text: str
    problems: tuple[str, ...] = ()
    demo: bool = False


_lock = Lock()
_kept: tuple[float, Health] | None = None


def now() -> Health:
    """The health as of a few seconds ago."""
    global _kept
    with _lock:
        if _kept is None or time.monotonic() - _kept[0] > KEEP_S:
            _kept = (time.monotonic(), _look())
        return _kept[1]


def forget() -> None:
    """Look again at the next question (tests)."""
    global _kept
    _kept = None


def _look() -> Health:
    try:
        with db.transaction(STAFF) as session:
            beats = heartbeats.beats(session)
            oldest = queries.oldest_runnable_s(session)
            has_demo = demo.is_loaded(session)
    except OpsError as error:
        return Health("red", "Database away", (str(error),))
    return replace(judge({b.process: b.age_s for b in beats}, oldest), demo=has_demo)


def judge(ages: dict[str, float], oldest_s: float) -> Health:
    """From seconds since each process's last sign of life, and how long the oldest runnable run has waited."""
    problems = []
    for kind in EXPECTED:
        mine = [age for name, age in ages.items() if name == kind or name.startswith(f"{kind}-")]
        what = "No worker" if kind == "worker" else f"The {kind}"
        if not mine:
            problems.append(f"{what} is {'running' if kind == 'worker' else 'not running'}.")
        elif min(mine) > SILENT_S:
            problems.append(f"{what} {'has' if kind == 'worker' else 'has not'} been seen for {int(min(mine) // 60)} min.")
    if oldest_s > STUCK_S and not problems:
        problems.append(f"A run has waited {int(oldest_s // 60)} min for a worker.")
    if not problems:
        return Health("green", "All systems running")
    return Health("red" if len(problems) > 1 else "amber", problems[0].rstrip("."), tuple(problems))
