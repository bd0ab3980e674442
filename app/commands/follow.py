"""Waiting for a run: live steps for a person, quiet polling for a program."""

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from core.errors import BadInput, OpsError

if TYPE_CHECKING:
    from core.runtime.runs.detail import StepRow
    from core.runtime.runs.rows import RunRow

POLL_S = 0.1
NOBODY_AFTER_S = 10.0
_MARKS = {"succeeded": "[green]✓[/]", "failed": "[red]✗[/]", "running": "[blue]…[/]"}


def json_payload(text: str | None) -> dict[str, Any] | None:
    """The value of --payload. Raises BadInput when it is not a JSON object."""
    if text is None:
        return None
    import json

    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadInput(
            f"The payload is not JSON: {error}.", "Quote it for the shell, e.g. --payload '{\"client\": 12}'."
        ) from None
    if not isinstance(found, dict):
        raise BadInput("The payload has to be a JSON object.", "For example --payload '{\"client\": 12}'.")
    return found


def outcome(run_id: int) -> dict[str, Any]:
    """What `--wait --json` prints. `duration_ms` is null for a run that never started."""
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.runs.queries import run_detail

    with db.transaction(STAFF) as session:
        found = run_detail(session, run_id)
    length = found.run.duration_s
    return {
        "run_id": run_id,
        "state": found.run.state,
        "duration_ms": None if length is None else round(length * 1000),
        "output": found.output,
    }


def report(run_id: int, output: dict[str, Any] | None) -> str | None:
    """What the run wrote, with its figures, as plain text; None when it wrote nothing."""
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.agents.queries import report_text

    with db.transaction(STAFF) as session:
        return report_text(session, run_id, output)


def wait(run_id: int, timeout_s: float, *, show: bool) -> bool:
    """Wait until the run has ended; False when it has not after `timeout_s`. With `show`, its steps are drawn as they come."""
    from core.runtime.runs.models import ENDED

    end = time.monotonic() + timeout_s
    began, hinted = time.monotonic(), False
    drawing = _Drawing() if show else None
    try:
        while True:
            run, steps = _look(run_id, with_steps=show)
            if drawing:
                drawing.update(run, steps)
            if run.state in ENDED:
                return True
            if time.monotonic() >= end:
                return False
            if not hinted and run.started_at is None and time.monotonic() - began > NOBODY_AFTER_S:
                hinted = True
                click.echo("No worker has taken it yet. `ops status` shows whether any is running.", err=True)
            time.sleep(POLL_S)
    finally:
        if drawing:
            drawing.end()


def _look(run_id: int, *, with_steps: bool) -> "tuple[RunRow, tuple[StepRow, ...]]":
    from sqlalchemy import select

    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.runs.models import Run
    from core.runtime.runs.queries import run_steps
    from core.runtime.runs.rows import row_columns, to_row
    from core.runtime.schedules.models import Schedule

    with db.transaction(STAFF) as session:
        found = session.execute(
            select(*row_columns()).outerjoin(Schedule, Schedule.id == Run.schedule_id).where(Run.id == run_id)
        ).first()
        if found is None:
            raise OpsError(f"Run {run_id} is gone.", "Somebody deleted it, perhaps with the demo agency.")
        return to_row(tuple(found)), run_steps(session, run_id) if with_steps else ()


class _Drawing:
    """The live view: title, state and steps. Without a terminal only the end is printed."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console()
        self._live = Live(console=self._console, refresh_per_second=10, transient=False) if sys.stdout.isatty() else None
        self._last: Any = None
        if self._live:
            self._live.start()

    def update(self, run: "RunRow", steps: "tuple[StepRow, ...]") -> None:
        self._last = self._draw(run, steps)
        if self._live:
            self._live.update(self._last)

    def end(self) -> None:
        if self._live:
            self._live.stop()
        elif self._last is not None:
            self._console.print(self._last)

    def _draw(self, run: "RunRow", steps: "tuple[StepRow, ...]") -> Any:
        from rich.markup import escape
        from rich.table import Table

        from app.ui.words import duration

        made = Table.grid(padding=(0, 1))
        spent = f"  {duration(run.duration_s)}" if run.duration_s is not None else ""
        made.add_row("", f"[bold]{escape(run.title)}[/]  run {run.id}  {run.word}{spent}")
        for step in steps:
            note = f"  [dim]{escape(step.note)}[/]" if step.note else ""
            length = duration(step.duration_s) if step.duration_s is not None else ""
            made.add_row(_MARKS.get(step.state, " "), f"{escape(step.label)}  [dim]{length}[/]{note}")
        if run.error_message and run.state == "failed":
            made.add_row("", f"[red]{escape(run.error_message)}[/] {escape(run.error_next_step or '')}")
        return made
