"""Reading, checking and saying the numbers of a policy. Pure."""

import re
from collections.abc import Mapping
from datetime import time
from typing import Any, Final

from core.errors import BadInput
from core.kit.money import show
from core.runtime.actions import kinds
from core.runtime.policies.registry import Number, Policy
from core.runtime.policies.words import listed, lower, many

MAX_LINES: Final = 200
MAX_LINE: Final = 200
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
_CURRENCY = re.compile(r"[A-Z]{3}")
_CHOICES: Final = {
    "dry_run": "Dry run",
    "internal_only": "Internal only",
    "limited_live": "Limited live",
    "live": "Live",
}


def check(policy: Policy, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes as they are stored. Raises BadInput with what is wrong and what would be right."""
    known = {n.key: n for n in policy.numbers}
    wrong = sorted(set(changes) - set(known))
    if wrong:
        raise BadInput(f"“{policy.title}” has no number “{wrong[0]}”.", f"It has: {', '.join(known) or 'none'}.")
    return {key: _check(known[key], value) for key, value in changes.items()}


def _check(number: Number, value: Any) -> Any:
    reader = {
        "yes_no": _yes_no, "choice": _choice, "clock": _clock, "words": _words, "by_agent": _by_agent, "by_kind": _by_kind,
        "by_currency": _by_currency,
    }.get(number.kind, _plain)  # fmt: skip
    return reader(number, value)


def _plain(number: Number, value: Any, of: str = "") -> int | float:
    label = f"{number.label}, {of}" if of else number.label
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise BadInput(f"“{label}” is a number.", "Enter one.")
    whole = number.kind != "hours"
    if whole and value != int(value):
        raise BadInput(f"“{label}” is a whole number.", "Enter one without a fraction.")
    if (number.low is not None and value < number.low) or (number.high is not None and value > number.high):
        raise BadInput(
            f"“{label}” is between {_bound(number, number.low)} and {_bound(number, number.high)}.", "Choose one of these."
        )
    return int(value) if whole else float(value)


def _bound(number: Number, value: float | None) -> str:
    if value is None:
        return "any"
    return show(int(value)) if number.kind == "money" else f"{value:,g}" if value < 1e6 else f"{value:,.0f}"


def _yes_no(number: Number, value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadInput(f"“{number.label}” is yes or no.", "Choose one.")
    return value


def _choice(number: Number, value: Any) -> str:
    if value not in number.options:
        raise BadInput(f"“{number.label}” is one of {', '.join(_CHOICES.get(o, o) for o in number.options)}.", "Choose one.")
    return str(value)


def _clock(number: Number, value: Any) -> str:
    try:
        at = value if isinstance(value, time) else time.fromisoformat(str(value).strip())
    except ValueError:
        raise BadInput(f"“{number.label}” is a time of day.", "Write it like 21:00.") from None
    return f"{at:%H:%M}"


def _words(number: Number, value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
        raise BadInput(f"“{number.label}” is a list.", "Write one thing a line.")
    lines = list(dict.fromkeys(v.strip() for v in value if v.strip()))
    if len(lines) > MAX_LINES or any(len(v) > MAX_LINE + 3 for v in lines):
        raise BadInput(f"“{number.label}” has at most {MAX_LINES} lines of {MAX_LINE} letters.", "Make it shorter.")
    if any("\x00" in v for v in lines):
        raise BadInput(f"“{number.label}” has a sign that can't be stored.", "Remove it.")
    if number.key == "our_domains":
        return [_domain(v) for v in lines]
    if number.key == "words":
        from core.runtime.policies.rules.texts import compiled

        for line in lines:
            compiled(line)
    return lines


def _domain(line: str) -> str:
    from core.runtime.contacts.rules import person_key

    bare = line.lower().lstrip("@")
    try:
        key = person_key(f"somebody@{bare}").rpartition("@")[2]
    except BadInput:
        raise BadInput(f"“{line}” is no domain.", "Write it like manageai.example, one a line.") from None
    if key != bare or bare in _SHARED:
        raise BadInput(f"“{line}” is not a domain of yours alone.", "People with an account here are ours anyway.")
    return key


_SHARED: Final = frozenset(
    (
        "gmail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com", "icloud.com", "proton.me", "gmx.de", "gmx.net",
        "web.de", "aol.com", "yandex.ru",
    )
)  # fmt: skip


def _by_agent(number: Number, value: Any) -> dict[str, list[str]]:
    if not isinstance(value, Mapping):
        raise BadInput(f"“{number.label}” lists kinds of action by agent.", "Nothing was changed.")
    made: dict[str, list[str]] = {}
    for agent, may in value.items():
        name = str(agent).strip()
        if not name or len(name) > 80 or not isinstance(may, list | tuple):
            raise BadInput(f"“{number.label}” lists kinds of action by agent.", "Nothing was changed.")
        made[name] = list(dict.fromkeys(_kind(number, k) for k in may))
    return made


def _kind(number: Number, name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(f"“{name}” in “{number.label}” is no kind of action.", "It should look like mail.send.")
    return name


def _by_kind(number: Number, value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise BadInput(f"“{number.label}” has a number for each kind of action.", "Nothing was changed.")
    return {_kind(number, k): int(_plain(number, v, str(k))) for k, v in value.items()}


def _by_currency(number: Number, value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise BadInput(f"“{number.label}” has an amount for each currency.", "Nothing was changed.")
    made = {}
    for code, minor in value.items():
        if not isinstance(code, str) or not _CURRENCY.fullmatch(code):
            raise BadInput(f"“{code}” is no currency.", "Use its three letters, such as USD.")
        made[code] = int(_plain(number, minor, code))
    return made


def say(number: Number, value: Any) -> str:
    """A value as people read it."""
    if number.kind == "yes_no":
        return "yes" if value else "no"
    if number.kind == "choice":
        return _CHOICES.get(value, str(value))
    if number.kind == "money":
        return show(int(value))
    if number.kind == "percent":
        return f"{value:g} %"
    if number.kind == "words":
        return listed([str(v) for v in value], 4) or "none"
    if number.kind == "by_agent":
        return "; ".join(f"{a}: {', '.join(map(_word, k)) or 'nothing'}" for a, k in value.items()) or "nobody"
    if number.kind == "by_kind":
        return ", ".join(many(int(v), _word(k)) for k, v in value.items()) or "none"
    if number.kind == "by_currency":
        return ", ".join(show(int(v), c) for c, v in value.items()) or "no currency"
    return f"{value:,g}" if isinstance(value, int | float) and value < 1e6 else str(value)


def _word(kind: str) -> str:
    known = kinds.find(kind)
    return lower(known.word) if known else kind


def differences(policy: Policy, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What changes, as (label, before, after) in words."""
    return [
        (n.label, say(n, before.get(n.key, n.default)), say(n, after[n.key]))
        for n in policy.numbers
        if n.key in after and before.get(n.key, n.default) != after[n.key]
    ]
