"""`ops backup` and `ops restore`: the whole database in one file."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from app.commands.output import as_json, json_option

FILE = click.argument("file", type=click.Path(path_type=Path))


@contextmanager
def _bar(label: str) -> Iterator[Callable[[str, float], None]]:
    """A progress bar on standard error; nothing when that is no terminal."""
    with click.progressbar(
        length=1000, label=label, file=sys.stderr, hidden=not sys.stderr.isatty(), item_show_func=lambda table: table or ""
    ) as bar:

        def moved(table: str, share: float) -> None:
            bar.update(max(0, round(share * 1000) - bar.pos), table.replace("_", " "))

        yield moved


@click.command()
@FILE
@click.option("--force", is_flag=True, help="Replace FILE when it is already there.")
@json_option
def backup(file: Path, force: bool, as_json_: bool) -> None:
    """Write a backup of the whole database to FILE. The app may run meanwhile; the backup is of one moment.

    FILE holds everything in the database, hashes of passwords and keys too: keep it as safe as the database.
    """
    from core.kit import dump
    from core.kit.embedded.borrow import owner_url

    with owner_url() as url, _bar("Backing up") as moved:
        size = dump.backup(url, file, force=force, progress=moved)
    if as_json_:
        as_json({"file": str(file), "bytes": size})
    else:
        click.echo(f"Backed up to {file} ({size / 1e6:.1f} MB). `ops restore {file}` brings it back.")


@click.command()
@FILE
@click.option("--force", is_flag=True, help="Replace everything that is in the database now.")
@json_option
def restore(file: Path, force: bool, as_json_: bool) -> None:
    """Restore the backup FILE into an empty database, all or nothing.

    A backup of an older version is brought up to date. Signed-in browsers and links are those of the backup.
    """
    from core.kit import dump
    from core.kit.embedded.borrow import owner_url

    with owner_url(create=True) as url, _bar("Restoring") as moved:
        revision = dump.restore(url, file, force=force, progress=moved)
    if as_json_:
        as_json({"file": str(file), "migration": revision})
    else:
        click.echo(f"Restored {file}; the schema is at {revision}.")
