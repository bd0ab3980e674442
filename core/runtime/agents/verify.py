"""The gate between prose and people: no number passes that is not a cited fact.

Strict on purpose. Every number, in digits or words from two upward (also zero, "half", "a dozen", ordinals, dates, "Q3"
and "top three"), must be a citation `[[key]]` or say exactly what a fact cited in the same sentence says, with its unit.
"One", "both", "several", Roman numerals and names of months and weekdays are taken as words. List numbers must count
1, 2, 3; a heading may hold a number only when it is the registered title of a section. Prose is in Latin letters and
holds no HTML, link, code or invisible character: names from records come in by citation.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.runtime.agents import numbers, prose
from core.runtime.agents.facts import Section
from core.runtime.agents.prose import CITATION, Block, Citable, Segment, blocks, markdown, plain, render

__all__ = ["Block", "Segment", "Violation", "blocks", "check", "cites", "markdown", "plain", "render", "required"]

MAX_CHARS = 20_000
MIN_WORDS = 3
"""A report has at least this many words of its own, and two for each section that has something to say."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with a text: the sentence, the part of it, and why in words that tell the writer what to do."""

    sentence: str
    what: str
    why: str

    def __str__(self) -> str:
        return f"“{self.what}” in “{self.sentence}”: {self.why}"


def check(text: str, facts: Iterable[Citable], sections: Sequence[Section] | None = None) -> list[Violation]:
    """Everything wrong with `text`; empty when it may be shown.

    With `sections` it must also cite at least one fact of every section that has something to say.
    """
    if len(text) > MAX_CHARS:
        return [Violation(text[:60] + "…", "the whole text", f"it is longer than {MAX_CHARS:,} characters")]
    known = dict(prose.by_key(facts))
    titles = {s.title for s in sections or ()}
    found = _whole(text)
    list_at: dict[int, int] = {}
    for line in prose.lines(text):
        found += _numbering(line, list_at)
        if line.kind == "heading" and line.text in titles:
            continue
        for sentence in prose.sentences(line.text):
            found += _sentence(sentence, known)
    return found + _content(text, sections)


def cites(section: Section) -> bool:
    """Whether the section has something to say: its own lines, or it has facts but no lines."""
    if not section.lines:
        return bool(section.facts)
    own = {f.key for f in section.facts}
    return any(key in own for line in section.lines for key in prose.cited_keys(line))


def required(sections: Sequence[Section]) -> list[Section]:
    """The sections a report has to cite."""
    return [s for s in sections if cites(s)]


# ---- the whole text

_FORBIDDEN = (
    (re.compile(r"<\s*[A-Za-z/!?]"), "HTML is not allowed"),
    (re.compile(r"&#?\w{1,30};"), "HTML entities are not allowed"),
    (re.compile(r"[\\`]"), "code and backslashes are not allowed"),
    (re.compile(r"\]\s?\(|!\[|\]:"), "links and images are not allowed"),
    (re.compile(r"\b(?:https?:|www\.)", re.IGNORECASE), "links are not allowed"),
    (re.compile(r"[\w.+-]@[\w-]+\.\w|\bmailto:|(?<!:)//\w"), "addresses are not allowed"),
    (re.compile(r"(?<![\w.])@(?:channel|here|everyone|group)\b", re.IGNORECASE), "calling everybody is not allowed"),
    (re.compile(r"~~|\$\$"), "strike-through and formulas are not allowed"),
    (re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]"), "control characters are not allowed"),
)


def _whole(text: str) -> list[Violation]:
    found = []
    bare = CITATION.sub(" ", text)
    for pattern, why in _FORBIDDEN:
        match = pattern.search(bare)
        if match:
            found.append(Violation(_around(bare, match.start()), match[0], why))
    for at, char in enumerate(bare):
        if unicodedata.category(char) in ("Cf", "Co", "Cs", "Cn"):
            found.append(Violation(_around(bare, at), f"U+{ord(char):04X}", "invisible characters are not allowed"))
            break
    if "[[" in bare or "]]" in bare:
        at = bare.index("[[" if "[[" in bare else "]]")
        found.append(Violation(_around(bare, at), bare[at : at + 20], "a citation is written [[key]], with nothing else inside"))
    return found


def _around(text: str, at: int) -> str:
    return " ".join(text[max(0, at - 40) : at + 40].split())


def _numbering(line: prose.Line, list_at: dict[int, int]) -> list[Violation]:
    """List numbers must count from 1, or "12. deals are late" would pass for a list item."""
    if line.kind != "item" or line.number is None:
        if line.kind != "item":
            list_at.clear()
        return []
    expected = list_at.get(line.level, 0) + 1
    list_at[line.level] = line.number
    for deeper in [k for k in list_at if k > line.level]:
        del list_at[deeper]
    if line.number == expected:
        return []
    return [Violation(line.text, f"{line.number}.", f"a list counts from 1; this item would be {expected}")]


def _content(text: str, sections: Sequence[Section] | None) -> list[Violation]:
    body = " ".join(line.text for line in prose.lines(text) if line.kind != "heading")
    words = re.findall(r"[A-Za-z]{2,}", CITATION.sub(" ", body))
    needed = required(sections or ())
    found = []
    if len(words) < max(MIN_WORDS, 2 * len(needed)):
        found.append(
            Violation(body[:80], "the whole text", "it says next to nothing; write at least a sentence for each section")
        )
    cited = set(prose.cited_keys(text))
    for section in needed:
        if not cited & {f.key for f in section.facts}:
            found.append(
                Violation(section.title, section.key, "this section has something to say; cite at least one of its facts")
            )
    return found


# ---- one sentence

_BEFORE_OK = re.compile(r"(?:^|[\s(“\"'‘—*_])$")
_AFTER_OK = re.compile(r"^(?:$|\s|[;!?)”\"’'*_…—]|[.,:](?:$|[\s*_”\")’]))")
_SIGNS = re.compile(r"(?:[$€£¥+−<>≤≥≈~×÷±/^#№-]|\b(?:minus|negative|plus|USD|EUR|GBP))[\s*_]*$", re.IGNORECASE)
_SCALE_AFTER = re.compile(
    r"^[\s*_]*-?(?:[%‰$€£¥×^/]|(?:percent|percentage|pct|per\s?cent|hundred|thousand|million|billion|trillion|quadrillion|dozen|score|gross|grand|lakh|crore|myriad|fold|k|m|bn|mn|"
    r"basis|bps|squared|cubed|point\s+\w+)s?\b)",
    re.IGNORECASE,
)


def _sentence(sentence: str, known: dict[str, Citable]) -> list[Violation]:
    found = []
    allowed: list[numbers.Number] = []
    for match in CITATION.finditer(sentence):
        fact = known.get(match[1].strip())
        if fact is None:
            found.append(Violation(sentence, match[0], "there is no fact of this key"))
            continue
        allowed += prose.claims_of(fact)
        wrong = _glued(sentence[: match.start()], sentence[match.end() :], fact)
        if wrong:
            found.append(Violation(sentence, match[0], wrong))
    folded, _ = numbers.fold(CITATION.sub(f" {numbers.CITED} ", sentence))
    for number in numbers.find(folded):
        if not any(number.says(a) for a in allowed):
            found.append(
                Violation(sentence, number.text, "a number that is no fact; cite a fact as [[key]] instead, or leave it out")
            )
    foreign = next((c for c in folded if c.isalpha() and not c.isascii() and c not in (numbers.ODD, numbers.CITED)), None)
    if foreign:
        found.append(Violation(sentence, foreign, "write in plain Latin letters; names come in by citation"))
    return found


def _glued(before: str, after: str, fact: Citable) -> str | None:
    """Whether what stands around a citation changes what it says: "-[[x]]", "[[x]]k", "[[x]] million", "[[a]],[[b]]"."""
    dash = before.rstrip(" *_").endswith(("-", "–")) and before.strip(" *_-–") == ""
    if not _BEFORE_OK.search(before) or (_SIGNS.search(before) and not dash):
        return "nothing may be joined to the front of a citation, no sign and no currency"
    if _SCALE_AFTER.search(after):
        return "a citation already says its unit and size; don't add another"
    stripped = after.lstrip("*_")
    if fact.unit == "text":
        # a name may take an ending: [[client.name]]'s, [[client.name]]-led
        return "two citations need a space between" if stripped.startswith("[[") else None
    if not _AFTER_OK.search(after) or stripped.startswith("[["):
        return "nothing may be joined to the end of a citation"
    return None
