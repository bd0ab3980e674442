"""What a run does with what it found out: every message of its job becomes an action, proposed once however often it resumes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.config import get_settings
from core.errors import BadInput, OpsError
from core.kit import clock
from core.runtime.actions.models import Action, ActionState, Outcome
from core.runtime.agents import asking, proposals, store, template
from core.runtime.agents.facts import Fact
from core.runtime.agents.proposals import MAIL, SLACK, Asking, Message, Target
from core.runtime.agents.specs import Intent
from core.runtime.runs.context import RunContext

SETTINGS = "job settings"
_KINDS = {"slack": SLACK, "email": MAIL}


@dataclass(frozen=True, slots=True)
class Acting:
    """What acting needs of a run: its job's title and agent, its report, and what its drafts counted."""

    title: str
    agent: str
    zone: ZoneInfo
    text: str
    composer: str
    produced: Mapping[str, int]
    intents: Sequence[Intent] = ()
    sections: frozenset[str] = frozenset()
    """The job's own sections: their facts can be collected anew. What the model looked up depends on what it asked."""
    asked: Sequence[Mapping[str, str]] = ()
    """What the model asked for by its tool, see `asking`."""


def act(session: Session, ctx: RunContext, what: Acting) -> list[dict[str, Any]]:
    """Propose every message. Returns for each {"id", "state", "to"}, or {"to", "error"} for one that could not be made."""
    facts = store.load_facts(session, ctx.run_id) | _counted(what.produced)
    sections = {k: s for k, s in store.sections_by_key(session, ctx.run_id).items() if s in what.sections}
    made = []
    for number, intent in enumerate(what.intents, start=1):
        message = _intended(what, intent, ctx.run_id, facts, sections)
        made.append(_propose(session, ctx, message, what.agent, f"run:{ctx.run_id}:{number}"))
    for number, asked in enumerate(what.asked, start=1):
        wanted = _asked_for(session, what, asked, facts, sections)
        if wanted is not None:
            made.append(_propose(session, ctx, wanted, what.agent, f"run:{ctx.run_id}:asked:{number}"))
    return made


def _counted(produced: Mapping[str, int]) -> dict[str, Fact]:
    return {f"produced.{k}": Fact(f"produced.{k}", k, v, "count", f"{v:,}", "produced") for k, v in produced.items()}


def _intended(what: Acting, intent: Intent, run_id: int, facts: Mapping[str, Fact], sections: Mapping[str, str]) -> Message:
    kind = _KINDS.get(intent.channel)
    if kind is None:
        raise BadInput(f"“{what.title}” means to send by “{intent.channel}”, which nobody can.", "Use slack or email.")
    written = what.text if intent.text is None else intent.text
    text = proposals.filled(written, facts)
    if intent.text is None:
        text = f"# {what.title}\n{text}{_link(run_id)}" if kind == SLACK else text + _link(run_id)
    return Message(
        kind, Target(intent.target, SETTINGS), text, f"“{what.title}” sends {_what(intent)} to {intent.target}.",
        what.composer if intent.text is None else template.NAME, _subject(what), proposals.cited(written, facts), sections,
    )  # fmt: skip


def _what(intent: Intent) -> str:
    return "its report" if intent.text is None else "a short notice"


def _subject(what: Acting) -> str:
    today = clock.now().astimezone(what.zone).date()
    return f"{what.title}, {today.day} {today:%b %Y}"


def _link(run_id: int) -> str:
    address = get_settings().public_url
    return f"\n\nWhere each figure comes from: {address.rstrip('/')}/run?run={run_id}" if address else ""


def _asked_for(
    session: Session, what: Acting, asked: Mapping[str, str], facts: Mapping[str, Fact], sections: Mapping[str, str]
) -> Message | None:
    """What the model asked for. Whom "person:ID" is, is read now: somebody who left meanwhile gets nothing."""
    target = Target(asked["to"], "a channel of the job's settings")
    if asked["kind"] == MAIL:
        person = asking.address_of(session, asked["to"])
        if person is None:
            return None
        target = Target(person.email, f"our own record of {person.name}")
    subject = proposals.filled(asked["subject"], facts) if asked["subject"] else None
    found = proposals.cited(f"{asked['text']} {asked['subject']}", facts)
    return Message(
        asked["kind"], target, proposals.filled(asked["text"], facts), f"{what.agent} asked for it while writing “{what.title}”.",
        what.composer, subject or f"{what.title}: a note", found, sections,
    )  # fmt: skip


def _propose(session: Session, ctx: RunContext, message: Message, agent: str, key: str) -> dict[str, Any]:
    """A message that can't be made must not take the report down with it."""
    try:
        with session.begin_nested():
            made = proposals.propose(session, message, Asking(agent, ctx.run_id, key, ctx.org_id))
    except OpsError as error:
        if error.retryable:
            raise
        return {"to": message.target.to, "error": str(error)}
    return {"id": made.id, "state": made.state.value, "to": message.target.to}


# ---- what became of them

_WORDS = (
    ("allowed", (ActionState.APPROVED, ActionState.EXECUTING, ActionState.DONE, ActionState.UNDONE)),
    ("waiting for approval", (ActionState.AWAITING,)),
    ("deferred", (ActionState.DEFERRED,)),
    ("denied", (ActionState.DENIED,)),
    ("failed", (ActionState.FAILED, ActionState.UNKNOWN)),
    ("dismissed", (ActionState.DISMISSED,)),
)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many actions a run proposed, by what has become of them so far."""

    total: int
    by_word: Mapping[str, int]

    @property
    def sentence(self) -> str:
        """For the run page."""
        if not self.total:
            return "No action was proposed."
        parts = ", ".join(f"{n:,} {word}" for word, n in self.by_word.items() if n)
        return f"{self.total:,} action{'' if self.total == 1 else 's'} proposed: {parts}."


def tally(session: Session, run_id: int) -> Tally:
    """What the run proposed, its drafts' and reports' mails included; what it withdrew itself is left out."""
    found = session.execute(
        select(Action.state, func.count())
        .where(Action.run_id == run_id, Action.outcome.is_distinct_from(Outcome.WITHDRAWN))
        .group_by(Action.state)
    )
    by_state: dict[str, int] = {r[0]: r[1] for r in found}
    return Tally(sum(by_state.values()), {word: sum(by_state.get(s, 0) for s in states) for word, states in _WORDS})
