"""`ops demo`: load or clear the demo agency."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from app.commands.output import as_json, json_option

yes_option = click.option("--yes", is_flag=True, help="Don't ask first.")


@click.group()
def demo() -> None:
    """Load or clear the demo agency."""


@contextmanager
def _bar(what: str, quiet: bool) -> Iterator[Callable[[float, str], None] | None]:
    """A progress bar on standard error, so that standard output stays clean for programs."""
    if quiet:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[step]}"),
        console=Console(stderr=True), transient=True,
    ) as bar:  # fmt: skip
        task = bar.add_task(what, total=1.0, step="")
        yield lambda share, step: bar.update(task, completed=share, step=step)


def _count(rows: int, noun: str = "row") -> str:
    return f"{rows:,} {noun}{'' if rows == 1 else 's'}"


@demo.command()
@yes_option
@json_option
def load(yes: bool, as_json_: bool) -> None:
    """Put eight weeks of an invented agency into the database, clearly marked. One that is there is replaced."""
    from core import registry
    from core.domains.demo import service
    from core.kit import db
    from core.kit.db import STAFF

    registry.load()
    with db.transaction(STAFF) as session:
        present = service.is_loaded(session)
    if present and not yes:
        click.confirm("The demo agency is there already. Replace it?", abort=True, err=True)
    with _bar("Loading the demo agency", as_json_) as say, db.transaction(STAFF) as session:
        done = service.load(session, progress=say)
    if as_json_:
        as_json({"rows": done.rows, "made": done.made, "kept": done.kept})
        return
    clients, deals, runs = (done.made.get(t, 0) for t in ("clients", "deals", "runs"))
    click.echo(
        f"The demo agency is loaded: {_count(clients, 'client')}, {_count(deals, 'deal')}, {_count(runs, 'past run')}, "
        f"{_count(done.rows)} in all. `ops demo clear` removes exactly these."
    )


@demo.command()
@yes_option
@json_option
def clear(yes: bool, as_json_: bool) -> None:
    """Remove the demo agency and nothing else."""
    from core import registry
    from core.domains.demo import service
    from core.kit import db
    from core.kit.db import STAFF

    registry.load()
    if not yes:
        click.confirm("Remove the demo agency? Nothing you made yourself is touched.", abort=True, err=True)
    with _bar("Clearing the demo agency", as_json_) as say, db.transaction(STAFF) as session:
        done = service.clear(session, say)
    removed = sum(done.removed.values())
    if as_json_:
        as_json({"rows": removed, "removed": done.removed, "kept": done.kept})
        return
    click.echo(f"Removed {_count(removed)} of the demo agency." if removed else "There is no demo agency to remove.")
    if done.kept:
        listed = ", ".join(f"{n:,} in {table.replace('_', ' ')}" for table, n in sorted(done.kept.items()))
        click.echo(f"Kept, because your own records refer to them: {listed}.")
