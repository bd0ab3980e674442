"""Whether the facts under an action that waits have changed since it was written. It warns; it decides nothing.

Facts are collected anew for the instant they were first collected for, so that mere time changes nothing: what differs is
what the records say now. A person who approves after that has seen the warning, and the approval stands.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import func, null, select, update
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.kit import clock, log
from core.runtime.actions.models import Action, ActionState
from core.runtime.agents import facts as registry
from core.runtime.agents import store
from core.runtime.agents.facts import Fact, FactContext
from core.runtime.agents.models import RunFact
from core.runtime.agents.untrusted import clean_fact
from core.runtime.runs import service as runs
from core.runtime.runs.context import RunContext
from core.runtime.runs.models import Run

CHECK: Final = "actions.stale_check"
EVERY: Final = timedelta(minutes=10)
"""An action younger than this is not looked at, and there is one look in this time."""
MOST: Final = 200
GONE: Final = "no longer there"
logger = log.get(__name__)

Source = Callable[[Session, FactContext, str], Iterable[Fact]]
"""Collects the facts of one thing anew: (session, when, which one)."""
_sources: dict[str, Source] = {}


def register(name: str, source: Source) -> None:
    """Make facts that are no section collectable anew: those of section "NAME:WHICH" by `source(session, when, "WHICH")`."""
    _sources[name] = source


class Checker:
    """Checks actions, collecting what several of them rest on once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[tuple[Any, ...], dict[str, Fact]] = {}

    def check(self, action: Action) -> dict[str, Any] | None:
        """{"checked_at", "changed": [{"key", "label", "was", "now"}]}, or None when all facts are as they were."""
        wanted: dict[str, list[Mapping[str, Any]]] = {}
        for line in action.facts:
            if line.get("section"):
                wanted.setdefault(str(line["section"]), []).append(line)
        changed = []
        basis = self._basis(action) if wanted else None
        for section, lines in wanted.items():
            found = self._collected(section, basis) if basis else None
            if found is None:
                continue  # nobody can collect it any more: nothing can be said about it
            for line in lines:
                now = _shown(found.get(str(line["key"])))
                if now != line["shown"]:
                    changed.append({"key": line["key"], "label": line["label"], "was": line["shown"], "now": now})
        return {"checked_at": clock.now().isoformat(), "changed": changed} if changed else None

    def _basis(self, action: Action) -> FactContext:
        """For which instant and with which parameters the action's facts were collected."""
        as_of, payload = action.created_at, {}
        if action.run_id is not None:
            as_of = self._session.scalar(select(func.max(RunFact.as_of)).where(RunFact.run_id == action.run_id)) or as_of
            payload = self._session.scalar(select(Run.payload).where(Run.id == action.run_id)) or {}
        return store.context_of(self._session, action.org_id, payload, as_of)

    def _collected(self, section: str, when: FactContext) -> dict[str, Fact] | None:
        key = (section, when.org_id, when.now, repr(sorted(when.params.items(), key=str)))
        if key not in self._known:
            found = self._collect(section, when)
            if found is None:
                return None
            self._known[key] = found
        return self._known[key]

    def _collect(self, section: str, when: FactContext) -> dict[str, Fact] | None:
        source, _, which = section.partition(":")
        spec = next((s for s in registry.sections() if s.key == section), None)
        if spec is not None:
            return {f.key: f for f in store.collect(self._session, spec, when).facts}
        if source not in _sources:
            return None
        with self._session.begin_nested() as savepoint:
            try:
                found = {f.key: f for f in _sources[source](self._session, when, which)}
            except NotFound:
                found = {}
            savepoint.rollback()
        return found


def _shown(fact: Fact | None) -> str:
    return str(clean_fact(fact)["shown"]) if fact is not None else GONE


def check(session: Session, action: Action) -> dict[str, Any] | None:
    """Whether facts under one action changed; see `Checker.check`."""
    return Checker(session).check(action)


def refresh(session: Session, action_id: int) -> dict[str, Any] | None:
    """Check an action that waits now, as a page that opens it does, and keep what was found. None: nothing changed."""
    action = session.get(Action, action_id)
    if action is None or action.state != ActionState.AWAITING:
        return action.stale if action is not None else None
    found = check(session, action)
    _keep(session, action, found)
    return found


def _keep(session: Session, action: Action, found: dict[str, Any] | None) -> bool:
    """Write it down when it is news. The row may be decided meanwhile: then it stays as it is."""
    before = (action.stale or {}).get("changed")
    if before == (found or {}).get("changed"):
        return False
    session.execute(
        update(Action)
        .where(Action.id == action.id, Action.state == ActionState.AWAITING)
        .values(stale=found if found is not None else null())
    )
    return True


def run(ctx: RunContext) -> dict[str, Any]:
    """Handler of `actions.stale_check`. Returns {"checked", "stale", "changed"}; "changed" counts those with news."""
    with ctx.transaction() as session:
        ids = list(session.scalars(_due().with_only_columns(Action.id)))
    stale = changed = 0
    for at in range(0, len(ids), 25):
        ctx.check()
        with ctx.transaction() as session:
            checker = Checker(session)
            for action in session.scalars(select(Action).where(Action.id.in_(ids[at : at + 25])).order_by(Action.id)):
                found = checker.check(action)
                stale += found is not None
                changed += _keep(session, action, found)
    return {"checked": len(ids), "stale": stale, "changed": changed}


def _due() -> Any:
    return (
        select(Action)
        .where(Action.state == ActionState.AWAITING, Action.created_at < func.statement_timestamp() - EVERY, Action.facts != [])
        .order_by(Action.id)
        .limit(MOST)
    )


def enqueue(session: Session) -> int | None:
    """Queue a look at what waits, once in ten minutes. None when nothing waits long enough, or a look was queued already."""
    if session.scalar(_due().with_only_columns(Action.id).limit(1)) is None:
        return None
    slot = int(clock.now().timestamp() // EVERY.total_seconds())
    made = runs.enqueue(session, CHECK, "Are the facts still true?", key=f"{CHECK}:{slot}")
    return made.run_id if made.created else None
