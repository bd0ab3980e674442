"""CSV that is safe to open in a spreadsheet: text that would run as a formula is told to be text."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

from core.domains.crm.importer.shapes import Rejected

_NUMBER = re.compile(r"[-+]?[\d.,]+")


def safe_cell(cell: str) -> str:
    """The cell with an apostrophe before it when a spreadsheet would read it as a formula; plain numbers stay."""
    if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") and not _NUMBER.fullmatch(cell):
        return "'" + cell
    return cell


def to_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A CSV document with safe cells, lines ending as spreadsheets expect."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([safe_cell(h) for h in header])
    writer.writerows([safe_cell(c) for c in row] for row in rows)
    return out.getvalue()


def rejected_csv(rejected: Sequence[Rejected]) -> str:
    """The rejected rows with their line and reason, in the columns of the file they came from."""
    names: dict[str, None] = {}
    for r in rejected:
        names.update(dict.fromkeys(r.row))
    return to_csv(["line", "reason", *names], ([str(r.line), r.reason, *(r.row.get(n, "") for n in names)] for r in rejected))
