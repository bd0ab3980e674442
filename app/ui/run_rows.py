"""A run as a row of the keyed table: the same on Runs, on a job's page and on Today."""

from app.ui import table, words
from app.ui.table import Column, Row
from core.runtime.runs.models import ACTIVE
from core.runtime.runs.queries import RunRow

COLUMNS = (
    Column("Run", "id", phone="label", width="72px"),
    Column("Job", "text", phone="first", width="224px"),
    Column("State", "state", phone="corner", width="136px"),
    Column("Started", "ago", width="106px"),
    Column("Duration", "duration", phone="label", align="end", width="100px"),
    Column("Cost", "money", phone="label", align="end", width="82px"),
    Column("Started by", "text", phone="hide", width="150px"),
    Column("What happened", "text", phone="wide"),
)
OF_ONE_JOB = (COLUMNS[0], Column("Due or started", "text", phone="first", width="224px"), *COLUMNS[2:])
RETRYABLE = ("failed", "cancelled", "quarantined")
BULK = (("retry", "Retry"), ("cancel", "Cancel"))


def row(run: RunRow, *, name: bool = True) -> Row:
    """One run. It can be retried or cancelled as the service allows."""
    running = run.state == "running"
    address = f"/run?run={run.id}"
    word = run.word + (", late" if run.late and run.state not in ("cancelled",) else "")
    state = table.chip(run.word, word)
    can = ["retry"] if run.state in RETRYABLE and run.reason not in ("missed", "coalesced") else []
    if run.state in ACTIVE:
        can = ["cancel"]
    tone = {"red": "red", "amber": "amber"}.get(words.state(run.word).tone, "")
    cells = [
        table.text(f"#{run.id}", href=address),
        run.title if name else words.when(run.due_at or run.created_at),
        state,
        table.ago(run.started_at or run.created_at),
        table.duration(run.duration_s, run.started_at if running else None),
        words.cost(run.cost_microusd),
        _by(run),
        said(run),
    ]
    return Row(run.id, cells, f"run {run.id}, {run.title}, {word}", tone=tone, can=can)


def _by(run: RunRow) -> str:
    if run.replay_of:
        return f"{run.cause_label or 'Someone'}, replay of #{run.replay_of}"
    return {"schedule": "Schedule"}.get(run.cause_kind, run.cause_label or run.cause_kind.capitalize())


def said(run: RunRow) -> str:
    """What happened, in a few words: the step it is in, or why it ended."""
    if run.cancel_requested and run.state == "running":
        return "Stopping…"
    if run.state == "running":
        return run.progress_note or "Starting"
    if run.state == "queued":
        return f"Due {words.soon(run.run_after)}" if run.attempts == 0 and run.due_at else "Waiting for a worker"
    if run.state == "waiting":
        return f"Tries again {words.ago(run.run_after)}" if run.reason == "retry" else (run.progress_note or "Waiting")
    if run.error_message:
        return run.error_message
    if run.word == "Missed":
        return "Nothing was running when it was due"
    if run.word == "Coalesced":
        return "An earlier run was still going"
    if run.rescues:
        return f"Taken over {words.many(run.rescues, 'time')} after its worker went away"
    return f"Needed {run.attempts} tries" if run.attempts > 1 else ""
