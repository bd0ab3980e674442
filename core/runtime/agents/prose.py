"""Prose that cites facts as `[[key]]`: its citations, its lines and sentences, and how people get to read it."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Literal, Protocol
from urllib.parse import quote

from core.kit import money
from core.runtime.agents import numbers
from core.runtime.agents.numbers import Number

CITATION = re.compile(r"\[\[([^\[\]\n]{1,200})\]\]")
_HEADING = re.compile(r"^(#{1,6})\s+(.*)$")
_ITEM = re.compile(r"^(\s*)(?:[-*+•]|(\d{1,3})[.)])\s+(.*)$")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"”’)*]*\s+(?=[A-Z\[“\"(*0-9])")
UNKNOWN = "(no figure)"
"""What people read where a citation names no fact. Verified text has none."""


class Citable(Protocol):
    """What a citation needs to know of a fact: a `facts.Fact` and a stored `RunFact` both fit."""

    @property
    def key(self) -> str: ...
    @property
    def value(self) -> object: ...
    @property
    def unit(self) -> str: ...
    @property
    def shown(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of text as people read it. With a `key` it is a number or name that opens the fact of that key."""

    text: str
    key: str | None = None
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line of prose: what it is, its nesting or heading level, and the text without its markup.

    `number` is the list number as written, for a numbered item.
    """

    kind: Literal["heading", "item", "paragraph"]
    level: int
    text: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """One line of a report, ready to draw. Items carry their list number, or None for a bullet."""

    kind: Literal["heading", "item", "paragraph"]
    level: int
    segments: tuple[Segment, ...]
    number: int | None = None


def lines(text: str) -> list[Line]:
    """The non-blank lines of a text."""
    found = []
    for raw in text.split("\n"):
        if not raw.strip():
            continue
        heading, item = _HEADING.match(raw), _ITEM.match(raw)
        if heading:
            found.append(Line("heading", len(heading[1]), heading[2].strip()))
        elif item:
            found.append(Line("item", len(item[1]) // 2, item[3].strip(), int(item[2]) if item[2] else None))
        else:
            found.append(Line("paragraph", 0, raw.strip()))
    return found


def sentences(line: str) -> list[str]:
    """The sentences of one line."""
    return [s.strip() for s in _SENTENCE_END.split(line) if s.strip()]


def cited_keys(text: str) -> list[str]:
    """Keys cited, in order, each once."""
    return list(dict.fromkeys(m[1].strip() for m in CITATION.finditer(text)))


def claims_of(fact: Citable) -> list[Number]:
    """The numbers that citing this fact lets a sentence repeat. A fact that is text allows none."""
    if fact.unit == "text":
        return []
    folded, _ = numbers.fold(fact.shown)
    allowed = [n for n in numbers.find(folded) if n.kind not in (numbers.OTHER, numbers.ORDINAL)]
    value = fact.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return allowed
    exact = Decimal(str(value))
    if fact.unit.startswith("money:"):
        allowed.append(Number(0, 0, "", fact.unit, money.to_major(int(value), fact.unit[6:])))
    elif fact.unit in ("count", "percent"):
        allowed.append(Number(0, 0, "", numbers.PLAIN if fact.unit == "count" else numbers.PERCENT, exact))
    elif fact.unit in ("days", "hours"):
        allowed.append(Number(0, 0, "", f"span:{fact.unit[:-1]}", exact))
    return allowed


def by_key(facts: Iterable[Citable] | Mapping[str, Citable]) -> Mapping[str, Citable]:
    """The facts by key."""
    return facts if isinstance(facts, Mapping) else {f.key: f for f in facts}


def render(text: str, facts: Iterable[Citable] | Mapping[str, Citable]) -> list[Segment]:
    """One stretch of prose as segments: text, and citations that open their fact.

    A number written out beside the citation of its fact opens that fact too. Emphasis marks become `strong`.
    The segments' text is plain: whoever draws it escapes it for the medium.
    """
    known = by_key(facts)
    segments: list[Segment] = []
    strong = False
    for sentence in _pieces(text):
        allowed = [(n, k) for k in cited_keys(sentence) if k in known for n in claims_of(known[k])]
        at = 0
        for match in CITATION.finditer(sentence):
            strong = _plain_segments(segments, sentence[at : match.start()], allowed, strong)
            fact = known.get(match[1].strip())
            segments.append(Segment(fact.shown if fact else UNKNOWN, fact.key if fact else None, strong))
            at = match.end()
        strong = _plain_segments(segments, sentence[at:], allowed, strong)
    return segments


def _pieces(text: str) -> list[str]:
    """The text cut into sentences, losing nothing of it."""
    cuts = [m.end() for m in _SENTENCE_END.finditer(text)] + [m.end() for m in re.finditer(r"\n", text)]
    edges = [0, *sorted(set(cuts)), len(text)]
    return [text[a:b] for a, b in pairwise(edges) if b > a]


def _plain_segments(out: list[Segment], text: str, allowed: list[tuple[Number, str]], strong: bool) -> bool:
    for index, part in enumerate(text.split("**")):
        if index:
            strong = not strong
        folded, where = numbers.fold(part)
        at = 0
        for number in numbers.find(folded):
            key = next((k for n, k in allowed if number.says(n)), None)
            if key is None:
                continue
            start, end = where[number.start], where[number.end - 1] + 1
            if part[at:start]:
                out.append(Segment(part[at:start], None, strong))
            out.append(Segment(part[start:end], key, strong))
            at = end
        if part[at:]:
            out.append(Segment(part[at:], None, strong))
    return strong


def blocks(text: str, facts: Iterable[Citable] | Mapping[str, Citable]) -> list[Block]:
    """A whole report, line by line, for a page to draw."""
    known = by_key(facts)
    return [Block(line.kind, line.level, tuple(render(line.text, known)), line.number) for line in lines(text)]


def plain(text: str, facts: Iterable[Citable] | Mapping[str, Citable]) -> str:
    """The text for Slack, mail, the terminal and events: every citation replaced by what it shows."""
    known = by_key(facts)
    out: list[str] = []
    for block in blocks(text, known):
        words = "".join(s.text for s in block.segments)
        if block.kind == "heading":
            words = ("\n" if out else "") + words
        elif block.kind == "item":
            words = "  " * block.level + (f"{block.number}. " if block.number is not None else "• ") + words
        out.append(words)
    return "\n".join(out)


_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+!|~$:&-])")


def escape(text: str) -> str:
    """`text` as Markdown that shows exactly these characters: no markup, no HTML, no formula, no emoji code."""
    flat = " ".join(text.split())
    return _MARKUP.sub(r"\\\1", flat).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")


def markdown(text: str, facts: Iterable[Citable] | Mapping[str, Citable], link: Callable[[str], str] | None = None) -> str:
    """Safe Markdown of a report: words escaped, each citation a link to `link(key)` when given."""
    out = []
    for block in blocks(text, facts):
        words = "".join(_segment_markdown(s, link) for s in block.segments)
        lead = {"heading": "#" * max(block.level, 1) + " ", "paragraph": ""}.get(block.kind)
        if lead is None:
            lead = "  " * block.level + (f"{block.number}. " if block.number is not None else "- ")
        out.append(lead + words)
        if block.kind != "item":
            out.append("")
    return "\n".join(out).strip() + "\n"


def _segment_markdown(segment: Segment, link: Callable[[str], str] | None) -> str:
    lead = segment.text[: len(segment.text) - len(segment.text.lstrip())]
    tail = segment.text[len(segment.text.rstrip()) :] if segment.text.strip() else ""
    words = escape(segment.text)
    if words and segment.key and link:
        words = f"[{words}]({quote(link(segment.key), safe='/?=&:%~.#,+-')})"
    if words and segment.strong:
        words = f"**{words}**"
    return (" " if lead else "") + words + (" " if tail else "")


_DRAFT_MARKUP = re.compile(r"([\\`*_\[\]<>|$~])")


def filled(text: str, facts: Iterable[Citable] | Mapping[str, Citable]) -> str:
    """Markdown with every citation replaced by what it shows, escaped; headings, lists and emphasis stay. For drafts."""
    known = by_key(facts)

    def shown(match: re.Match[str]) -> str:
        fact = known.get(match[1].strip())
        return _DRAFT_MARKUP.sub(r"\\\1", fact.shown) if fact else UNKNOWN

    return CITATION.sub(shown, text)


_ESCAPED = re.compile(r"\\([\\`*_\[\]<>|$~])")


def unescaped(markdown: str) -> str:
    """What `filled` made, without its backslashes: for a reader that shows markup as it is written."""
    return _ESCAPED.sub(r"\1", markdown)


def first_sentence(text: str, facts: Iterable[Citable] | Mapping[str, Citable], limit: int = 200) -> str:
    """The report's first sentence as people read it, for lists and events; at most `limit` characters."""
    for line in lines(text):
        if line.kind != "heading":
            found = sentences(line.text)
            words = " ".join("".join(s.text for s in render(found[0] if found else line.text, facts)).split())
            return words if len(words) <= limit else words[: limit - 1] + "…"
    return ""
