"""How commands print: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import click


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def printable(text: str) -> str:
    """The text with what could steer a terminal made visible: it may come from anywhere."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


def as_json(data: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(data, default=_plain, ensure_ascii=False))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """Print a table, or the sentence `empty` when there are no rows. A cell that starts with a digit is right-aligned."""
    if not rows:
        click.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        numeric = all(isinstance(r[index], int | float) for r in rows)
        # what names the row is what people copy: never broken in two
        made.add_column(column, justify="right" if numeric else "left", overflow="fold", no_wrap=index == 0)
    for row in rows:
        made.add_row(*(Text("" if c is None else printable(str(c))) for c in row))
    # in a pipe or a file there is no width to keep to
    Console(width=None if sys.stdout.isatty() else 200).print(made)


def fields(values: Mapping[str, Any]) -> None:
    """Print names and values, one a line."""
    width = max((len(k) for k in values), default=0)
    for name, value in values.items():
        click.echo(f"{name:<{width}}  {'–' if value is None else printable(str(value))}")


json_option = click.option("--json", "as_json_", is_flag=True, help="Print JSON for programs.")
