"""`ops migrate`: bring the database schema up to date."""

import click


@click.command()
@click.option("--to", "revision", default="head", metavar="REV", help="Stop at this revision instead of the newest.")
def migrate(revision: str) -> None:
    """Bring the database schema up to date. `ops up` does this by itself; use it before you start on managed servers.

    The embedded database need not run: it is started for as long as this takes.
    """
    from core.kit import reach, schema
    from core.kit.embedded.borrow import owner_url

    with owner_url(create=True) as url:
        with reach.connect(url) as connection:
            before = schema.current(connection)
        schema.upgrade(url, revision)
        with reach.connect(url) as connection:
            after = schema.current(connection)
    if before == after:
        click.echo(f"The schema is at {after} already; nothing to do.")
    else:
        click.echo(f"The schema went from {before or 'nothing'} to {after}.")
