"""Texts that must not leave: secrets never, and others only when a person has looked."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from core.errors import BadInput
from core.runtime.policies.registry import Inputs, Number, Policy, Said, Values, allow, ask, deny
from core.runtime.policies.situation import Situation
from core.runtime.policies.words import listed

MAX_CHARS: Final = 200_000
"""So much of all texts together is searched; a longer message needs a person."""
MAX_PATTERN: Final = 200
REGEX: Final = "re:"
"""A line of the list that begins so is a regular expression."""

_SECRETS: Final = (
    ("an API key", re.compile(r"\b(?:sk|pk|rk)[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9_-]{20,}")),
    ("a Slack token", re.compile(r"\bxox[a-z]-[A-Za-z0-9-]{10,}|\bxapp-[A-Za-z0-9-]{10,}")),
    ("a Resend key", re.compile(r"\bre_[A-Za-z0-9]{6,}_[A-Za-z0-9]{16,}")),
    ("a webhook secret", re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]{16,}")),
    ("an AWS key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})")),
    ("a Google key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}")),
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")),
    ("a signed token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")),
    ("a password in an address", re.compile(r"\b[a-z][a-z0-9+]{2,11}://[^\s/:@]{1,64}:[^\s/@]{3,128}@[^\s/]{3,}")),
    ("a key of this app", re.compile(r"\bops_[a-z0-9]{8}_[A-Za-z0-9_-]{43}\b")),
)
_DIGITS = re.compile(r"(?<![\d.,])(?:\d[ -]?){12,18}\d(?![\d])")
_INVISIBLE = {"Cf", "Cc"}
_CONTROL = re.compile(r"[^\s\x20-\x7e]")
_WORDS: Final = [
    "wire transfer", "bank details", "routing number", "password", "social security number", "gift card",
    r"re:\bIBAN\b", r"re:\b\d{3}-\d{2}-\d{4}\b",
]  # fmt: skip


def _texts(s: Situation) -> Inputs | None:
    texts = list(s.action.words)
    if not texts:
        return None
    letters = sum(map(len, texts))
    plain = [_plain(t) for t in texts] if letters <= MAX_CHARS else []
    secrets = [name for name, pattern in _SECRETS if any(pattern.search(t) for t in plain)]
    return {"texts": texts, "letters": letters, "secrets": secrets, "card": any(has_card(t) for t in plain)}


def texts_of(payload: Any) -> tuple[str, ...]:
    """Every text in a payload, however deep: a payload is what JSON can say."""
    if isinstance(payload, str):
        return (payload,)
    if isinstance(payload, dict):
        return tuple(t for v in payload.values() for t in texts_of(v))
    if isinstance(payload, list | tuple):
        return tuple(t for v in payload for t in texts_of(v))
    return ()


def _plain(text: str) -> str:
    """One spelling: full-width letters as plain ones, nothing invisible in between, any white space as one blank."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in _INVISIBLE)
    elif not text.isprintable():
        text = _CONTROL.sub("", text)
    return " ".join(text.split())


def _luhn(digits: str) -> bool:
    total = 0
    for n, c in enumerate(reversed(digits)):
        value = int(c) * (1 + n % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def has_card(text: str) -> bool:
    """Whether a payment card's number is in it: 13 to 19 digits of a known network with a right check digit."""
    for match in _DIGITS.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        if digits[0] in "3456" and len(set(digits)) > 1 and _luhn(digits):
            return True
    return False


@lru_cache(maxsize=512)
def compiled(line: str) -> re.Pattern[str]:
    """A line of the list as a pattern. Raises BadInput for an expression that is wrong or could take for ever."""
    if not line.startswith(REGEX):
        return re.compile(r"(?<!\w)" + re.escape(_plain(line).casefold()).replace(r"\ ", r"\s+") + r"(?!\w)", re.IGNORECASE)
    source = line.removeprefix(REGEX).strip()
    if len(source) > MAX_PATTERN:
        raise BadInput(f"“{source[:40]}…” is longer than {MAX_PATTERN} characters.", "Split it into several lines.")
    try:
        pattern = re.compile(source, re.IGNORECASE)
    except re.error as error:
        raise BadInput(
            f"“{source}” is no regular expression: {error.msg}.", "Correct it, or write the words themselves."
        ) from None
    if not source or pattern.search("") is not None:
        raise BadInput(f"“{source}” fits every text.", "Make it fit only what you mean.")
    if _nested(source):
        raise BadInput(f"“{source}” repeats something that repeats itself, which can take for ever.", "Write it without that.")
    return pattern


def _nested(source: str) -> bool:
    """Whether a repetition without end stands inside another one."""
    from re import _parser  # type: ignore[attr-defined]

    def walk(parts: Any, inside: bool) -> bool:
        for operation, value in parts:
            name = str(operation)
            repeats = name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") and int(value[1]) > 20
            if repeats and inside:
                return True
            if any(walk(p, inside or repeats) for p in _inner(value)):
                return True
        return False

    return walk(_parser.parse(source), False)


def _inner(value: Any) -> Iterable[Any]:
    if hasattr(value, "data") or type(value).__name__ == "SubPattern":
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _inner(part)


def listed_words(texts: Sequence[str], words: Sequence[str]) -> list[str]:
    """Which lines of the list are in the texts, in the list's order."""
    plain = "\n".join(_plain(t) for t in texts)
    folded = plain.casefold()
    return [w for w in words if _may_be(w, folded) and compiled(w).search(plain)]


def _may_be(line: str, folded: str) -> bool:
    """A quick look before the exact one."""
    return line.startswith(REGEX) or _first_word(line) in folded


@lru_cache(maxsize=512)
def _first_word(line: str) -> str:
    return _plain(line).casefold().partition(" ")[0]


def _sensitive(i: Inputs, values: Values) -> Said | None:
    if i["letters"] > MAX_CHARS:
        return ask(f"It is longer than {MAX_CHARS:,} letters, too long to be searched, so a person has to look at it.")
    if i["secrets"]:
        return deny(f"Its text holds what looks like {listed(i['secrets'])}; secrets are never sent.")
    found = [f"“{w.removeprefix(REGEX)}”" for w in listed_words(i["texts"], values["words"])]
    others = (["a card number"] if i["card"] else []) + found
    if others:
        return ask(f"Its text holds {listed(others)}, so a person has to look at it.")
    return allow("Its text holds nothing that looks like a secret or a listed word.")


def _refill(stored: Inputs, payload: Mapping[str, Any]) -> Inputs:
    return {**stored, "texts": list(texts_of(payload))}


SENSITIVE_PATTERNS = Policy(
    "sensitive_patterns",
    "Sensitive text",
    "Keeps keys, tokens and passwords from ever leaving, and card numbers and listed words from leaving unseen.",
    _texts,
    _sensitive,
    (
        Number(
            "words", "A person looks at texts with", "words", _WORDS,
            help="Words, or a regular expression behind “re:”. Keys and tokens are always denied.",
        ),
    ),
    unstored=("texts",),
    refill=_refill,
)  # fmt: skip
