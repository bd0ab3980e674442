"""Two optional files beside the deals: accounts (sector, employees, country) and owners. They only enrich by name."""

from collections.abc import Mapping
from itertools import islice
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.domains.crm.importer import parsing, reading
from core.domains.crm.importer.load import known_names
from core.domains.crm.importer.mapping import normal
from core.domains.crm.importer.names import Spellings
from core.domains.crm.importer.reading import Source
from core.errors import BadInput

_ACCOUNT_COLUMNS = {
    "name": ("account", "account name", "company", "company name", "name", "organization", "organization name", "customer"),
    "industry": ("sector", "industry", "vertical", "segment"),
    "employees": ("employees", "number of employees", "headcount", "employee count", "size"),
    "website": ("website", "domain", "url", "company domain name", "web site"),
    "country": ("office location", "country", "location", "country region", "billing country"),
}
_OWNER_COLUMNS = {
    "name": ("sales agent", "owner", "name", "sales rep", "rep", "agent", "salesperson", "user", "full name", "owner name"),
}
# words a person would write differently; only whole values are replaced
_INDUSTRY_TYPOS = {
    "technolgy": "technology", "tecnology": "technology", "techonology": "technology", "finanace": "finance",
    "finacial": "financial", "marketting": "marketing", "retial": "retail", "medcial": "medical", "sofware": "software",
    "telecomunications": "telecommunications", "entertainement": "entertainment", "healtcare": "healthcare",
}  # fmt: skip
_COUNTRY_TYPOS = {"philipines": "Philippines", "phillipines": "Philippines", "untied states": "United States"}
_LIMIT = 100_000


def _table(source: Source, names: Mapping[str, tuple[str, ...]], what: str) -> list[dict[str, str]]:
    layout = reading.inspect(source)
    plain = [normal(h) for h in layout.header]
    columns = {key: next((plain.index(n) for n in known if n in plain), None) for key, known in names.items()}
    if columns["name"] is None:
        raise BadInput(
            f"The file of {what} has no column for the name.",
            f"Name one of its columns {' or '.join(names['name'][:3])}; it has {', '.join(h for h in layout.header if h)}.",
        )
    made = []
    for row in islice(reading.rows(source, layout), _LIMIT):
        if row.problem:
            raise BadInput(f"Line {row.line} of the file of {what} is broken: {row.problem}", "Correct it and import again.")
        cells = {k: " ".join(row.cells[i].split()) for k, i in columns.items() if i is not None}
        if not parsing.is_blank(cells["name"]):
            made.append({k: "" if parsing.is_blank(v) else v for k, v in cells.items()})
    return made


def clean_industry(word: str) -> str:
    """An industry without the usual slips of the pen ("technolgy")."""
    return _INDUSTRY_TYPOS.get(word.casefold(), word)


def clean_country(word: str) -> str:
    """A country without the usual slips of the pen ("Philipines")."""
    return _COUNTRY_TYPOS.get(word.casefold(), word)


def check(accounts: Source | None, owners: Source | None) -> list[str]:
    """Read both files so that a broken one is found before anything is written; says what they hold."""
    notes = []
    if accounts is not None:
        rows = _table(accounts, _ACCOUNT_COLUMNS, "accounts")
        notes.append(f"The file of accounts describes {len(rows):,} accounts.")
        typos = sorted({r["industry"] for r in rows if clean_industry(r.get("industry", "")) != r.get("industry", "")})
        notes += [f"The sector “{t}” is stored as “{clean_industry(t)}”." for t in typos]
    if owners is not None:
        notes.append(f"The file of owners names {len(_table(owners, _OWNER_COLUMNS, 'owners')):,} people.")
    return notes


_UPSERT_ACCOUNT = text(
    "INSERT INTO accounts (org_id, name, industry, employees, website, country) "
    "VALUES (:org, :name, :industry, :employees, :website, :country) ON CONFLICT (org_id, name) DO UPDATE SET "
    "industry = coalesce(excluded.industry, accounts.industry), "
    "employees = coalesce(excluded.employees, accounts.employees), "
    "website = coalesce(excluded.website, accounts.website), "
    "country = coalesce(excluded.country, accounts.country), demo = false"
)
_UPSERT_OWNER = text(
    "INSERT INTO owners (org_id, name) VALUES (:org, :name) "
    "ON CONFLICT (org_id, name) DO UPDATE SET demo = false WHERE owners.demo"
)


def apply(session: Session, accounts: Source | None, owners: Source | None, org_id: UUID) -> None:
    """Add what the files say; a blank cell never wipes what is known."""
    known = known_names(session, org_id)
    if accounts is not None:
        rows = _table(accounts, _ACCOUNT_COLUMNS, "accounts")
        spell = Spellings(known["account"], {r["name"]: 1 for r in rows}, loose=False)
        values = [
            {
                "org": org_id,
                "name": spell.of(r["name"])[:500],
                "industry": clean_industry(r.get("industry", ""))[:200] or None,
                "employees": parsing.parse_whole(r.get("employees", "")),
                "website": r.get("website", "")[:300] or None,
                "country": clean_country(r.get("country", ""))[:200] or None,
            }
            for r in rows
        ]
        if values:
            session.execute(_UPSERT_ACCOUNT, values)
    if owners is not None:
        people = _table(owners, _OWNER_COLUMNS, "owners")
        spell = Spellings(known["owner"], {r["name"]: 1 for r in people}, loose=False)
        if people:
            session.execute(_UPSERT_OWNER, [{"org": org_id, "name": spell.of(r["name"])[:500]} for r in people])
