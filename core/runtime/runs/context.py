"""What a handler gets: its run, fenced transactions, resumable steps, progress and a log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

from rq.timeouts import JobTimeoutException
from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from core.errors import OpsError
from core.kit import db
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.runs.lease import Claim, LeaseLost, fence
from core.runtime.runs.models import Run, RunLog, RunStep, StepState
from core.runtime.runs.outcome import as_stored
from core.runtime.runs.pulse import Pulse

T = TypeVar("T")


class RunContext:
    """The handler's view of the run it works on. Everything written through it carries the fencing token."""

    def __init__(self, held: Claim, pulse: Pulse) -> None:
        self.held = held
        self._pulse = pulse

    @property
    def run_id(self) -> int:
        return self.held.id

    @property
    def org_id(self) -> UUID:
        return self.held.org_id

    @property
    def payload(self) -> dict[str, Any]:
        return self.held.payload

    @property
    def actor(self) -> Actor:
        """This run as the doer of what it does."""
        return Actor(self.held.payload.get("agent") or self.held.name, "run", self.held.id)

    def check(self) -> None:
        """Raise when the run was cancelled or lost. Long loops call it; steps and progress call it themselves."""
        self._pulse.check()

    @contextmanager
    def transaction(self, *, staff: bool = False) -> Iterator[Session]:
        """A transaction that commits only while this attempt still holds the run.

        `staff` sees every organisation: only for what the agency itself guards, such as limits across all senders.
        """
        self.check()
        with db.transaction(STAFF if staff else self.held.scope) as session:
            yield session
            fence(session, self.held)

    def step(self, name: str, work: Callable[[Session], T], *, label: str | None = None) -> T:
        """Do a named part of the run in one fenced transaction, once: a resumed run gets the stored result.

        `work` returns something JSON can hold. Its database writes and the record that it is done commit together.
        What comes back went through JSON also the first time: a tuple is a list, a key is a text.
        """
        done, stored = self._begin(name, label or name.capitalize())
        if done:
            return stored  # type: ignore[no-any-return]
        try:
            with self.transaction() as session:
                result = as_stored(work(session))
                self._end(session, name, StepState.SUCCEEDED, result)
        except Exception as error:
            self._fail(name, error)
            raise
        return result  # type: ignore[no-any-return]

    def step_outside(self, name: str, work: Callable[[], T], *, label: str | None = None) -> T:
        """Like `step` for work that waits on the outside (a model, a vendor): no transaction is held meanwhile."""
        done, stored = self._begin(name, label or name.capitalize())
        if done:
            return stored  # type: ignore[no-any-return]
        try:
            result = as_stored(work())
            with self.transaction() as session:
                self._end(session, name, StepState.SUCCEEDED, result)
        except Exception as error:
            self._fail(name, error)
            raise
        return result  # type: ignore[no-any-return]

    def note(self, name: str, text: str) -> None:
        """Say on the run page how a step is going."""
        with self.transaction() as session:
            session.execute(update(RunStep).where(RunStep.run_id == self.run_id, RunStep.name == name).values(note=_text(text)))

    def progress(self, share: float, note: str | None = None) -> None:
        """Show how far the run is: `share` from 0 to 1."""
        with self.transaction() as session:
            session.execute(
                update(Run)
                .where(Run.id == self.run_id, Run.lease_token == self.held.token)
                .values(progress=min(1.0, max(0.0, share)), progress_note=None if note is None else _text(note))
            )

    def log(self, message: str, level: str = "info") -> None:
        """Write a line on the run page: info, warning or error."""
        with self.transaction() as session:
            session.execute(insert(RunLog).values(org_id=self.org_id, run_id=self.run_id, level=level, message=_text(message)))

    def add_cost(self, session: Session, tokens: int, cost_microusd: int) -> None:
        """Add model use to the run, in the caller's transaction."""
        session.execute(
            update(Run)
            .where(Run.id == self.run_id)
            .values(tokens=Run.tokens + tokens, cost_microusd=Run.cost_microusd + cost_microusd)
        )

    def _begin(self, name: str, label: str) -> tuple[bool, Any]:
        with self.transaction() as session:
            known = session.execute(
                select(RunStep.state, RunStep.output).where(RunStep.run_id == self.run_id, RunStep.name == name)
            ).first()
            if known and known.state == StepState.SUCCEEDED:
                return True, known.output
            values = {
                "org_id": self.org_id,
                "run_id": self.run_id,
                "name": name,
                "label": label,
                "state": StepState.RUNNING,
                "attempt": self.held.attempt,
                "started_at": func.clock_timestamp(),
                "finished_at": None,
                "note": None,
            }
            changed = {k: v for k, v in values.items() if k not in ("org_id", "run_id", "name")}
            session.execute(upsert(RunStep).values(values).on_conflict_do_update(constraint="run_steps_once", set_=changed))
            session.execute(
                update(Run).where(Run.id == self.run_id, Run.lease_token == self.held.token).values(progress_note=label)
            )
        return False, None

    def _end(self, session: Session, name: str, state: StepState, output: Any = None, note: str | None = None) -> None:
        values: dict[str, Any] = {"state": state, "output": output, "finished_at": func.clock_timestamp()}
        if note is not None:
            values["note"] = note
        session.execute(update(RunStep).where(RunStep.run_id == self.run_id, RunStep.name == name).values(values))

    def _fail(self, name: str, error: Exception) -> None:
        if isinstance(error, LeaseLost):
            return  # the step belongs to another attempt now
        with db.transaction(self.held.scope) as session:
            try:
                fence(session, self.held)
            except LeaseLost:
                return
            self._end(session, name, StepState.FAILED, note=_sentence(self._pulse.why_stopped() or error))


def _text(words: str) -> str:
    """Words PostgreSQL can hold."""
    return words.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _sentence(error: Exception) -> str:
    if isinstance(error, OpsError):
        return error.message
    if isinstance(error, JobTimeoutException):
        return "The run took too long."
    return f"It stopped on an unexpected {type(error).__name__}."
