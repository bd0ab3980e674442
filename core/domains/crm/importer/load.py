# ruff: noqa: S608  (statements are put together from constants of ours; every value is a bound parameter)
"""From parsed rows to tables: COPY into a temporary table, then a fixed number of set-based statements.

The statements know nothing of files: a CSV import and a page of a Pipedrive pull load through the same ones.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.domains.crm.importer import stages as stage_words
from core.domains.crm.importer.shapes import ParsedDeal

_COLUMNS = {
    "line": "int4", "external_id": "text", "title": "text", "account": "text", "owner": "text", "stage": "text",
    "furthest": "text", "status": "text", "product": "text", "contact_name": "text", "contact_email": "text",
    "value_minor": "int8", "currency": "text", "opened_at": "timestamptz", "stage_since": "timestamptz",
    "last_activity_at": "timestamptz", "expected_close_on": "date", "closed_at": "timestamptz", "row_hash": "text",
}  # fmt: skip

# what an update may touch: column → the fields of a file that feed it
_FED_BY = {
    "account_id": ("account",),
    "owner_id": ("owner",),
    "product": ("product",),
    "contact_name": ("contact_name",),
    "contact_email": ("contact_email",),
    "value_minor": ("value",),
    "currency": ("value", "currency"),
    "opened_at": ("opened",),
    "expected_close_on": ("expected_close", "closed"),
}


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by what happened, or would happen, to them."""

    created: int
    updated: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What all rows of one load share. `fields` are the fields the source gives; others are left as they are."""

    org_id: UUID
    source: str
    fields: frozenset[str]
    entry_stage: str | None
    """The open stage a deal enters when it is opened; None when that is not known."""
    actor: str
    now: datetime
    import_id: int | None = None

    def values(self) -> dict[str, Any]:
        """As parameters of the statements."""
        return {
            "org": self.org_id, "source": self.source, "entry": self.entry_stage, "actor": self.actor, "now": self.now,
            "import_id": self.import_id,
        }  # fmt: skip


def lock(session: Session, org_id: UUID) -> None:
    """One load at a time per organisation, until the transaction ends: two imports must not both create a deal."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('crm.load:' || :org, 0))"), {"org": str(org_id)})


def open_table(session: Session) -> None:
    """Make the empty temporary table of this transaction."""
    columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
    session.execute(text("DROP TABLE IF EXISTS pg_temp.incoming_deals"))
    session.execute(text(f"CREATE TEMP TABLE incoming_deals ({columns}, deal_id int8, outcome text) ON COMMIT DROP"))


def copy_in(session: Session, deals: Iterable[ParsedDeal]) -> None:
    """COPY parsed deals into the temporary table; `deals` may be a generator of any length."""
    connection: Any = session.connection().connection.driver_connection
    names = list(_COLUMNS)
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY incoming_deals ({', '.join(names)}) FROM STDIN") as copy,
    ):
        for deal in deals:
            copy.write_row([getattr(deal, name) for name in names])
    session.execute(text("ANALYZE incoming_deals"))


def classify(session: Session, batch: Batch) -> Counts:
    """Compare with what is there by external id and row hash. Changes only the temporary table."""
    session.execute(
        text(
            "UPDATE incoming_deals i SET deal_id = d.id, "
            "outcome = CASE WHEN d.row_hash = i.row_hash THEN 'unchanged' ELSE 'updated' END "
            "FROM deals d WHERE d.org_id = :org AND d.source = :source AND d.external_id = i.external_id"
        ),
        batch.values(),
    )
    found = session.execute(
        text(
            "SELECT count(*) FILTER (WHERE deal_id IS NULL) AS created, count(*) FILTER (WHERE outcome = 'updated') AS updated, "
            "count(*) FILTER (WHERE outcome = 'unchanged') AS unchanged FROM incoming_deals"
        )
    ).one()
    return Counts(found.created, found.updated, found.unchanged)


def apply(session: Session, batch: Batch) -> None:
    """Write what `classify` found: accounts, owners, new deals with their history, changed deals and their moves."""
    values = batch.values()
    for table, column in (("accounts", "account"), ("owners", "owner")):
        session.execute(
            text(
                f"INSERT INTO {table} (org_id, name) SELECT DISTINCT :org, {column} FROM incoming_deals "
                f"WHERE {column} IS NOT NULL AND outcome IS DISTINCT FROM 'unchanged' "
                f"ON CONFLICT (org_id, name) DO UPDATE SET demo = false WHERE {table}.demo"
            ),
            values,
        )
    session.execute(text(_UPDATE_MOVES), values)
    session.execute(text(_update_statement(batch.fields)), values)
    session.execute(text(_INSERT_DEALS), values)
    session.execute(text(_INSERT_ENTRIES), values)
    session.execute(text(_INSERT_LATER), values)


# the stage a deal entered when it was opened: its own when that comes earlier than the usual entry stage
_NAMED = """
  LEFT JOIN accounts a ON a.org_id = :org AND a.name = i.account
  LEFT JOIN owners o ON o.org_id = :org AND o.name = i.owner
  JOIN stages s ON s.org_id = :org AND s.name = i.stage
  LEFT JOIN stages f ON f.org_id = :org AND f.name = i.furthest
  LEFT JOIN stages e ON e.org_id = :org AND e.name = CAST(:entry AS text)
"""

_INSERT_DEALS = f"""
INSERT INTO deals (org_id, source, external_id, title, account_id, owner_id, stage_id, furthest_stage_id, status, product,
  contact_name, contact_email, value_minor, currency, opened_at, stage_since, last_activity_at, expected_close_on,
  closed_at, row_hash, import_id, created_at, updated_at)
SELECT :org, :source, i.external_id, i.title, a.id, o.id, s.id,
  coalesce(f.id, CASE WHEN i.opened_at IS NOT NULL THEN e.id END), i.status, i.product,
  i.contact_name, i.contact_email, i.value_minor, i.currency, i.opened_at,
  CASE WHEN i.status <> 'open' THEN coalesce(i.closed_at, i.stage_since)
       ELSE coalesce(i.stage_since, CASE WHEN e.id IS NULL OR s.position <= e.position THEN i.opened_at END) END,
  i.last_activity_at, i.expected_close_on, i.closed_at, i.row_hash, :import_id, :now, :now
FROM incoming_deals i {_NAMED}
WHERE i.deal_id IS NULL
ORDER BY i.line
"""

_CREATED = """
  FROM incoming_deals i
  JOIN deals d ON d.org_id = :org AND d.source = :source AND d.external_id = i.external_id
  JOIN stages s ON s.id = d.stage_id
  LEFT JOIN stages e ON e.org_id = :org AND e.name = CAST(:entry AS text)
  LEFT JOIN stages f ON f.id = d.furthest_stage_id
  WHERE i.deal_id IS NULL
"""

_INSERT_ENTRIES = f"""
INSERT INTO stage_changes (org_id, deal_id, to_stage_id, at, actor)
SELECT :org, d.id,
  CASE WHEN s.status = 'open' AND (e.id IS NULL OR s.position <= e.position) THEN s.id ELSE coalesce(e.id, s.id) END,
  d.opened_at, :actor
{_CREATED} AND d.opened_at IS NOT NULL AND (e.id IS NOT NULL OR s.status = 'open')
"""

_INSERT_LATER = f"""
INSERT INTO stage_changes (org_id, deal_id, from_stage_id, to_stage_id, from_since, at, actor)
SELECT :org, d.id, CASE WHEN s.status = 'open' THEN CASE WHEN d.opened_at IS NOT NULL THEN e.id END ELSE f.id END, s.id,
  CASE WHEN s.status = 'open' OR f.id = e.id THEN d.opened_at END,
  CASE WHEN s.status = 'open' THEN d.stage_since ELSE d.closed_at END, :actor
{_CREATED} AND CASE WHEN s.status = 'open'
  THEN d.stage_since IS NOT NULL AND (d.opened_at IS NULL OR (e.id IS NOT NULL AND s.position > e.position))
  ELSE d.closed_at IS NOT NULL END
"""

# when a deal moved: at its close date, at the source's own stage date, else when we saw it
_MOVED_AT = """CASE WHEN i.status <> 'open' THEN coalesce(i.closed_at, i.stage_since, :now)
  WHEN i.stage_since > coalesce(d.stage_since, '-infinity') THEN i.stage_since ELSE :now END"""

_UPDATE_MOVES = f"""
INSERT INTO stage_changes (org_id, deal_id, from_stage_id, to_stage_id, from_since, at, actor)
SELECT :org, d.id, d.stage_id, s.id, d.stage_since, {_MOVED_AT}, :actor
FROM incoming_deals i JOIN deals d ON d.id = i.deal_id JOIN stages s ON s.org_id = :org AND s.name = i.stage
WHERE i.outcome = 'updated' AND d.stage_id <> s.id
"""


def _update_statement(fields: frozenset[str]) -> str:
    given = {"account_id": "a.id", "owner_id": "o.id"}
    sets = [f"{c} = {given.get(c, 'i.' + c)}" for c, fed in _FED_BY.items() if fields.intersection(fed)]
    # a later stage than any before is the furthest one now; stages are few, so the sub-selects cost nothing
    sets += [
        "title = i.title",
        "stage_id = s.id",
        "status = i.status",
        "furthest_stage_id = CASE WHEN f.id IS NOT NULL AND coalesce((SELECT p.position FROM stages p "
        "WHERE p.id = d.furthest_stage_id), -1) < f.position THEN f.id ELSE d.furthest_stage_id END",
        f"stage_since = CASE WHEN d.stage_id <> s.id THEN {_MOVED_AT} "
        "WHEN i.status <> 'open' THEN coalesce(i.closed_at, d.stage_since) ELSE coalesce(i.stage_since, d.stage_since) END",
        "closed_at = CASE WHEN i.status = 'open' THEN NULL "
        "ELSE coalesce(i.closed_at, d.closed_at, CASE WHEN d.stage_id <> s.id THEN CAST(:now AS timestamptz) END) END",
        f"last_activity_at = greatest(d.last_activity_at, i.last_activity_at, CASE WHEN d.stage_id <> s.id THEN "
        f"least({_MOVED_AT}, :now) END)",
        "row_hash = i.row_hash",
        "import_id = :import_id",
        "updated_at = :now",
        "demo = false",
    ]
    return (
        f"UPDATE deals d SET {', '.join(sets)} FROM incoming_deals i "
        "LEFT JOIN accounts a ON a.org_id = :org AND a.name = i.account "
        "LEFT JOIN owners o ON o.org_id = :org AND o.name = i.owner "
        "JOIN stages s ON s.org_id = :org AND s.name = i.stage "
        "LEFT JOIN stages f ON f.org_id = :org AND f.name = i.furthest "
        "WHERE d.id = i.deal_id AND i.outcome = 'updated'"
    )


def known_stages(session: Session, org_id: UUID) -> list[tuple[str, str]]:
    """(name, status) of the stages there are, in pipeline order."""
    found = session.execute(text("SELECT name, status FROM stages WHERE org_id = :org ORDER BY position, id"), {"org": org_id})
    return [(r.name, r.status) for r in found]


def ensure_stages(session: Session, org_id: UUID, new: Mapping[str, str], wanted: tuple[str, ...] = ()) -> None:
    """Create the stages that are missing (name → status) and give every stage its place in the order."""
    existing = known_stages(session, org_id)
    status = {**new, **dict(existing)}
    fresh = {n: s for n, s in new.items() if n not in dict(existing)}
    ordered = stage_words.in_order(existing, fresh, wanted)
    open_count = sum(1 for n in ordered if status[n] == "open")
    rows = [
        {
            "org": org_id, "name": name, "position": place, "status": status[name],
            "probability": stage_words.default_probability(place, open_count, status[name]),
        }
        for place, name in enumerate(ordered)
    ]  # fmt: skip
    if not rows:
        return
    session.execute(
        text(
            "INSERT INTO stages (org_id, name, position, status, probability_percent) "
            "VALUES (:org, :name, :position, :status, :probability) "
            "ON CONFLICT (org_id, name) DO UPDATE SET position = excluded.position"
        ),
        rows,
    )
    session.execute(
        text("UPDATE stages SET demo = false WHERE org_id = :org AND demo AND name = ANY(:names)"),
        {"org": org_id, "names": list(new)},
    )


def known_names(session: Session, org_id: UUID) -> dict[str, list[str]]:
    """Spellings there are, most used first: account, owner and product."""
    found = session.execute(
        text(
            "SELECT 'account' AS what, name, 0 AS times FROM accounts WHERE org_id = :org "
            "UNION ALL SELECT 'owner', name, 0 FROM owners WHERE org_id = :org "
            "UNION ALL SELECT 'product', product, count(*) FROM deals "
            "WHERE org_id = :org AND product IS NOT NULL GROUP BY product "
            "ORDER BY what, times DESC, name"
        ),
        {"org": org_id},
    )
    made: dict[str, list[str]] = {"account": [], "owner": [], "product": []}
    for row in found:
        made[row.what].append(row.name)
    return made
