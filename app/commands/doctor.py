"""`ops doctor`: check the installation and say what to do about what is wrong."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from app.commands.output import as_json, json_option

if TYPE_CHECKING:
    from core.runtime.system.checks import Check

_MARKS = {"ok": ("OK", "green"), "warning": ("warning", "yellow"), "problem": ("PROBLEM", "red")}


@click.command()
@json_option
def doctor(as_json_: bool) -> None:
    """Check the installation and say what to do about what is wrong. Exits with 0 when there is no problem."""
    from core import registry
    from core.models import SHARED_TABLES
    from core.runtime.system.checks import Verdict, check_all

    registry.load()
    answers = check_all(SHARED_TABLES, (lambda _check: None) if as_json_ else _show)
    problems = [a for a in answers if a.verdict == Verdict.PROBLEM]
    if as_json_:
        as_json({"ok": not problems, "checks": [asdict(a) for a in answers]})
    else:
        warnings = sum(a.verdict == Verdict.WARNING for a in answers)
        click.echo()
        click.echo(f"{_counted(len(problems), 'problem')}, {_counted(warnings, 'warning')}.")
    sys.exit(1 if problems else 0)


def _counted(n: int, noun: str) -> str:
    return f"{n or 'No'} {noun}{'' if n == 1 else 's'}"


def _show(check: "Check") -> None:
    word, colour = _MARKS[check.verdict]
    click.echo(click.style(f"{word:<8}", fg=colour) + f" {check.name}: {check.said}")
    if check.next_step:
        click.echo(f"{'':9}→ {check.next_step}")
