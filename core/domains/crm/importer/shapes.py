"""What goes into an import and what comes out of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from core.domains.crm.importer.reading import Source

Progress = Callable[[int, int], None]
"""Called with (rows done, rows in all)."""

REJECTED_KEPT = 10_000
"""Rejected rows kept with reason and cells; `rejected_total` counts them all."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to import. Everything has a default; what a person sets wins over what is guessed.

    `mapping`: field → column name, e.g. {"stage": "deal_stage"}; an empty column name leaves the field out.
    `date_order`: "mdy" or "dmy" for dates like 3/4/2026. `stage_status`: stage name → open, won or lost.
    `source` separates the ids of one CRM from another's. `accounts` and `owners` are optional files to enrich with.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    source: str = "csv"
    file_name: str = "deals.csv"
    keep_good: bool = False
    date_order: str | None = None
    stage_status: Mapping[str, str] = field(default_factory=dict)
    stage_order: tuple[str, ...] = ()
    currency: str = "USD"
    time_zone: str = "America/Chicago"
    encoding: str | None = None
    delimiter: str | None = None
    accounts: Source | None = None
    owners: Source | None = None


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """One field of a deal, the column it is read from, and why: "you said so", "its name" or "its values"."""

    field: str
    label: str
    column: str
    why: str
    reading: str = ""
    """How its values are read, e.g. "dates as month/day/year"; empty for plain text."""
    sample: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row turned away: its line in the file, why, and its cells by column name."""

    line: int
    reason: str
    row: dict[str, str]


@dataclass(frozen=True, slots=True)
class StageLine:
    """One stage as the file has it: deals and their value in minor units of the import's currency."""

    name: str
    status: str
    deals: int
    value_minor: int
    is_new: bool


@dataclass(slots=True)
class ParsedDeal:
    """One readable row. Names as given; instants are UTC; money in minor units."""

    line: int
    external_id: str
    title: str | None
    account: str | None
    owner: str | None
    stage: str
    furthest: str | None
    status: str
    product: str | None
    contact_name: str | None
    contact_email: str | None
    value_minor: int | None
    currency: str
    opened_at: datetime | None
    stage_since: datetime | None
    last_activity_at: datetime | None
    expected_close_on: date | None
    closed_at: datetime | None
    row_hash: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What an import would do. Nothing is written by it."""

    file_name: str
    encoding: str
    delimiter: str
    rows: int
    created: int
    updated: int
    unchanged: int
    rejected: list[Rejected]
    rejected_total: int
    columns: list[ColumnUse]
    unused_columns: list[str]
    header: list[str]
    first_rows: list[dict[str, str]]
    """The first readable rows as they will be stored: field label → text."""
    stages: list[StageLine]
    total_minor: int
    currency: str
    new_accounts: int
    new_owners: int
    notes: list[str]
    """Sentences a person should read before agreeing: assumptions, ambiguities, oddities."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did. `imported` is False when rows were rejected and nothing was kept."""

    rows: int
    created: int
    updated: int
    unchanged: int
    rejected: list[Rejected]
    rejected_total: int
    imported: bool
    import_id: int | None = None
    notes: list[str] = field(default_factory=list)
