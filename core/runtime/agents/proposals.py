"""What an agent wants sent, as an action: its text, the facts it rests on, and where each value comes from.

Whom it goes to never comes from a text: it is the job's own setting, a known person, or a record, and the proposal says which.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from core.kit.actor import Actor
from core.runtime.actions.followers import Told
from core.runtime.actions.models import Action, ActionState, Origin
from core.runtime.actions.proposing import Proposal, Proposed
from core.runtime.agents import prose
from core.runtime.agents.facts import Fact
from core.runtime.agents.untrusted import clean_fact
from core.runtime.orgs.models import AGENCY_ID

SLACK: Final = "slack.post"
MAIL: Final = "mail.send"
_OPEN = (ActionState.AWAITING, ActionState.DEFERRED, ActionState.APPROVED)
_ENDED = (ActionState.DENIED, ActionState.FAILED, ActionState.DISMISSED)
_NOTHING = ("expired", "denied", "failed")
REMOVED: Final = "(link removed)"
_LINK = re.compile(
    r"""(?:\b[a-z][a-z0-9+.-]{1,20}:)?//\S+ | \b(?:https?|javascript|data|mailto|ftp|file|tel):\S+ | \bwww\.\S+
    | \b(?:[a-z0-9-]+\.)+[a-z]{2,24}(?::\d+)?/\S*""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Target:
    """Whom it goes to, and how we know: `source` in words. A target from a record that others fill in is untrusted."""

    to: str
    source: str
    origin: Origin = Origin.TRUSTED


@dataclass(frozen=True, slots=True)
class Message:
    """A message an agent proposes. `text` is final; `facts` are those it rests on, `sections` the section of each by its key.

    `composer` is "template" or the model's name; `about` says in words why it is wanted.
    """

    kind: str
    target: Target
    text: str
    about: str
    composer: str
    subject: str | None = None
    facts: Sequence[Fact] = ()
    sections: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asking:
    """Who proposes, in which run, under which key."""

    agent: str
    run_id: int | None
    key: str
    org_id: UUID = AGENCY_ID
    owner_role: str | None = None
    demo: bool = False


def propose(session: Session, message: Message, asking: Asking) -> Proposed:
    """Make the action, once for each key. Raises BadInput when the kind can't read it."""
    from core.runtime.actions import service

    by = Actor(asking.agent, "run", asking.run_id)
    return service.propose(session, proposal(message, asking, by))


def open_with(session: Session, prefix: str) -> list[Action]:
    """Actions whose key starts so that are not under way yet, oldest first."""
    wanted = select(Action).where(Action.key.startswith(prefix, autoescape=True), Action.state.in_(_OPEN))
    return list(session.execute(wanted.order_by(Action.id)).scalars())


def withdraw_others(session: Session, prefix: str, key: str, by: Actor, note: str) -> None:
    """What was written anew leaves no action with its old text waiting."""
    from core.runtime.actions import service

    for action in open_with(session, prefix):
        if action.key != key:
            service.withdraw(session, action.id, by, note)


def came_to_nothing(told: Told) -> bool:
    """Whether an action ended undone and nobody rejected it. What a run withdraws it has written anew: that goes on."""
    return told.what in _NOTHING or (told.what == "withdrawn" and (told.by is None or told.by.kind != "run"))


def fresh_key(session: Session, key: str) -> str:
    """The key, or another one when what was proposed under it came to nothing: then it may be asked once more."""
    known = or_(Action.key == key, Action.key.startswith(f"{key}:", autoescape=True))
    before = session.scalar(select(func.count()).where(known, Action.state.in_(_ENDED)))
    return f"{key}:{before}" if before else key


def proposal(message: Message, asking: Asking, by: Actor) -> Proposal:
    told = _source(message)
    payload: dict[str, Any]
    if message.kind == SLACK:
        payload = {"channel": message.target.to, "text": message.text}
    else:
        payload = {"to": message.target.to, "subject": message.subject or message.about, "text": message.text}
    reached = {"origin": message.target.origin.value, "source": message.target.source}
    provenance = {("channel" if message.kind == SLACK else "to"): reached, "text": told}
    if message.kind == MAIL:
        provenance["subject"] = told if _outside([f for f in message.facts if f.shown in payload["subject"]]) else {
            "origin": Origin.TRUSTED.value, "source": f"composed by {asking.agent}",
        }  # fmt: skip
    return Proposal(
        message.kind, payload, by, org_id=asking.org_id, reason=message.about, key=asking.key, agent=asking.agent,
        run_id=asking.run_id, facts=as_lines(message.facts, message.sections), origin=message.target.origin,
        provenance=provenance, owner_role=asking.owner_role, demo=asking.demo,
    )  # fmt: skip


def _source(message: Message) -> dict[str, str]:
    """Where the text is from. Citing one text from outside makes the whole of it untrusted."""
    who = "a template" if message.composer == "template" else message.composer
    outside = _outside(message.facts)
    number = len(message.facts)
    words = f"composed by {who} from {number:,} fact{'' if number == 1 else 's'}"
    if outside:
        words += f", {len(outside):,} of them text from outside"
    return {"origin": (Origin.UNTRUSTED if outside else Origin.TRUSTED).value, "source": words}


def _outside(facts: Iterable[Fact]) -> list[Fact]:
    return [f for f in facts if f.untrusted]


def as_lines(facts: Iterable[Fact], sections: Mapping[str, str]) -> list[dict[str, Any]]:
    """Facts as `actions.facts` keeps them, their texts made harmless."""
    kept = []
    for fact in facts:
        plain = clean_fact(fact)
        wanted = {k: plain[k] for k in ("key", "label", "shown", "value", "unit")}
        kept.append(wanted | {"section": sections.get(fact.key, "")})
    return kept


def cited(text: str, facts: Mapping[str, Fact]) -> list[Fact]:
    """The facts a text cites, in its order."""
    return [facts[key] for key in prose.cited_keys(text) if key in facts]


def filled(text: str, facts: Mapping[str, Fact]) -> str:
    """The text as it leaves the house, in Markdown: citations filled in, and nothing in a text from outside can be clicked."""
    safe = {k: replace(f, shown=without_links(f.shown)) if f.untrusted else f for k, f in facts.items()}
    out: list[str] = []
    for block in prose.blocks(text, safe):
        words = "".join(f"**{s.text}**" if s.strong and s.key is None and s.text.strip() else s.text for s in block.segments)
        if block.kind == "heading":
            out += ["", f"## {words}"] if out else [f"## {words}"]
        elif block.kind == "item":
            out.append("  " * block.level + (f"{block.number}. " if block.number is not None else "- ") + words)
        else:
            out.append(words)
    return "\n".join(out)


def without_links(text: str) -> str:
    """The text without addresses a reader could open, or that a program would open to draw a preview."""
    return _LINK.sub(REMOVED, text)
