"""The first pass over a file: what its columns' values decide together, before any row is read for good."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from core.domains.crm.importer.mapping import BY_KEY, DATES
from core.domains.crm.importer.parsing import DateEvidence, MoneyEvidence, is_blank
from core.domains.crm.importer.reading import Row
from core.domains.crm.importer.shapes import ColumnUse, Options

_ORDER_SHOWN = {"mdy": "month/day/year", "dmy": "day/month/year"}


@dataclass
class Survey:
    """What all values of a file say: date order per field, decimal mark, spellings by frequency, stages in order."""

    rows: int = 0
    dates: dict[str, DateEvidence] = field(default_factory=dict)
    money: MoneyEvidence = field(default_factory=MoneyEvidence)
    names: dict[str, Counter[str]] = field(default_factory=dict)
    """product, account, owner → spelling → how often."""
    stages: dict[str, int] = field(default_factory=dict)
    """Stage name → first line."""
    opened_in: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """(stage, has an opened date) → rows."""


def take(rows: Iterable[Row], columns: Mapping[str, int]) -> Survey:
    """Look at every well-formed row once."""
    made = Survey(
        dates={k: DateEvidence() for k in DATES if k in columns},
        names={k: Counter() for k in ("product", "account", "owner") if k in columns},
    )
    date_columns = [(made.dates[k], columns[k], set[str]()) for k in made.dates]
    name_columns = [(made.names[k], columns[k]) for k in made.names]
    value, stage, opened = columns.get("value"), columns["stage"], columns.get("opened")
    for row in rows:
        made.rows += 1
        if row.problem:
            continue
        cells = row.cells
        for evidence, index, seen in date_columns:
            cell = cells[index]
            if cell and cell not in seen:
                seen.add(cell) if len(seen) < 100_000 else None
                evidence.see(cell)
        for counter, index in name_columns:
            if cells[index]:
                counter[" ".join(cells[index].split())] += 1
        if value is not None and cells[value]:
            made.money.see(cells[value])
        name = " ".join(cells[stage].split())
        if not is_blank(name):
            made.stages.setdefault(name, row.line)
            if opened is not None:
                made.opened_in[name, not is_blank(cells[opened])] += 1
    return made


@dataclass(frozen=True, slots=True)
class Readings:
    """How to read ambiguous cells: date order per field and the decimal mark; `notes` say what was assumed."""

    orders: Mapping[str, str]
    decimal_mark: str
    notes: tuple[str, ...]


def _date_notes(key: str, evidence: DateEvidence, order: str, why: str, column: str) -> list[str]:
    notes = []
    if evidence.open_ and evidence.order is None:
        flag = "dmy" if order == "mdy" else "mdy"
        notes.append(
            f"Dates in “{column}” could be day/month or month/day; they are read as {_ORDER_SHOWN[order]}{why}. "
            f"If that is wrong, use --date-order {flag}."
        )
    elif evidence.day_first and evidence.month_first:
        notes.append(
            f"“{column}” mixes day/month and month/day dates; it is read as {_ORDER_SHOWN[order]}, which fits more of them."
        )
    return notes


def decide(survey: Survey, columns: Mapping[str, int], header: tuple[str, ...], delimiter: str, options: Options) -> Readings:
    """Settle each column by its own values; else by the file's other dates; else by how the file writes numbers."""
    known = Counter(e.order for e in survey.dates.values() if e.order)
    european = survey.money.comma_decimal > survey.money.point_decimal or delimiter == ";"
    orders, notes = {}, list[str]()
    for key, evidence in survey.dates.items():
        if options.date_order:
            orders[key] = options.date_order
            continue
        why = ""
        order = evidence.order
        if order is None and known:
            order, why = known.most_common(1)[0][0], " like the file's other dates"
        elif order is None:
            order = "dmy" if european else "mdy"
            why = ", as European files write them" if european else ", as US files write them"
        orders[key] = order
        notes += _date_notes(key, evidence, order, why, header[columns[key]])
    mark = survey.money.decimal_mark
    if "value" in columns and survey.money.is_open:
        mark = "," if survey.money.open_point > survey.money.open_comma else "."
        example = "1.234" if mark == "," else "1,234"
        notes.append(f"Amounts such as {example} in “{header[columns['value']]}” are read as whole thousands.")
    return Readings(orders, mark, tuple(notes))


def shown(uses: list[ColumnUse], survey: Survey, readings: Readings) -> list[ColumnUse]:
    """The columns with how their values are read, for the preview."""
    said = []
    for use in uses:
        text = use.reading
        if use.field in survey.dates:
            evidence = survey.dates[use.field]
            numeric = evidence.open_ or evidence.day_first or evidence.month_first
            text = f"dates as {_ORDER_SHOWN[readings.orders[use.field]]}" if numeric else "dates"
        elif BY_KEY[use.field].kind == "money":
            text = f"money, decimal {'comma' if readings.decimal_mark == ',' else 'point'}"
        said.append(ColumnUse(use.field, use.label, use.column, use.why, text, use.sample))
    return said
