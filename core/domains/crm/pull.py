"""Deals live from Pipedrive: page by page, each page one transaction, so that a pull that is cut off goes on where it stood."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from core.config import get_settings
from core.domains.crm.importer import load
from core.domains.crm.importer.parsing import MAX_AMOUNT
from core.domains.crm.importer.rows import fingerprint
from core.domains.crm.importer.shapes import ParsedDeal
from core.domains.crm.models import DealImport, DealStatus
from core.integrations.pipedrive import DealPage, Pipedrive
from core.integrations.pipedrive.errors import NotConnected, StaleCursor
from core.integrations.pipedrive.schemas import Deal, Person
from core.integrations.pipedrive.schemas import Stage as VendorStage
from core.kit import clock, db, money
from core.kit.actor import Actor
from core.runtime.connections import service as connections
from core.runtime.events import service as events
from core.runtime.orgs.models import AGENCY_ID

SOURCE: Final = "pipedrive"
PULL: Final = "crm.pipedrive_pull"
"""The run kind of a pull."""
_WON, _LOST = "Won", "Lost"
_FIELDS = frozenset(
    {"title", "account", "owner", "value", "currency", "opened", "expected_close", "closed", "contact_name", "contact_email"}
)
_MAX_TEXT, _STORED_UNREADABLE = 500, 200

Transaction = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True, slots=True)
class PullResult:
    """What a pull did, all its parts together when it was cut off in between. `rejected` deals could not be read."""

    import_id: int
    rows: int
    created: int
    updated: int
    unchanged: int
    rejected_total: int
    pages: int
    resumed: bool


@dataclass(frozen=True, slots=True)
class _Names:
    """What Pipedrive's ids mean."""

    stages: dict[int, str]
    users: dict[int, str]
    organizations: dict[int, str]
    persons: dict[int, Person]
    entry: str | None


def pull_pipedrive(
    *, by: Actor, restart: bool = False, progress: Callable[[int], None] | None = None, client: Pipedrive | None = None,
    transaction: Transaction | None = None, check: Callable[[], None] | None = None,
) -> PullResult:  # fmt: skip
    """Pull all deals. An unfinished pull is taken up at the page it stood at, unless `restart`.

    Each page is upserted by Pipedrive's id: pulling twice changes nothing. `progress` gets the deals done so far.
    `transaction` opens one (a run gives its own, so that only its holder writes). Raises NotConnected, BadToken,
    RateLimited or Unreachable; what was pulled until then is kept.
    """
    opened: Transaction = transaction or (lambda: db.transaction(db.STAFF))
    connection = client or _connect(opened, by, check)
    try:
        return _pull(connection, opened, by, restart, progress)
    finally:
        if client is None:
            connection.close()


def _connect(opened: Transaction, by: Actor, check: Callable[[], None] | None) -> Pipedrive:
    """With the agency's token."""
    with opened() as session:
        account = connections.account_for(session, AGENCY_ID, (SOURCE,))
        if account is None:
            raise NotConnected
        token = connections.open_account(session, account.id, "pull of deals", by=by).secret
    return Pipedrive(get_settings().pipedrive_base_url, token, check=check)


def _pull(client: Pipedrive, opened: Transaction, by: Actor, restart: bool, progress: Callable[[int], None] | None) -> PullResult:
    vendor_stages, users = client.stages(), client.users()
    with opened() as session:
        import_id, cursor, resumed = _begin(session, by, restart)
        _ensure_stages(session, vendor_stages)
    stages = {s.id: s.name.strip()[:200] for s in vendor_stages}
    # with several pipelines nobody can tell which stage a deal was opened in
    entry = next(iter(stages.values()), None) if len({s.pipeline_id for s in vendor_stages}) == 1 else None
    pages = 0
    while True:
        try:
            page = client.deals(cursor)
        except StaleCursor:
            cursor = None
            continue
        names = _Names(
            stages,
            users,
            client.organizations(d.org_id for d in page.deals if d.org_id and not d.org_name),
            client.persons(d.person_id for d in page.deals if d.person_id and not d.person_name),
            entry,
        )
        pages += 1
        with opened() as session:
            row = _save_page(session, page, names, by, import_id)
            if page.next is None:
                _finish(session, row, by)
        if progress is not None:
            progress(row.row_count)
        if page.next is None:
            return PullResult(
                import_id, row.row_count, row.created, row.updated, row.unchanged, len(row.rejected), pages, resumed
            )
        cursor = page.next


def _begin(session: Session, by: Actor, restart: bool) -> tuple[int, str | None, bool]:
    """(import id, cursor, resumed): the pull that was cut off last, or a new one."""
    load.lock(session, AGENCY_ID)
    found = session.execute(
        select(DealImport.id, DealImport.cursor)
        .where(DealImport.source == SOURCE, DealImport.finished_at.is_(None))
        .order_by(DealImport.id.desc())
        .limit(1)
    ).first()
    if found is not None and not restart:
        return found.id, (found.cursor or {}).get("next"), True
    if found is not None:
        unfinished = update(DealImport).where(DealImport.source == SOURCE, DealImport.finished_at.is_(None))
        session.execute(unfinished.values(finished_at=clock.now()))
    values = {"org_id": AGENCY_ID, "source": SOURCE, "file_name": "Pipedrive", "mapping": {}, "rejected": [], "by": by.label}
    return session.execute(insert(DealImport).values(values).returning(DealImport.id)).scalar_one(), None, False


def _ensure_stages(session: Session, found: list[VendorStage]) -> None:
    known = dict(load.known_stages(session, AGENCY_ID))
    wanted = {s.name.strip()[:200]: DealStatus.OPEN.value for s in found}
    if DealStatus.WON not in known.values():
        wanted[_WON] = DealStatus.WON.value
    if DealStatus.LOST not in known.values():
        wanted[_LOST] = DealStatus.LOST.value
    load.ensure_stages(session, AGENCY_ID, wanted, tuple(s.name.strip()[:200] for s in found))


def _save_page(session: Session, page: DealPage, names: _Names, by: Actor, import_id: int) -> DealImport:
    load.lock(session, AGENCY_ID)
    now = clock.now()
    stages = load.known_stages(session, AGENCY_ID)
    closed = {word: next((n for n, s in stages if s == word), None) for word in ("won", "lost")}
    unreadable = [{"line": 0, "reason": "Pipedrive sent a deal we can't read.", "row": _short(item)} for item in page.unreadable]
    readable: dict[int, ParsedDeal] = {}
    for deal in page.deals:
        if deal.value is not None and not abs(deal.value) <= MAX_AMOUNT:
            unreadable.append({"line": 0, "reason": "The deal's value is too large.", "row": {"id": str(deal.id)}})
        elif deal.stage_id in names.stages and deal.status in ("open", "won", "lost"):
            readable[deal.id] = _parsed(deal, names, closed, now)
        else:
            unreadable.append({"line": 0, "reason": "The deal's stage or status is not known.", "row": {"id": str(deal.id)}})
    batch = load.Batch(AGENCY_ID, SOURCE, _FIELDS, names.entry, by.label, now, import_id)
    load.open_table(session)
    load.copy_in(session, readable.values())
    counts = load.classify(session, batch)
    load.apply(session, batch)
    row = session.get_one(DealImport, import_id, with_for_update=True, populate_existing=True)
    row.row_count += len(page.deals) + len(page.unreadable)
    row.created += counts.created
    row.updated += counts.updated
    row.unchanged += counts.unchanged
    row.rejected = [*row.rejected, *unreadable][:_STORED_UNREADABLE]
    row.cursor = {"next": page.next} if page.next else None
    session.flush()
    return row


def _finish(session: Session, row: DealImport, by: Actor) -> None:
    row.finished_at = clock.now()
    session.flush()
    events.publish(
        session,
        "deals.imported",
        f"{by.label} pulled {row.row_count:,} deals from Pipedrive: {row.created:,} new, {row.updated:,} changed, "
        f"{row.unchanged:,} unchanged.",
        actor=by,
        payload={
            "created": row.created, "updated": row.updated, "unchanged": row.unchanged, "rejected": len(row.rejected),
            "source": SOURCE,
        },
        subject=("deal_import", row.id),
        to_agents=("Sales AI",),
    )  # fmt: skip


def _short(item: dict[str, Any]) -> dict[str, str]:
    return {str(k)[:50]: str(v)[:200] for k, v in list(item.items())[:20]}


def _text(value: str | None) -> str | None:
    """One line without NUL bytes, cut at the length we store; None when nothing is left."""
    flat = " ".join((value or "").replace("\x00", "").split())
    return flat[:_MAX_TEXT] or None


def _parsed(deal: Deal, names: _Names, closed: dict[str, str | None], now: datetime) -> ParsedDeal:
    """Pipedrive's deal in the form the import loads. A won or lost deal keeps its last stage as the furthest it reached."""
    settings = get_settings()
    currency = (deal.currency or settings.currency).upper()[:3]
    in_stage = names.stages[deal.stage_id]
    is_open = deal.status == "open"
    person = names.persons.get(deal.person_id) if deal.person_id else None
    closed_at = None if is_open else (deal.won_time if deal.status == "won" else deal.lost_time) or deal.close_time
    known = [t for t in (deal.add_time, deal.update_time, deal.stage_change_time, closed_at) if t is not None and t <= now]
    made = ParsedDeal(
        line=deal.id,
        external_id=str(deal.id),
        title=_text(deal.title) or f"Deal {deal.id}",
        account=_text(deal.org_name) or _text(names.organizations.get(deal.org_id or 0)),
        owner=_text(deal.owner_name) or _text(names.users.get(deal.owner or 0)),
        stage=in_stage if is_open else closed[deal.status] or in_stage,
        furthest=in_stage,
        status=deal.status,
        product=None,
        contact_name=_text(deal.person_name) or _text(person.name if person else None),
        contact_email=_text(person.address if person else None),
        value_minor=None if deal.value is None else money.to_minor(deal.value, currency),
        currency=currency,
        opened_at=deal.add_time,
        stage_since=deal.stage_change_time or deal.add_time if is_open else None,
        last_activity_at=max(known, default=None),
        expected_close_on=deal.expected_close_date,
        closed_at=closed_at,
    )
    made.line = min(deal.id, 2_000_000_000)
    made.row_hash = fingerprint(made, (deal.add_time, deal.update_time, deal.stage_change_time))
    return made
