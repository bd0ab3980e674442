"""Is what a person gave for a job usable? Each function returns the clean value or raises BadInput with one sentence."""

import enum
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from core.errors import BadInput
from core.kit import clock
from core.runtime.agents import facts as fact_sections
from core.runtime.schedules import rules
from core.runtime.schedules.models import CatchUp, Overlap

_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LIMITS_S = {"grace_s": ("grace", 60, 7 * 86400), "timeout_s": ("time limit", 10, 6 * 3600)}


def name(value: str) -> str:
    """A slug of at most 60 characters."""
    if not _SLUG.fullmatch(value) or len(value) > 60:
        raise BadInput(
            f"“{value[:60]}” can't be the name of a job.",
            "Use up to 60 small letters, digits and single hyphens, starting with a letter, e.g. friday-numbers.",
        )
    return value


def line(what: str, most: int = 120) -> Callable[[str], str]:
    """A check for one line of text that says something."""

    def check(value: str) -> str:
        clean = " ".join(value.split())
        if not clean:
            raise BadInput(f"The job needs {what}.", f"Type {what} and save again.")
        if len(clean) > most:
            raise BadInput(f"That is too long for {what}: {len(clean)} characters.", f"Keep it under {most}.")
        return clean

    return check


def task(value: str) -> str:
    """What the agent is told: up to 8,000 characters."""
    clean = value.strip()
    if not clean:
        raise BadInput("The job needs a task.", "Say in a few sentences what the agent should look at and report.")
    if len(clean) > 8000:
        raise BadInput(f"The task has {len(clean):,} characters.", "Keep it under 8,000.")
    return clean


def cron(value: str) -> str:
    """Five fields that come due at least once in the next 50 years."""
    clean = " ".join(value.split())
    rules.normal(clean)
    if rules.next_after(clean, "UTC", datetime.now(UTC)) is None:
        raise BadInput(f"“{clean}” is never due.", "Check its day and month.")
    return clean


def time_zone(value: str) -> str:
    """A known IANA zone."""
    return clock.zone(value.strip()).key


def facts(value: Sequence[str]) -> list[str]:
    """Known fact sections, each once, in the order given."""
    found = list(dict.fromkeys(value))
    for key in found:
        fact_sections.get_section(key)
    return found


def seconds(field: str) -> Callable[[int], int]:
    """A check for `grace_s` or `timeout_s`."""
    what, least, most = _LIMITS_S[field]

    def check(value: int) -> int:
        if not least <= value <= most:
            raise BadInput(f"A {what} of {value:,} seconds is not possible.", f"Use {least} to {most:,} seconds.")
        return value

    return check


def policy(what: str, words: type[enum.StrEnum]) -> Callable[[str], str]:
    """A check for one of the words of a policy."""

    def check(value: str) -> str:
        if value not in tuple(words):
            raise BadInput(f"“{value[:40]}” is no {what} policy.", f"Use {' or '.join(w.value for w in words)}.")
        return value

    return check


def payload(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object of at most 64 kB."""
    try:
        size = len(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise BadInput("The payload is not JSON.", 'Give a JSON object, e.g. {"client": 12}.') from None
    if size > 65536:
        raise BadInput(f"The payload has {size:,} bytes.", "Keep it under 65,536.")
    return dict(value)


FIELDS: dict[str, Callable[[Any], Any]] = {
    "name": name,
    "title": line("a title"),
    "department": line("a department", 40),
    "agent": line("an agent", 60),
    "task": task,
    "facts": facts,
    "cron": cron,
    "time_zone": time_zone,
    "grace_s": seconds("grace_s"),
    "timeout_s": seconds("timeout_s"),
    "overlap": policy("overlap", Overlap),
    "catch_up": policy("catch-up", CatchUp),
    "payload": payload,
}
"""The check of each field of a job."""


def clean(values: Mapping[str, Any]) -> dict[str, Any]:
    """Every value that has a check, checked; the others as they are. Raises BadInput for the first that is wrong."""
    return {field: FIELDS[field](value) if field in FIELDS else value for field, value in values.items()}
