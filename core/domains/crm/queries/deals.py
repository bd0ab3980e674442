# ruff: noqa: S608  (statements are put together from constants of ours; every value is a bound parameter)
"""Lists of deals and one deal in full."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.domains.crm import rules
from core.domains.crm.models import ACTIVITY_KEY, VALUE_KEY
from core.domains.crm.queries.filters import DealFilter, base_params
from core.errors import NotFound

MAX_PAGE = 200


@dataclass(frozen=True, slots=True)
class DealRow:
    """One deal in a list. Money in minor units; `days_quiet` and `days_in_stage` are None when no date says."""

    id: int
    title: str
    account: str | None
    owner_id: int | None
    owner: str | None
    stage_id: int
    stage: str
    status: str
    value_minor: int | None
    currency: str
    opened_at: datetime | None
    closed_at: datetime | None
    expected_close_on: date | None
    last_activity_at: datetime | None
    days_in_stage: int | None
    days_quiet: int | None


@dataclass(frozen=True, slots=True)
class DealPage:
    """A page of deals; `next` is the cursor of the page after it, None on the last one."""

    deals: list[DealRow]
    next: str | None


@dataclass(frozen=True, slots=True)
class DealList:
    """The first deals of a list, and how many deals and what value there are in all.

    `value_minor` is of those in the agency's currency; `other_currency` counts the deals that are in another.
    """

    deals: list[DealRow]
    total: int
    value_minor: int
    other_currency: int = 0


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """The deal entered `stage`. `days_in_previous` is the time spent in the stage before, None when not known."""

    at: datetime
    stage: str
    status: str
    previous: str | None
    days_in_previous: float | None
    actor: str


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """The company of a deal, and what it has bought: deals and won value in minor units."""

    id: int
    name: str
    industry: str | None
    employees: int | None
    country: str | None
    website: str | None
    deals: int
    won: int
    won_minor: int
    open: int


@dataclass(frozen=True, slots=True)
class DealDetail:
    """One deal with its way through the stages and the account's other deals (the latest ten)."""

    deal: DealRow
    source: str
    external_id: str
    product: str | None
    contact_name: str | None
    contact_email: str | None
    stage_since: datetime | None
    created_at: datetime
    updated_at: datetime
    import_id: int | None
    demo: bool
    account: AccountInfo | None
    history: list[HistoryItem]
    account_deals: list[DealRow]


ROW = """d.id, d.title, a.name AS account, d.owner_id, o.name AS owner, d.stage_id, s.name AS stage, d.status, d.value_minor,
  d.currency, d.opened_at, d.closed_at, d.expected_close_on, d.last_activity_at,
  CAST(extract(day FROM :now - CASE WHEN d.status = 'open' THEN coalesce(d.stage_since, d.opened_at) END) AS int)
    AS days_in_stage,
  CAST(extract(day FROM :now - d.last_activity_at) AS int) AS days_quiet"""
JOINS = "LEFT JOIN accounts a ON a.id = d.account_id LEFT JOIN owners o ON o.id = d.owner_id JOIN stages s ON s.id = d.stage_id"

# sort → (SQL expression, its cast); the id breaks ties, so that a page never repeats or skips a deal
SORTS = {
    "activity": (ACTIVITY_KEY.replace("last_", "d.last_"), "timestamptz"),
    "value": (VALUE_KEY.replace("value_", "d.value_"), "int8"),
    "newest": ("d.id", "int8"),
}


def to_row(r: Any) -> DealRow:
    """A result row that starts with the columns of ROW."""
    return DealRow(
        r.id, r.title, r.account, r.owner_id, r.owner, r.stage_id, r.stage, r.status, r.value_minor, r.currency, r.opened_at,
        r.closed_at, r.expected_close_on, r.last_activity_at, r.days_in_stage, r.days_quiet,
    )  # fmt: skip


def _read_cursor(after: str | None, cast: str) -> tuple[str, int] | None:
    if not after:
        return None
    key, _, last = after.rpartition("~")
    try:
        # written anew: Python reads forms of both that the database does not
        read = str(int(key)) if cast == "int8" else datetime.fromisoformat(key).isoformat()
        numbers = [int(last), int(read)] if cast == "int8" else [int(last)]
    except ValueError:
        return None  # a stale or hand-made link starts at the first page
    return (read, int(last)) if all(abs(n) < 2**63 for n in numbers) else None


def deals_page(
    session: Session, f: DealFilter, *, sort: str = "activity", after: str | None = None, limit: int = 50,
    now: datetime | None = None,
) -> DealPage:  # fmt: skip
    """A page of deals, highest first by last activity, value or id ("newest"). `after` is the previous page's `next`."""
    expression, cast = SORTS.get(sort, SORTS["activity"])
    where, params = f.where()
    limit = max(1, min(limit, MAX_PAGE))
    cursor = _read_cursor(after, cast)
    if cursor is not None:
        where += f" AND ({expression}, d.id) < (CAST(:after_key AS {cast}), :after_id)"
        params |= {"after_key": cursor[0], "after_id": cursor[1]}
    found = session.execute(
        text(
            f"SELECT {ROW}, CAST({expression} AS text) AS sort_key FROM "
            f"(SELECT * FROM deals d WHERE {where} ORDER BY {expression} DESC, d.id DESC LIMIT :limit) d {JOINS} "
            f"ORDER BY {expression} DESC, d.id DESC"
        ),
        base_params(now) | params | {"limit": limit + 1},
    ).all()
    rows = found[:limit]
    return DealPage([to_row(r) for r in rows], f"{rows[-1].sort_key}~{rows[-1].id}" if len(found) > limit else None)


def list_of(session: Session, f: DealFilter, *, limit: int = 20, now: datetime | None = None) -> DealList:
    """The most valuable deals under the filter with the count and value of all. Two statements."""
    where, params = f.where()
    values = base_params(now) | params
    total = session.execute(
        text(
            "SELECT count(*) AS deals, coalesce(sum(d.value_minor) FILTER (WHERE d.currency = :currency), 0) AS value, "
            "count(*) FILTER (WHERE d.currency <> :currency) AS other "
            f"FROM deals d WHERE {where}"
        ),
        values,
    ).one()
    found = deals_page(session, f, sort="value", limit=limit, now=now).deals
    return DealList(found, total.deals, int(total.value), total.other)


def deal_detail(session: Session, deal_id: int, *, now: datetime | None = None) -> DealDetail:
    """The deal in full, in three statements. Raises NotFound."""
    values = base_params(now) | {"id": deal_id}
    r = session.execute(
        text(
            f"SELECT {ROW}, d.source, d.external_id, d.product, d.contact_name, d.contact_email, d.stage_since, d.created_at, "
            "d.updated_at, d.import_id, d.demo, d.account_id, a.industry, a.employees, a.country, a.website, t.* "
            f"FROM deals d {JOINS} LEFT JOIN LATERAL (SELECT count(*) AS account_count, "
            "count(*) FILTER (WHERE x.status = 'won') AS account_won, count(*) FILTER (WHERE x.status = 'open') AS account_open, "
            "coalesce(sum(x.value_minor) FILTER (WHERE x.status = 'won' AND x.currency = :currency), 0) AS account_won_minor "
            "FROM deals x WHERE x.account_id = d.account_id) t ON true WHERE d.id = :id"
        ),
        values,
    ).first()
    if r is None:
        raise NotFound(f"There is no deal {deal_id}.", "It may have been removed; see the Pipeline page.")
    account = None
    if r.account_id is not None:
        account = AccountInfo(
            r.account_id, r.account, r.industry, r.employees, r.country, r.website, r.account_count, r.account_won,
            int(r.account_won_minor), r.account_open,
        )  # fmt: skip
    return DealDetail(
        to_row(r), r.source, r.external_id, r.product, r.contact_name, r.contact_email, r.stage_since, r.created_at,
        r.updated_at, r.import_id, r.demo, account, _history(session, deal_id), _account_deals(session, r.account_id, values),
    )  # fmt: skip


def _history(session: Session, deal_id: int) -> list[HistoryItem]:
    found = session.execute(
        text(
            "SELECT c.at, t.name AS stage, t.status, f.name AS previous, "
            "CAST(extract(epoch FROM c.at - c.from_since) / 86400.0 AS float8) AS days, c.actor "
            "FROM stage_changes c JOIN stages t ON t.id = c.to_stage_id LEFT JOIN stages f ON f.id = c.from_stage_id "
            "WHERE c.deal_id = :id ORDER BY c.at, c.id LIMIT 500"
        ),
        {"id": deal_id},
    )
    return [HistoryItem(r.at, r.stage, r.status, r.previous, r.days, r.actor) for r in found]


def _account_deals(session: Session, account_id: int | None, values: dict[str, Any]) -> list[DealRow]:
    if account_id is None:
        return []
    found = session.execute(
        text(
            f"SELECT {ROW} FROM deals d {JOINS} WHERE d.account_id = :account_id AND d.id <> :id "
            f"ORDER BY {SORTS['activity'][0]} DESC, d.id DESC LIMIT 10"
        ),
        values | {"account_id": account_id},
    )
    return [to_row(r) for r in found]


def is_quiet(row: DealRow) -> bool:
    """Whether an open deal has had no activity for QUIET_DAYS; one without any date counts as quiet."""
    return row.status == "open" and (row.days_quiet is None or row.days_quiet >= rules.QUIET_DAYS)
