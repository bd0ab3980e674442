"""`ops import`: deals from a CSV file, or live from Pipedrive."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.commands.output import as_json, json_option, table

if TYPE_CHECKING:
    from core.domains.crm.importer import ImportResult, Options, Preview

_SHOWN_REJECTS = 10


@click.group()
def imports() -> None:
    """Bring in records from files and vendors."""


def _pairs(values: tuple[str, ...], option: str) -> dict[str, str]:
    pairs = {}
    for value in values:
        key, sign, rest = value.partition("=")
        if not sign or not key.strip():
            raise click.BadParameter(f"“{value}” is not of the form NAME=VALUE.", param_hint=option)
        pairs[key.strip()] = rest.strip()
    return pairs


def _options(file: Path, given: dict[str, Any]) -> "Options":
    from core.config import get_settings
    from core.domains.crm.importer import Options

    settings = get_settings()
    return Options(
        mapping=_pairs(given["mappings"], "--map"),
        source=given["source"],
        file_name=file.name,
        keep_good=given["keep_good"],
        date_order=given["date_order"],
        stage_status=_pairs(given["stage_status"], "--stage-status"),
        stage_order=tuple(s.strip() for s in (given["stage_order"] or "").split(",") if s.strip()),
        currency=settings.currency,
        time_zone=settings.time_zone,
        encoding=given["encoding"],
        accounts=given["accounts"],
        owners=given["owners"],
    )


def _show_preview(preview: "Preview") -> None:
    from core.kit import money

    click.echo(f"{preview.file_name}: {preview.rows:,} rows, {preview.encoding}, separated by {preview.delimiter}s\n")
    table(
        ["Field", "Column", "Because of", "Read as", "Example"],
        [[c.label, c.column, c.why, c.reading, c.sample] for c in preview.columns],
        empty="No columns.",
    )
    if preview.unused_columns:
        click.echo(f"\nNot used: {', '.join(preview.unused_columns)}. Use one with --map FIELD=COLUMN.")
    click.echo("")
    rows = preview.first_rows
    # the title names the account already, and a column without a value only takes room
    used = [c for c in (rows[0] if rows else []) if c != "Account" and any(r[c] != "–" for r in rows)]
    table(used, [[r[c] for c in used] for r in rows], empty="No row could be read.")
    click.echo("")
    table(
        ["Stage", "Counts as", "Deals", "Value", ""],
        [
            [s.name, s.status, s.deals, money.show(s.value_minor, preview.currency), "new" if s.is_new else ""]
            for s in preview.stages
        ],
        empty="No stages.",
    )
    click.echo(
        f"\n{preview.created:,} new, {preview.updated:,} changed, {preview.unchanged:,} unchanged, "
        f"{preview.rejected_total:,} rejected; {preview.new_accounts:,} new accounts, {preview.new_owners:,} new owners; "
        f"value {money.show(preview.total_minor, preview.currency)}"
    )
    for note in preview.notes:
        click.echo(f"Note: {note}")


def _show_rejected(rejected: "list[Any]", total: int, saved: Path | None) -> None:
    if not total:
        return
    click.echo(f"\nRejected rows: {total:,}", err=True)
    for row in rejected[:_SHOWN_REJECTS]:
        click.echo(f"  line {row.line}: {row.reason}", err=True)
    if total > _SHOWN_REJECTS:
        click.echo(f"  … and {total - _SHOWN_REJECTS:,} more", err=True)
    if saved is not None:
        click.echo(f"They are in {saved}.", err=True)
    else:
        click.echo("Save them with --rejected FILE.", err=True)


def _save_rejected(rejected: "list[Any]", target: Path | None) -> None:
    if target is None:
        return
    from core.domains.crm.importer import rejected_csv
    from core.errors import BadInput

    try:
        target.write_text(rejected_csv(rejected), encoding="utf-8-sig", newline="")
    except OSError as error:
        raise BadInput(f"“{target}” can't be written ({error.strerror}).", "Name another file with --rejected.") from None


def _summary(outcome: Any) -> dict[str, int]:
    return {
        "rows": outcome.rows,
        "created": outcome.created,
        "updated": outcome.updated,
        "unchanged": outcome.unchanged,
        "rejected": outcome.rejected_total,
    }


def _run(file: Path, options: "Options", quiet: bool) -> "ImportResult":
    from core.domains.crm.importer import run_import
    from core.kit import db
    from core.kit.actor import Actor

    by = Actor("ops import", "system")
    if quiet:
        with db.transaction(db.STAFF) as session:
            return run_import(session, file, options, by=by)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, transient=True) as bar, db.transaction(db.STAFF) as session:
        task = bar.add_task("Reading rows", total=None)

        def moved(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description="Saving" if done >= total else "Reading rows")

        return run_import(session, file, options, by=by, progress=moved)


@imports.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--map", "mappings", multiple=True, metavar="FIELD=COLUMN", help="Which column holds a field, e.g. stage=deal_stage."
)
@click.option("--accounts", type=click.Path(path_type=Path), help="A CSV file that describes the accounts.")
@click.option("--owners", type=click.Path(path_type=Path), help="A CSV file that names the owners.")
@click.option("--yes", is_flag=True, help="Import without asking.")
@click.option("--keep-good", is_flag=True, help="Import the good rows even when others are rejected.")
@click.option("--dry-run", is_flag=True, help="Show what would happen and change nothing.")
@click.option("--rejected", "rejected_file", type=click.Path(path_type=Path), help="Write rejected rows to this CSV file.")
@click.option("--date-order", type=click.Choice(["mdy", "dmy"]), help="How dates like 3/4/2026 are meant.")
@click.option("--stage-status", multiple=True, metavar="STAGE=STATUS", help="What a stage counts as: open, won or lost.")
@click.option("--stage-order", metavar="A,B,C", help="The stages in their order.")
@click.option("--encoding", help="The file's encoding, if the guess is wrong.")
@click.option("--source", default="csv", show_default=True, help="Name of the CRM; keeps the ids of two CRMs apart.")
@json_option
def deals(file: Path, as_json_: bool, **given: Any) -> None:
    """Import deals from a CSV file exported by a CRM.

    Rows are matched by their id: a second import of the same file changes nothing.
    """
    from core.domains.crm.importer import preview
    from core.errors import BadInput
    from core.kit import db

    options = _options(file, given)
    target: Path | None = given["rejected_file"]
    asks = not given["yes"] and not given["dry_run"]
    if asks and as_json_:
        raise BadInput("With --json nobody can be asked.", "Add --yes to import, or --dry-run to look.")
    if given["dry_run"] or not as_json_:
        with db.transaction(db.STAFF) as session:
            seen = preview(session, file, options)
        if not as_json_:
            _show_preview(seen)
        if given["dry_run"]:
            _finish(seen, target, as_json_, imported=True)
            return
        stopped = seen.rejected_total and (not options.keep_good or seen.rejected_total == seen.rows)
        if stopped and asks:
            _finish(seen, target, as_json_, imported=False)
        if asks:
            click.confirm("\nImport these deals?", default=True, abort=True)
    result = _run(file, options, quiet=as_json_)
    _finish(result, target, as_json_, imported=result.imported)


def _finish(outcome: Any, target: Path | None, json_wanted: bool, *, imported: bool) -> None:
    """Print the outcome; exit code 1 when rows were rejected and nothing was imported."""
    _save_rejected(outcome.rejected, target)
    if json_wanted:
        as_json(_summary(outcome))
    _show_rejected(outcome.rejected, outcome.rejected_total, target)
    if not imported:
        click.echo("Nothing was imported. Correct these rows, or keep the good ones with --keep-good.", err=True)
        raise click.exceptions.Exit(1)
    if not json_wanted and hasattr(outcome, "import_id"):
        click.echo(f"Imported: {outcome.created:,} new, {outcome.updated:,} changed, {outcome.unchanged:,} unchanged.")


@imports.command()
@click.option("--restart", is_flag=True, help="Forget where a cut-off pull stood and start at the first page.")
@json_option
def pipedrive(restart: bool, as_json_: bool) -> None:
    """Pull all deals from Pipedrive; a pull that was cut off goes on where it stood."""
    from core.domains.crm import pull
    from core.kit.actor import Actor

    def moved(done: int) -> None:
        if not as_json_:
            click.echo(f"\r{done:,} deals …", nl=False, err=True)

    result = pull.pull_pipedrive(by=Actor("ops import", "system"), restart=restart, progress=moved)
    if as_json_:
        as_json(_summary(result))
        return
    click.echo(
        f"\rPulled {result.rows:,} deals: {result.created:,} new, {result.updated:,} changed, {result.unchanged:,} unchanged."
    )
