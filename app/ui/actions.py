"""What clicks do: each asks who it is, calls one service in one transaction and says in a toast how it went."""

from app.auth.current import current_user, require
from app.ui import live, nav, page, words
from app.ui.table import RowId
from core.errors import OpsError
from core.kit import db
from core.kit.db import STAFF
from core.runtime.runs import service as runs
from core.runtime.schedules import service as schedules


def managers() -> tuple[str, ...]:
    """Roles that may change jobs and runs."""
    return tuple(nav.JOB_MANAGERS)


def run_job(name: str) -> int | None:
    """Start a job now. Returns the run's id, or None when it was refused."""
    user = current_user()
    started: list[int] = []

    def work() -> None:
        with db.transaction(STAFF) as session:
            started.append(schedules.run_now(session, name, user.actor))
        live.forget()

    return started[0] if page.attempt(work) else None


def switch_job(name: str, enabled: bool) -> bool:
    """Switch a job on or off."""
    user = require(*managers())

    def work() -> str:
        with db.transaction(STAFF) as session:
            job = schedules.set_enabled(session, name, enabled, user.actor)
        live.forget()
        return f"{job.title} is {'on' if enabled else 'off'}."

    return page.attempt(work)


def on_runs(action: str, ids: list[RowId]) -> None:
    """Retry or cancel runs; each stands alone, so one that has ended meanwhile does not stop the others."""
    user = require(*managers())
    done, refused = 0, ""
    for run_id in ids:
        try:
            with db.transaction(STAFF) as session:
                (runs.retry if action == "retry" else runs.cancel)(session, int(run_id), user.actor)
            done += 1
        except OpsError as error:
            refused = str(error)
    live.forget()
    verb = "Retrying" if action == "retry" else "Cancelling"

    def say() -> str:
        if not done:
            raise OpsError(refused)
        return f"{verb} {words.many(done, 'run')}." + (f" {refused}" if refused else "")

    page.attempt(say)
