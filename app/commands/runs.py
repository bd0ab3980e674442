"""`ops runs`: the run ledger."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from app.commands.jobs import cli_actor
from app.commands.output import as_json, fields, json_option, table

if TYPE_CHECKING:
    from core.runtime.runs.queries import RunDetail


@click.group()
def runs() -> None:
    """The run ledger: list, show, cancel, retry, replay."""


@runs.command("list")
@click.option("--job", "names", multiple=True, metavar="NAME", help="Only runs of this job; repeat for more.")
@click.option(
    "--state", "words", multiple=True, metavar="WORD", help='Only runs that stand so, e.g. failed, running, "timed out".'
)
@click.option("--since", metavar="LENGTH", help="Only runs made in the last 30m, 12h, 3d …")
@click.option("--text", default="", help="Only runs whose name, cause or error holds this.")
@click.option("--limit", type=click.IntRange(1, 200), default=25, show_default=True, help="How many.")
@click.option("--before", type=int, metavar="ID", help="Only runs with a smaller id: the next page.")
@json_option
def list_command(
    names: tuple[str, ...], words: tuple[str, ...], since: str | None, text: str, limit: int, before: int | None, as_json_: bool
) -> None:
    """Runs, newest first."""
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.runs.queries import RunFilter, list_runs

    wanted = RunFilter(names=names, words=tuple(_word(w) for w in words), since=_since(since), text=text, before_id=before)
    with db.transaction(STAFF) as session:
        page = list_runs(session, wanted, limit)
    if as_json_:
        as_json({"runs": [asdict(r) for r in page.rows], "next_before_id": page.next_before_id})
        return
    from app.ui.words import ago, cost, duration

    table(
        ["Run", "Job", "Outcome", "When", "Took", "Cause", "Cost"],
        [
            [
                str(r.id), r.title, f"{r.word}, late" if r.late else r.word, ago(r.due_at or r.created_at),
                duration(r.duration_s), r.cause_label or r.cause_kind, cost(r.cost_microusd),
            ]
            for r in page.rows
        ],
        empty="No run matches." if wanted != RunFilter() else "Nothing has run yet. `ops jobs run NAME` starts a job.",
    )  # fmt: skip
    if page.next_before_id:
        click.echo(f"There are more: add --before {page.next_before_id}.")


def _word(text: str) -> str:
    from core.errors import BadInput
    from core.runtime.runs.rules import Word

    for word in Word:
        if word.lower() == text.strip().lower().replace("_", " ").replace("-", " "):
            return word.value
    raise BadInput(f"No run is ever “{text}”.", f"Use one of {', '.join(w.lower() for w in Word)}.")


def _since(text: str | None) -> Any:
    from app.commands.moments import length
    from core.errors import BadInput
    from core.kit import clock

    if text is None:
        return None
    found = length(text)
    if found is None:
        raise BadInput(f"“{text}” is not a length of time.", "Use 30m, 12h, 3d or 2w.")
    return clock.now() - found


@runs.command("show")
@click.argument("run_id", metavar="ID", type=int)
@click.option("--trace", is_flag=True, help="Show the trace of a failure too, for engineers.")
@json_option
def show_command(run_id: int, trace: bool, as_json_: bool) -> None:
    """One run: how it stands, its steps, log, error, cause and output."""
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.runs.queries import run_detail

    with db.transaction(STAFF) as session:
        found = run_detail(session, run_id)
    if as_json_:
        as_json(asdict(found))
        return
    _show(found, trace)


def _show(found: "RunDetail", trace: bool) -> None:
    from app.ui.words import ago, cost, duration, when

    run = found.run
    click.echo(click.style(f"{run.title}, run {run.id}", bold=True))
    fields(
        {
            "Outcome": f"{run.word}, late" if run.late else run.word,
            "Due": when(run.due_at) if run.due_at else None,
            "Queued": f"{when(run.created_at)} ({ago(run.created_at)})",
            "Started": when(run.started_at) if run.started_at else None,
            "Took": duration(run.duration_s),
            "Cause": " ← ".join(c.label or c.kind for c in found.causes) or None,
            "Attempts": f"{run.attempts} of {run.max_attempts + run.rescues}",
            "Progress": f"{run.progress:.0%} {run.progress_note or ''}".strip() if run.finished_at is None else None,
            "Cost": cost(run.cost_microusd),
            "Facts": found.facts or None,
            "Payload": _compact(found.payload),
        }
    )
    if found.error:
        click.echo(f"\n{click.style(str(found.error.get('message', '')), fg='red')} {found.error.get('next_step', '')}")
        if trace and found.error.get("trace"):
            click.echo("\n" + str(found.error["trace"]))
    if found.steps:
        click.echo()
        table(
            ["Step", "", "Took", "Note"],
            [[s.label, s.state.capitalize(), duration(s.duration_s), s.note] for s in found.steps],
            empty="",
        )
    if found.logs:
        click.echo()
        for line in found.logs:
            click.echo(f"{line.at:%H:%M:%S}  {line.level:<7}  {line.message}")
    if found.output:
        from app.commands.follow import report

        click.echo("\n" + (report(run.id, found.output) or _compact(found.output)))


def _compact(data: dict[str, Any]) -> str:
    import json

    text = json.dumps(data, ensure_ascii=False, default=str)
    return text if len(text) <= 2000 else text[:1999] + "…"


@runs.command("cancel")
@click.argument("run_id", metavar="ID", type=int)
@json_option
def cancel_command(run_id: int, as_json_: bool) -> None:
    """Cancel a run: at once when it has not started, at its next step when it is running."""
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.runs import service

    with db.transaction(STAFF) as session:
        state = service.cancel(session, run_id, cli_actor())
    if as_json_:
        as_json({"run_id": run_id, "state": state.value})
    elif state == "running":
        click.echo(f"Run {run_id} is asked to stop; it ends at its next step.")
    else:
        click.echo(f"Run {run_id} is cancelled.")


@runs.command("retry")
@click.argument("run_id", metavar="ID", type=int)
@json_option
def retry_command(run_id: int, as_json_: bool) -> None:
    """Queue a run that failed or was cancelled once more. Steps that are done are not done again."""
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.runs import service

    with db.transaction(STAFF) as session:
        service.retry(session, run_id, cli_actor())
    _queued(run_id, as_json_, f"Run {run_id} is queued again.")


@runs.command("replay")
@click.argument("run_id", metavar="ID", type=int)
@click.option("--payload", metavar="JSON", help="A JSON object in place of the run's payload.")
@json_option
def replay_command(run_id: int, payload: str | None, as_json_: bool) -> None:
    """Do an ended run again as a new run, from its start."""
    from app.commands.follow import json_payload
    from core import registry
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.runs import service

    given = json_payload(payload)
    registry.load()
    with db.transaction(STAFF) as session:
        made = service.replay(session, run_id, cli_actor(), given)
    _queued(made, as_json_, f"Run {made} does run {run_id} again.")


def _queued(run_id: int, as_json_: bool, sentence: str) -> None:
    if as_json_:
        as_json({"run_id": run_id})
    else:
        click.echo(f"{sentence} `ops runs show {run_id}` tells how it goes.")
