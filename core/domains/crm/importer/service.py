"""Import of deals from a CSV file: look first (`preview`), then do it (`run_import`). Both read the file as a stream."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from core.domains.crm.importer import extras, load, mapping, reading, stages, survey
from core.domains.crm.importer.names import Spellings
from core.domains.crm.importer.reading import Source
from core.domains.crm.importer.rows import RowError, RowReader
from core.domains.crm.importer.shapes import (
    REJECTED_KEPT,
    ColumnUse,
    ImportResult,
    Options,
    ParsedDeal,
    Preview,
    Progress,
    Rejected,
    StageLine,
)
from core.domains.crm.models import DealImport, DealStatus
from core.errors import BadInput
from core.kit import clock, money
from core.kit.actor import Actor
from core.runtime.events import service as events
from core.runtime.orgs.models import AGENCY_ID

_SAMPLE_ROWS, _FIRST_ROWS, _STORED_REJECTS = 500, 5, 1_000
_PROGRESS_EVERY = 2_000


@dataclass
class _Plan:
    """Everything decided about a file before its rows are read for good."""

    layout: reading.Layout
    columns: dict[str, int]
    uses: list[ColumnUse]
    taken: survey.Survey
    readings: survey.Readings
    spellings: dict[str, Spellings]
    stage_spelling: Spellings
    status_of: dict[str, str]
    """Every stage known or in the file, in the file's order → its status."""
    new_stages: dict[str, str]
    existing_stages: list[tuple[str, str]]
    entry_stage: str | None
    notes: list[str]


@dataclass
class _Reading:
    """What came of reading the rows."""

    rejected: list[Rejected] = field(default_factory=list)
    rejected_total: int = 0
    done: int = 0
    stages: Counter[tuple[str, str]] = field(default_factory=Counter)
    stage_minor: Counter[str] = field(default_factory=Counter)
    currencies: Counter[str] = field(default_factory=Counter)
    first: list[ParsedDeal] = field(default_factory=list)
    backwards: int = 0

    def reject(self, row: reading.Row, reason: str, header: tuple[str, ...]) -> None:
        self.rejected_total += 1
        if len(self.rejected) < REJECTED_KEPT:
            names = [h or f"column {i + 1}" for i, h in enumerate(header)]
            names += [f"cell {i + 1}" for i in range(len(names), min(len(row.cells), len(names) + 5))]
            cells = {n: c[:200] for n, c in zip(names, row.cells, strict=False)}
            self.rejected.append(Rejected(row.line, reason, cells))

    def accept(self, deal: ParsedDeal, home: str) -> None:
        self.stages[deal.stage, deal.status] += 1
        if deal.value_minor is not None:
            self.currencies[deal.currency] += 1
            if deal.currency == home:
                self.stage_minor[deal.stage] += deal.value_minor
        if deal.opened_at and deal.closed_at and deal.closed_at < deal.opened_at:
            self.backwards += 1
        if len(self.first) < _FIRST_ROWS:
            self.first.append(deal)


def _check_options(options: Options) -> None:
    if options.date_order not in (None, "mdy", "dmy"):
        raise BadInput(f"“{options.date_order}” is no order of dates.", "Use mdy (3/31/2026) or dmy (31/3/2026).")
    for name, status in options.stage_status.items():
        if status not in [s.value for s in DealStatus]:
            raise BadInput(f"The stage “{name}” can't be “{status}”.", "A stage is open, won or lost.")


def _stage_status(names: list[str], existing: list[tuple[str, str]], options: Options) -> tuple[dict[str, str], dict[str, str]]:
    """(all stages → status, the new ones → status)."""
    wanted = {n.casefold(): s for n, s in options.stage_status.items()}
    known = dict(existing)
    new = {n: wanted.get(n.casefold(), stages.guess_status(n)) for n in names if n not in known}
    return {**known, **new}, new


def _entry_stage(taken: survey.Survey, spelling: Spellings, status_of: dict[str, str], order: list[str]) -> str | None:
    """The open stage the opened date marks: the first in which the file's open deals mostly have that date."""
    counted: dict[str, list[int]] = {}
    for (name, has_date), times in taken.opened_in.items():
        counted.setdefault(spelling.of(name), [0, 0])[has_date] += times
    open_stages = [n for n in order if status_of[n] == DealStatus.OPEN]
    for name in open_stages:
        without, with_date = counted.get(name, (0, 0))
        if with_date and with_date >= without:
            return name
    return open_stages[0] if open_stages else None


def _plan(session: Session, source: Source, options: Options, org_id: UUID) -> _Plan:
    _check_options(options)
    layout = reading.inspect(source, encoding=options.encoding, delimiter=options.delimiter)
    sample = [r.cells for r in islice(reading.rows(source, layout), _SAMPLE_ROWS) if r.problem is None]
    columns, uses = mapping.decide(layout.header, sample, options.mapping)
    taken = survey.take(reading.rows(source, layout), columns)
    if not taken.rows:
        raise BadInput("The file has a header but no rows under it.", "Check the filter of the export and export again.")
    readings = survey.decide(taken, columns, layout.header, layout.delimiter, options)
    known = load.known_names(session, org_id)
    spellings = {k: Spellings(known[k], taken.names.get(k, {}), loose=k == "product") for k in ("account", "owner", "product")}
    existing = load.known_stages(session, org_id)
    stage_spelling = Spellings([n for n, _ in existing], {n: -line for n, line in taken.stages.items()}, loose=False)
    names = list(dict.fromkeys(stage_spelling.of(n) for n in taken.stages))
    status_of, new = _stage_status(names, existing, options)
    order = stages.in_order(existing, new, options.stage_order)
    entry = _entry_stage(taken, stage_spelling, status_of, order) if "opened" in columns else None
    notes = list(readings.notes)
    for name, stored in sorted(spellings["product"].changed(taken.names.get("product", {})).items()):
        notes.append(f"The product “{name}” is stored as “{stored}”.")
    if entry is not None and next(n for n in order if status_of[n] == DealStatus.OPEN) != entry:
        notes.append(f"The date in “{layout.header[columns['opened']]}” counts as entering the stage “{entry}”.")
    uses = survey.shown(uses, taken, readings)
    return _Plan(
        layout, columns, uses, taken, readings, spellings, stage_spelling, status_of, new, existing, entry, notes
    )  # fmt: skip


def _title(deal: ParsedDeal) -> str:
    """A title for a deal whose source has none: its account and product, else its product and id."""
    parts = [p for p in (deal.account, deal.product) if p]
    if parts and deal.account is None:
        parts.append(deal.external_id)
    return " · ".join(parts) if parts else f"Deal {deal.external_id}"


def _read_rows(
    source: Source, plan: _Plan, options: Options, came: _Reading, now: datetime, progress: Progress | None
) -> Iterator[ParsedDeal]:
    reader = RowReader(
        plan.layout.header, plan.columns, plan.readings, plan.stage_spelling, plan.status_of, options.currency,
        clock.zone(options.time_zone), now,
    )  # fmt: skip
    spell = plan.spellings
    for row in reading.rows(source, plan.layout):
        came.done += 1
        if progress is not None and came.done % _PROGRESS_EVERY == 0:
            progress(came.done, plan.taken.rows)
        try:
            deal = reader.read(row)
        except RowError as error:
            came.reject(row, str(error), plan.layout.header)
            continue
        deal.account = spell["account"].of(deal.account) if deal.account else None
        deal.owner = spell["owner"].of(deal.owner) if deal.owner else None
        deal.product = spell["product"].of(deal.product) if deal.product else None
        deal.title = deal.title or _title(deal)
        came.accept(deal, options.currency)
        yield deal


def _load_rows(
    session: Session, source: Source, plan: _Plan, options: Options, batch: load.Batch, progress: Progress | None
) -> tuple[_Reading, load.Counts]:
    came = _Reading()
    load.open_table(session)
    load.copy_in(session, _read_rows(source, plan, options, came, batch.now, progress))
    if progress is not None:
        progress(came.done, plan.taken.rows)
    return came, load.classify(session, batch)


def _notes(plan: _Plan, came: _Reading, options: Options) -> list[str]:
    notes = list(plan.notes)
    others = {c: n for c, n in came.currencies.items() if c != options.currency}
    for code, times in sorted(others.items()):
        notes.append(f"{times:,} {'deal is' if times == 1 else 'deals are'} in {code}; totals count {options.currency} only.")
    if came.backwards:
        notes.append(f"{came.backwards:,} {'deal was' if came.backwards == 1 else 'deals were'} closed before being opened.")
    unknown = [n for n, s in plan.new_stages.items() if s == DealStatus.OPEN and stages.rank(n) is None]
    if unknown:
        shown = ", ".join(f"“{n}”" for n in unknown[:6])
        notes.append(f"The stages {shown} count as open, because their names say neither won nor lost.")
    return notes


def _stage_lines(plan: _Plan, came: _Reading, options: Options) -> list[StageLine]:
    status_of = {**plan.status_of, **{name: status for name, status in came.stages if name not in plan.status_of}}
    known = dict(plan.existing_stages)
    order = stages.in_order(
        plan.existing_stages, {n: s for n, s in status_of.items() if n not in known}, options.stage_order
    )  # fmt: skip
    counted = {name: times for (name, _status), times in came.stages.items()}
    return [
        StageLine(name, status_of[name], counted[name], came.stage_minor[name], name not in known)
        for name in order
        if name in counted
    ]


def _shown_row(deal: ParsedDeal, zone_name: str) -> dict[str, str]:
    zone = clock.zone(zone_name)

    def day(at: date | None) -> str:
        local = at.astimezone(zone) if isinstance(at, datetime) else at
        return f"{local.day} {local:%b %Y}" if local else "–"

    return {
        "Id": deal.external_id,
        "Title": deal.title or "–",
        "Account": deal.account or "–",
        "Owner": deal.owner or "–",
        "Stage": deal.stage,
        "Value": money.show(deal.value_minor, deal.currency),
        "Opened": day(deal.opened_at),
        "Closed": day(deal.closed_at),
        "Expected close": day(datetime.combine(deal.expected_close_on, datetime.min.time(), zone))
        if deal.expected_close_on
        else "–",
    }


def _batch(plan: _Plan, options: Options, org_id: UUID, actor: str, now: datetime, import_id: int | None = None) -> load.Batch:
    return load.Batch(org_id, options.source, frozenset(plan.columns), plan.entry_stage, actor, now, import_id)


def preview(session: Session, source: Source, options: Options | None = None, *, org_id: UUID = AGENCY_ID) -> Preview:
    """What importing this file would do; nothing is written. Raises BadInput for a file that can't be read."""
    chosen = options or Options(file_name=source.name if isinstance(source, Path) else "deals.csv")
    plan = _plan(session, source, chosen, org_id)
    came, counts = _load_rows(session, source, plan, chosen, _batch(plan, chosen, org_id, "preview", clock.now()), None)
    extra_notes = extras.check(chosen.accounts, chosen.owners)
    spell, names = plan.spellings, plan.taken.names
    return Preview(
        file_name=chosen.file_name,
        encoding=plan.layout.encoding_shown,
        delimiter=reading.DELIMITER_NAMES.get(plan.layout.delimiter, plan.layout.delimiter),
        rows=plan.taken.rows,
        created=counts.created,
        updated=counts.updated,
        unchanged=counts.unchanged,
        rejected=came.rejected,
        rejected_total=came.rejected_total,
        columns=plan.uses,
        unused_columns=[h for i, h in enumerate(plan.layout.header) if h and i not in plan.columns.values()],
        header=list(plan.layout.header),
        first_rows=[_shown_row(d, chosen.time_zone) for d in came.first],
        stages=_stage_lines(plan, came, chosen),
        total_minor=sum(came.stage_minor.values()),
        currency=chosen.currency,
        new_accounts=spell["account"].new(names.get("account", {})),
        new_owners=spell["owner"].new(names.get("owner", {})),
        notes=[*_notes(plan, came, chosen), *extra_notes],
    )


def _record(
    session: Session, plan: _Plan, options: Options, came: _Reading, counts: load.Counts, by: Actor, now: datetime, org_id: UUID
) -> int:
    stored = [{"line": r.line, "reason": r.reason, "row": r.row} for r in came.rejected[:_STORED_REJECTS]]
    values: dict[str, Any] = {
        "org_id": org_id,
        "source": options.source,
        "file_name": options.file_name,
        "file_sha256": plan.layout.sha256,
        "mapping": {u.field: u.column for u in plan.uses},
        "row_count": plan.taken.rows,
        "created": counts.created,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "rejected": stored,
        "by": by.label,
        "finished_at": now,
    }
    return session.execute(insert(DealImport).values(values).returning(DealImport.id)).scalar_one()


def run_import(
    session: Session, source: Source, options: Options | None = None, *, by: Actor, progress: Progress | None = None,
    org_id: UUID = AGENCY_ID,
) -> ImportResult:  # fmt: skip
    """Import the file in the caller's transaction. With rejected rows and without `keep_good` no deal is touched.

    A second import of the same file changes nothing. Publishes one event `deals.imported` when something was kept.
    """
    chosen = options or Options(file_name=source.name if isinstance(source, Path) else "deals.csv")
    load.lock(session, org_id)
    plan = _plan(session, source, chosen, org_id)
    extra_notes = extras.check(chosen.accounts, chosen.owners)
    now = clock.now().astimezone(UTC)
    batch = _batch(plan, chosen, org_id, by.label, now)
    came, counts = _load_rows(session, source, plan, chosen, batch, progress)
    kept = came.rejected_total == 0 or (chosen.keep_good and came.rejected_total < plan.taken.rows)
    if not kept:
        counts = load.Counts(0, 0, 0)
    import_id = _record(session, plan, chosen, came, counts, by, now, org_id)
    notes = [*_notes(plan, came, chosen), *extra_notes]
    if kept:
        late = {name: status for name, status in came.stages if name not in plan.status_of}
        load.ensure_stages(session, org_id, {**{n: plan.status_of[n] for n in _in_file(plan)}, **late}, chosen.stage_order)
        load.apply(session, _batch(plan, chosen, org_id, by.label, now, import_id))
        extras.apply(session, chosen.accounts, chosen.owners, org_id)
        _publish(session, chosen, counts, came, by, import_id, org_id)
    return ImportResult(
        plan.taken.rows, counts.created, counts.updated, counts.unchanged, came.rejected, came.rejected_total, kept,
        import_id, notes,
    )  # fmt: skip


def _in_file(plan: _Plan) -> list[str]:
    return list(dict.fromkeys(plan.stage_spelling.of(n) for n in plan.taken.stages))


def _publish(
    session: Session, options: Options, counts: load.Counts, came: _Reading, by: Actor, import_id: int, org_id: UUID
) -> None:
    rejected = f", {came.rejected_total:,} rejected" if came.rejected_total else ""
    events.publish(
        session,
        "deals.imported",
        f"{by.label} imported {options.file_name}: {counts.created:,} new, {counts.updated:,} changed, "
        f"{counts.unchanged:,} unchanged{rejected}.",
        org_id=org_id,
        actor=by,
        payload={
            "created": counts.created, "updated": counts.updated, "unchanged": counts.unchanged,
            "rejected": came.rejected_total, "source": options.source, "file_name": options.file_name,
        },
        subject=("deal_import", import_id),
        to_agents=("Sales AI",),
    )  # fmt: skip
