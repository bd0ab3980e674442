"""The live-run panel: a run's steps as bars over time, growing while it runs."""

from collections.abc import Sequence

from app.ui import assets, words
from core.runtime.runs.models import ACTIVE
from core.runtime.runs.queries import RunRow, StepRow


def show(key: str, run: RunRow, steps: Sequence[StepRow]) -> None:
    """Draw the steps. Mount it inside a live fragment; it keeps time by itself in between."""
    live = run.state == "running"
    made = []
    for step in steps:
        # a step left open by an attempt that ended is not running any more
        state = step.state if step.state != "running" or live else "cancelled"
        known = words.state(state)
        again = f"Try {step.attempt}" if step.attempt > 1 else ""
        made.append(
            {
                "label": step.label,
                "tone": known.tone,
                "word": known.word,
                "run": state == "running",
                "note": " · ".join(x for x in (step.note, again) if x) or None,
                "s": words.ms(step.started_at),
                "e": words.ms(step.finished_at),
            }
        )
    empty = "Waiting for a worker to take it." if run.state in ACTIVE else "This run has no steps."
    data = {
        "live": live,
        "start": words.ms(run.started_at) if len({s.attempt for s in steps}) <= 1 else None,
        "end": words.ms(run.finished_at),
        "steps": made,
        "empty": empty,
    }
    assets.renderer("steps")(key=f"steps_{key}", data=data)
