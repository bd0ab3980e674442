"""The fact sheet as the model gets it: one fact a line, never more than a prompt may hold, nothing dropped silently."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.integrations.anthropic.client import Request
from core.runtime.agents.facts import Fact, Section
from core.runtime.agents.untrusted import clean

MAX_PROMPT_TOKENS = 6_000
"""No prompt is longer, whatever the size of the agency, tools and the form of the answer included."""
FIRST_PROMPT_TOKENS = 4_500
"""The first prompt of a report leaves room for what the model looks up."""


def tokens(text: str) -> int:
    """How many tokens `text` has at most: 3 letters, 2 digits or signs, or 1.3 bytes of any other script each."""
    letters = sum(1 for c in text if c == " " or (c.isascii() and c.isalpha()))
    ascii_rest = sum(1 for c in text if c.isascii()) - letters
    other = len(text.encode("utf-8", "replace")) - letters - ascii_rest
    return int(letters / 3 + ascii_rest / 2 + other * 0.75) + 1


def request_tokens(request: Request) -> int:
    """The estimate for everything a call sends."""
    sent: list[Any] = [request.system, list(request.messages), list(request.tools), request.schema]
    return sum(tokens(s if isinstance(s, str) else json.dumps(s, ensure_ascii=False)) for s in sent if s) + 50


def line(fact: Fact) -> str:
    """`key | label | shown`, in one line, unable to end the sheet it stands in."""
    return f"{fact.key} | {cell(fact.label, 80)} | {cell(fact.shown, 130)}"


def cell(text: str, limit: int) -> str:
    """A text as one cell of the sheet: cleaned, without | < >, at most `limit` characters."""
    flat = clean(text).replace("|", "/").replace("<", "‹").replace(">", "›")
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


@dataclass(frozen=True, slots=True)
class Sheet:
    """The text for the prompt, and how many facts of which section did not fit."""

    text: str
    left_out: Mapping[str, int]

    @property
    def note(self) -> str | None:
        """The same in words, or None when all fitted."""
        if not self.left_out:
            return None
        listed = ", ".join(f"{n:,} of {key}" for key, n in self.left_out.items())
        return f"The model was not shown all facts, as the prompt is limited: left out were {listed}."


def build(sections: Sequence[Section], room: int, first: Sequence[str] = ()) -> Sheet:
    """As many facts as `room` tokens hold: those in `first`, then each section's first fact, each one's second, and so on."""
    room -= sum(_frame(s) for s in sections) + 20
    wanted = frozenset(first)
    chosen: set[tuple[str, str]] = set()
    for section, fact in _by_priority(sections, wanted):
        cost = tokens(line(fact)) + 1
        if cost <= room:
            room -= cost
            chosen.add((section.key, fact.key))
        elif room < 20:
            break
    parts, left_out = [], {}
    for section in sections:
        shown = [line(f) for f in section.facts if (section.key, f.key) in chosen]
        missing = len(section.facts) - len(shown)
        parts.append(f"## {section.key}: {cell(section.title, 100)}")
        parts += shown or ["(no facts)" if not section.facts else "(none shown)"]
        if missing:
            left_out[section.key] = missing
            parts.append(f"({missing} more facts of this section are not shown)")
    return Sheet("<facts>\n" + "\n".join(parts) + "\n</facts>", left_out)


def _frame(section: Section) -> int:
    return tokens(section.key + cell(section.title, 100)) + 30


def _by_priority(sections: Sequence[Section], wanted: frozenset[str]) -> list[tuple[Section, Fact]]:
    ranked = [
        (0 if fact.key in wanted else 1, place, order, section, fact)
        for order, section in enumerate(sections)
        for place, fact in enumerate(section.facts[:2_000])
    ]
    ranked.sort(key=lambda r: r[:3])
    return [(section, fact) for *_, section, fact in ranked]
