"""How every benchmark prints: a table for people, then one RESULT line per number for programs."""

import json
from collections.abc import Sequence
from typing import Any


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a Markdown table, so that it can be pasted into the docs as it is."""
    print(f"\n{title}\n")
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(str(c) for c in row) + " |")
    print(flush=True)


def result(name: str, value: float, unit: str, against: str, target: float | str, met: bool) -> None:
    """Print one number: what it is, what it is compared with, what it should be, and whether it is."""
    line = {"name": name, "value": round(value, 4), "unit": unit, "against": against, "target": target, "met": met}
    print("RESULT " + json.dumps(line), flush=True)
