"""Text from outside (deal titles, names, notes) made harmless before it becomes a fact."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from core.runtime.agents.facts import Fact, Section

_BRACKETED = re.compile(r"\[[^\[\]]*\]")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def clean(text: str) -> str:
    """One line without control or invisible characters, in which nothing can pass for a citation."""
    flat = "".join(" " if c in "\n\r\t\v\f\u2028\u2029" else "" if unicodedata.category(c) in _INVISIBLE else c for c in text)
    flat = " ".join(flat.split())
    while "[[" in flat or "]]" in flat:
        flat = flat.replace("[[", "[ [").replace("]]", "] ]")
    # a text that is one pair of brackets would become a citation between two more
    return f"({flat[1:-1]})" if _BRACKETED.fullmatch(flat) else flat


def clean_fact(fact: Fact, key: str | None = None) -> dict[str, Any]:
    """The fact as columns of `run_facts`, its texts cleaned and its rows made of plain JSON."""
    return {
        "key": key or fact.key,
        "label": clean(fact.label),
        "value": clean(fact.value) if isinstance(fact.value, str) else jsonable(fact.value),
        "unit": fact.unit,
        "shown": clean(fact.shown) or "–",
        "query": fact.query,
        "params": jsonable(dict(fact.params)),
        "rows": jsonable(list(fact.rows[:50])),
        "row_count": fact.row_count,
        "href": fact.href,
    }


def section_line(section: Section) -> dict[str, Any]:
    """What of a section is not in its facts, as JSON."""
    return {
        "key": section.key,
        "title": section.title,
        "lines": list(section.lines),
        "facts": list(dict.fromkeys(f.key for f in section.facts)),
    }


def jsonable(value: Any) -> Any:
    """`value` made of what JSON and PostgreSQL can hold: dates as ISO text, no NUL characters, no infinities."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, Mapping):
        return {str(jsonable(str(k))): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(v) for v in value]
    if isinstance(value, Enum):
        return jsonable(value.value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    text = str(value)
    # half of a surrogate pair and NUL are legal in Python and illegal in the database
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
