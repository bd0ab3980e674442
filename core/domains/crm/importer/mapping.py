"""Which column holds which field of a deal: guessed from header names and values, overridden by a person. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.domains.crm.importer import parsing, stages
from core.domains.crm.importer.shapes import ColumnUse
from core.errors import BadInput


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a deal that a column can feed. `names` are usual header names, best first; `kind` is its form."""

    key: str
    label: str
    kind: str
    names: tuple[str, ...]


FIELDS: tuple[Field, ...] = (
    Field("external_id", "Deal id", "id", (
        "deal id", "opportunity id", "record id", "id", "external id", "deal number", "opportunity number", "deal no",
        "record id hubspot", "opp id", "uuid", "key", "reference", "ref", "lead id",
    )),
    Field("title", "Title", "text", (
        "title", "deal title", "deal name", "opportunity name", "name", "opportunity", "deal", "subject", "topic",
    )),
    Field("stage", "Stage", "stage", (
        "stage", "deal stage", "stage name", "sales stage", "pipeline stage", "opportunity stage", "phase", "step",
    )),
    Field("status", "Status", "status", ("status", "deal status", "state", "outcome", "opportunity status", "won lost")),
    Field("value", "Value", "money", (
        "value", "deal value", "amount", "close value", "deal amount", "revenue", "deal size", "opportunity amount",
        "total value", "price", "expected revenue", "est revenue", "amount usd", "contract value", "acv", "arr", "total",
    )),
    Field("currency", "Currency", "currency", (
        "currency", "currency of value", "value currency", "currency code", "deal currency", "amount currency",
        "currency iso code",
    )),
    Field("account", "Account", "text", (
        "account", "account name", "company", "company name", "organization", "organisation", "organization name",
        "customer", "client", "associated company", "customer name", "client name", "business", "org name",
    )),
    Field("owner", "Owner", "text", (
        "owner", "deal owner", "sales agent", "opportunity owner", "owner name", "sales rep", "salesperson", "rep",
        "account executive", "assigned to", "agent", "seller", "sales person", "user", "responsible",
    )),
    Field("product", "Product", "text", ("product", "product name", "deal type", "service", "package", "item", "plan")),
    Field("opened", "Opened", "date", (
        "engage date", "opened", "created", "create date", "created date", "date created", "created at", "created on",
        "deal created", "open date", "opened at", "start date", "creation date", "add time", "opened date", "created time",
    )),
    Field("stage_since", "In stage since", "date", (
        "stage since", "last stage change", "last stage change date", "stage change date", "date entered stage",
        "entered stage", "stage entered", "stage date", "stage change time",
    )),
    Field("closed", "Closed", "date", (
        "close date", "closed", "closed date", "closed at", "date closed", "actual close date", "close time", "closed on",
        "closing date", "end date",
    )),
    Field("won_at", "Won on", "date", ("won time", "won date", "won on", "date won", "won at")),
    Field("lost_at", "Lost on", "date", ("lost time", "lost date", "lost on", "date lost", "lost at")),
    Field("expected_close", "Expected close", "date", (
        "expected close date", "expected close", "estimated close date", "forecast close date", "target close date",
        "expected closing date", "est close date", "anticipated close date", "expected closing",
    )),
    Field("last_activity", "Last activity", "date", (
        "last activity date", "last activity", "last contacted", "last touch", "last modified date", "last activity at",
        "last contact", "last contact date", "last modified", "modified", "update time", "updated at", "last updated",
    )),
    Field("contact_name", "Contact", "text", (
        "contact", "contact name", "contact person", "primary contact", "person", "associated contact",
    )),
    Field("contact_email", "Contact email", "email", (
        "contact email", "email", "e mail", "email address", "primary contact email", "person email",
    )),
)  # fmt: skip
BY_KEY = {f.key: f for f in FIELDS}
REQUIRED = ("external_id", "stage")
DATES = tuple(f.key for f in FIELDS if f.kind == "date")
_PREFIX = re.compile(r"^(?:deal|opportunity|opp|lead)\s*[-:.]\s*", re.IGNORECASE)
_ID_SHAPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/#-]{0,63}")


def normal(name: str) -> str:
    """A header name in plain words: lower case, camelCase split, prefixes such as "Deal - " taken off."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", _PREFIX.sub("", name.strip()))
    return " ".join(re.findall(r"[^\W_]+", spaced.lower()))


def _share(values: Sequence[str], fits: Callable[[str], bool]) -> float:
    return sum(1 for v in values if fits(v)) / len(values) if values else 0.0


def _is_money(value: str) -> bool:
    for mark in ".,":
        try:
            parsing.parse_money(value, mark)
        except ValueError:
            continue
        return True
    return False


def _values_fit(kind: str, values: Sequence[str]) -> float:
    """How well sample values suit a kind of field, 0 to 1; an empty column suits every kind a little."""
    if not values:
        return 0.5
    if kind == "date":
        return _share(values, parsing.looks_like_date)
    if kind == "money":
        return 0.0 if _share(values, parsing.looks_like_date) > 0.5 else _share(values, _is_money)
    if kind == "email":
        return _share(values, lambda v: "@" in v)
    if kind == "currency":
        return _share(values, lambda v: v.strip().upper() in parsing.CODES)
    if kind == "id":
        return _share(values, lambda v: _ID_SHAPE.fullmatch(v.strip()) is not None) * len(set(values)) / len(values)
    if kind == "status":
        return _share(values, lambda v: stages.status_word(v) is not None)
    if kind == "stage":
        return 1.0 if len(set(values)) <= max(30, len(values) // 4) else 0.0
    return 0.2 if _share(values, parsing.looks_like_date) > 0.5 else 1.0


def _name_score(field: Field, name: str) -> float:
    if name in field.names:
        return 1.0 - 0.01 * field.names.index(name)
    words = set(name.split())
    best = 0.0
    for known in field.names:
        known_words = set(known.split())
        if len(known_words) > 1 and known_words <= words:
            best = max(best, 0.75 - 0.05 * len(words - known_words))
    head = field.names[0].split()[-1] if field.kind not in ("text", "id") else None
    if head and head in words:
        best = max(best, 0.4)
    return best


def guess(header: Sequence[str], sample: Sequence[Sequence[str]]) -> dict[str, tuple[int, str]]:
    """Field → (column index, why), best fit first, each column used once. `sample` are some rows of cells."""
    columns = [[r[i] for r in sample if i < len(r) and not parsing.is_blank(r[i])] for i in range(len(header))]
    scored: list[tuple[float, str, int]] = []
    for index, name in enumerate(header):
        plain = normal(name)
        for field in FIELDS:
            by_name = _name_score(field, plain) if plain else 0.0
            fit = _values_fit(field.kind, columns[index]) if by_name else 0.0
            if by_name * fit >= 0.3:
                scored.append((by_name * (0.5 + fit / 2), field.key, index))
    found: dict[str, tuple[int, str]] = {}
    taken: set[int] = set()
    for _score, key, index in sorted(scored, key=lambda s: (-s[0], s[2])):
        if key not in found and index not in taken:
            found[key] = (index, "its name")
            taken.add(index)
    _guess_by_values(found, taken, columns)
    return found


def _guess_by_values(found: dict[str, tuple[int, str]], taken: set[int], columns: Sequence[Sequence[str]]) -> None:
    """Fill what names did not settle, where values alone are telling enough."""

    def best(score: Callable[[Sequence[str]], float], least: float) -> int | None:
        free = [(score(c), -i) for i, c in enumerate(columns) if i not in taken and len(c) >= 3]
        top = max(free, default=(0.0, 0))
        return -top[1] if top[0] >= least else None

    def is_stage(values: Sequence[str]) -> float:
        return _share(values, lambda v: stages.is_stage_word(v)) if len(set(values)) > 1 else 0.0

    def is_id(values: Sequence[str]) -> float:
        if _share(values, parsing.looks_like_date) > 0.2 or _share(values, lambda v: any(c.isdigit() for c in v)) < 0.9:
            return 0.0
        return _values_fit("id", values)

    for key, score, least in (("stage", is_stage, 0.5), ("external_id", is_id, 0.999)):
        if key in found or (key == "stage" and "status" in found):
            continue
        index = best(score, least)
        if index is not None:
            found[key] = (index, "its values")
            taken.add(index)


def _column_index(header: Sequence[str], column: str) -> int:
    exact = [i for i, h in enumerate(header) if h == column]
    loose = exact or [i for i, h in enumerate(header) if h and normal(h) == normal(column)]
    if not loose:
        shown = ", ".join(f"“{h}”" for h in header if h)
        raise BadInput(f"The file has no column “{column}”.", f"Its columns are {shown}.")
    if len(loose) > 1:
        places = " and ".join(str(i + 1) for i in loose)
        raise BadInput(f"The file has the column “{column}” more than once (columns {places}).", "Rename one of them.")
    return loose[0]


def decide(
    header: Sequence[str], sample: Sequence[Sequence[str]], wanted: Mapping[str, str]
) -> tuple[dict[str, int], list[ColumnUse]]:
    """The columns to read: field → index, and how to show that. A person's `wanted` (field → column name) wins.

    Raises BadInput when the id or the stage has no column, when a wanted column is not there, or when a used
    column's name stands in the header twice.
    """
    for key in wanted:
        if key not in BY_KEY:
            raise BadInput(f"There is no field “{key}”.", f"The fields are {', '.join(BY_KEY)}.")
    chosen = {k: v for k, v in guess(header, sample).items() if k not in wanted}
    asked = {key: _column_index(header, column) for key, column in wanted.items() if column}
    chosen = {k: v for k, v in chosen.items() if v[0] not in asked.values()}
    chosen.update({k: (i, "you said so") for k, i in asked.items()})
    if "stage" not in chosen and "status" in chosen:
        chosen["stage"] = chosen["status"]
    _require(header, chosen)
    columns = {key: chosen[key][0] for key in BY_KEY if key in chosen}
    uses = []
    for key, index in columns.items():
        example = next((r[index] for r in sample if index < len(r) and not parsing.is_blank(r[index])), "")
        uses.append(ColumnUse(key, BY_KEY[key].label, header[index], chosen[key][1], sample=example.strip()[:60]))
    return columns, uses


def _require(header: Sequence[str], chosen: Mapping[str, tuple[int, str]]) -> None:
    missing = [BY_KEY[k].label.lower() for k in REQUIRED if k not in chosen]
    if missing:
        shown = ", ".join(f"“{h}”" for h in header if h)
        keys = " ".join(f"--map {k}=COLUMN" for k in REQUIRED if k not in chosen)
        raise BadInput(
            f"No column of the file looks like the {' or the '.join(missing)}.",
            f"Say which it is with {keys}; the columns are {shown}.",
        )
    for index, _why in chosen.values():
        places = [i + 1 for i, h in enumerate(header) if h.casefold() == header[index].casefold()]
        if len(places) > 1:
            raise BadInput(
                f"The header has “{header[index]}” more than once (columns {' and '.join(map(str, places))}).",
                "Rename or remove one of them, so that it is clear which one counts.",
            )
