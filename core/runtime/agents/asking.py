"""The tool by which the model itself may ask for a message: to a channel of its job, or to one of our own people by reference.

It never writes an address. What it names must be on the list its job gives it; who that is, is looked up in our records.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.orm import Session

from core.runtime.agents import sheet, verify
from core.runtime.agents.facts import Fact
from core.runtime.agents.proposals import MAIL, SLACK
from core.runtime.orgs import people
from core.runtime.orgs.people import Person

TOOL: Final = "propose_action"
MOST: Final = 5
"""Messages one run may ask for beyond those its job names."""
MAX_CHARS: Final = 2_000
_PERSON = re.compile(r"person:([1-9][0-9]{0,17})\Z")
_KEYS = frozenset({"kind", "to", "subject", "text"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A message the model asked for. `to` is a channel or "person:ID"; texts still cite facts."""

    kind: str
    to: str
    subject: str
    text: str

    def as_json(self) -> dict[str, str]:
        """To be kept with the step."""
        return {"kind": self.kind, "to": self.to, "subject": self.subject, "text": self.text}


@dataclass(slots=True)
class Asker:
    """Takes what the model asks for in one conversation, and says no to everything that is not on the list."""

    kinds: tuple[str, ...]
    channels: tuple[str, ...]
    persons: Sequence[Person]
    taken: list[Asked] = field(default_factory=list)

    def definition(self) -> dict[str, Any]:
        """The tool as the API wants it."""
        reachable = list(self.channels) if SLACK in self.kinds else []
        if MAIL in self.kinds:
            reachable += [f"person:{p.id}" for p in self.persons]
        named = "; ".join(f"person:{p.id} is {sheet.cell(p.name, 40)}" for p in self.persons) if MAIL in self.kinds else ""
        return {
            "name": TOOL,
            "description": "Ask for a message to our own people when something can't wait for the report. Policies or a person "
            "decide whether it is sent. The report itself is sent anyway. " + named,
            "input_schema": {
                "type": "object",
                "properties": {
                    "kind": {"type": "string", "enum": list(self.kinds)},
                    "to": {"type": "string", "enum": reachable},
                    "subject": {"type": "string", "description": "For mail only, one short line."},
                    "text": {"type": "string", "description": "What to say, citing facts as [[key]]; the report's rules hold."},
                },
                "required": ["kind", "to", "text"],
            },
        }

    def take(self, given: Any, known: Mapping[str, Fact]) -> tuple[str, bool]:
        """What to tell the model, and whether it was wrong."""
        if not isinstance(given, Mapping) or set(given) - _KEYS or not all(isinstance(v, str) for v in given.values()):
            return "Give kind, to and text, and for mail a subject: all of them texts.", True
        asked = Asked(given.get("kind", ""), given.get("to", ""), given.get("subject", "").strip(), given.get("text", "").strip())
        wrong = self._wrong(asked) or _badly_said(asked, known)
        if wrong:
            return wrong, True
        if asked in self.taken:
            return "That was noted before.", False
        if len(self.taken) >= MOST:
            return f"No more than {MOST} messages a run. Put the rest into the report.", True
        self.taken.append(asked)
        return "Noted. Policies or a person decide whether it is sent. Go on with the report.", False

    def _wrong(self, asked: Asked) -> str | None:
        if asked.kind not in self.kinds:
            return f"You may not ask for that. There is: {', '.join(self.kinds)}."
        if asked.kind == SLACK and asked.to not in self.channels:
            return f"You may not write there. Channels: {', '.join(self.channels)}."
        if asked.kind == MAIL and self._person(asked.to) is None:
            return "Mail goes to one of our own people, named as person:ID from the list; never to an address."
        return None

    def _person(self, reference: str) -> Person | None:
        match = _PERSON.match(reference)
        return next((p for p in self.persons if match and p.id == int(match[1])), None)


def _badly_said(asked: Asked, known: Mapping[str, Fact]) -> str | None:
    if len(asked.text) > MAX_CHARS or len(asked.subject) > 150 or "\n" in asked.subject:
        return f"Too long: at most {MAX_CHARS} characters, and a subject of one short line."
    facts = known.values()
    found = verify.check(asked.text, facts) or (verify.check(f"{asked.subject} it is about.", facts) if asked.subject else [])
    return f"It can't be sent like this: {found[0]}" if found else None


def desk_for(session: Session, kinds: Sequence[str], channels: Sequence[str]) -> Asker | None:
    """The tool of a job that lets its model ask for these kinds; None when it lets it ask for nothing."""
    wanted = tuple(k for k in kinds if k == MAIL or (k == SLACK and channels))
    if not wanted:
        return None
    return Asker(wanted, tuple(dict.fromkeys(channels)), people.everybody(session) if MAIL in wanted else ())


def address_of(session: Session, reference: str) -> Person | None:
    """Who "person:ID" is, read from our records now."""
    match = _PERSON.match(reference)
    return people.find(session, int(match[1])) if match else None
