"""One row of cells to one deal, or the reason why not. Pure, apart from remembering what it has read before."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar
from zoneinfo import ZoneInfo

from core.domains.crm.importer import parsing, stages
from core.domains.crm.importer.mapping import BY_KEY
from core.domains.crm.importer.names import Spellings
from core.domains.crm.importer.reading import Row
from core.domains.crm.importer.shapes import ParsedDeal
from core.domains.crm.importer.survey import Readings
from core.domains.crm.models import DealStatus
from core.kit import money

T = TypeVar("T")
_MEMO_LIMIT = 50_000
MAX_ID, MAX_TEXT = 200, 500


class RowError(Exception):
    """Why a row is turned away, in a sentence for people."""


@dataclass
class RowReader:
    """Reads rows under the decisions taken for the file.

    `status_of`: stage name → open, won or lost; `home` is the currency of bare amounts; `now` tells past from future.
    """

    header: tuple[str, ...]
    columns: Mapping[str, int]
    readings: Readings
    stage_spelling: Spellings
    status_of: Mapping[str, str]
    home: str
    zone: ZoneInfo
    now: datetime
    _seen: dict[str, int] = field(default_factory=dict)
    _dates: dict[tuple[str, str], datetime | None] = field(default_factory=dict)
    _money: dict[str, tuple[int, str] | None] = field(default_factory=dict)

    def read(self, row: Row) -> ParsedDeal:
        """The deal of this row. Raises RowError with the reason when it is turned away."""
        if row.problem:
            raise RowError(row.problem)
        cells = row.cells
        external_id = self._text(cells, "external_id", MAX_ID)
        if external_id is None:
            raise RowError(f"The row has no {self._column('external_id')}.")
        deal = self._deal(row, cells, external_id)
        first = self._seen.setdefault(external_id, row.line)
        if first != row.line:
            raise RowError(f"The id “{external_id}” stands in line {first} already.")
        return deal

    def _deal(self, row: Row, cells: list[str], external_id: str) -> ParsedDeal:
        in_stage = self._text(cells, "stage", MAX_ID)
        if in_stage is None:
            raise RowError(f"The row has no {self._column('stage')}.")
        in_stage = self.stage_spelling.of(in_stage)
        stage, status = self._standing(cells, in_stage)
        dates = {key: self._date(cells, key) for key in self.readings.orders}
        closed_at, expected = self._closing(dates, status)
        value = self._value(cells)
        known = [
            at
            for at in (dates.get("opened"), dates.get("stage_since"), dates.get("last_activity"), closed_at)
            if at is not None and at <= self.now
        ]
        deal = ParsedDeal(
            line=row.line,
            external_id=external_id,
            title=self._text(cells, "title"),
            account=self._text(cells, "account"),
            owner=self._text(cells, "owner"),
            stage=stage,
            furthest=in_stage if self.status_of[in_stage] == DealStatus.OPEN else None,
            status=status,
            product=self._text(cells, "product"),
            contact_name=self._text(cells, "contact_name"),
            contact_email=self._text(cells, "contact_email"),
            value_minor=value[0] if value else None,
            currency=value[1] if value else self.home,
            opened_at=dates.get("opened"),
            stage_since=dates.get("stage_since"),
            last_activity_at=max(known, default=None),
            expected_close_on=expected,
            closed_at=closed_at,
        )
        deal.row_hash = fingerprint(deal, (dates[k] for k in sorted(dates)))
        return deal

    def _standing(self, cells: list[str], in_stage: str) -> tuple[str, str]:
        """(stage, status): a deal that is won or lost stands in the won or lost stage, wherever it was before."""
        status = self.status_of[in_stage]
        if "status" not in self.columns or self.columns["status"] == self.columns["stage"]:
            return in_stage, status
        said = self._text(cells, "status")
        word = stages.status_word(said) if said else None
        if said and word is None:
            raise RowError(f"“{said}” in {self._column('status')} says neither open, won nor lost.")
        if word is None or word == status:
            return in_stage, status
        if word == DealStatus.OPEN:
            raise RowError(f"The row says open, but its stage “{in_stage}” is {status}.")
        target = next((name for name, s in self.status_of.items() if s == word), None)
        return target or word.capitalize(), word

    def _closing(self, dates: Mapping[str, datetime | None], status: str) -> tuple[datetime | None, date | None]:
        """(closed at, expected close): a close date of an open deal is the expected one, as CRMs export it."""
        closed, expected = dates.get("closed"), dates.get("expected_close")
        if status == DealStatus.OPEN:
            expected = expected or closed
            closed = None
        else:
            own = dates.get("won_at") if status == DealStatus.WON else dates.get("lost_at")
            closed = own or closed
        return closed, parsing.to_date(expected, self.zone) if expected else None

    def _value(self, cells: list[str]) -> tuple[int, str] | None:
        if "value" not in self.columns:
            return None
        cell = cells[self.columns["value"]]
        if cell not in self._money:
            found = self._try(
                "value", cell, lambda: parsing.parse_money(cell, self.readings.decimal_mark, self.home), "an amount"
            )
            minor = None if found is None else self._minor(found.amount, found.currency or self.home, cell)
            if len(self._money) > _MEMO_LIMIT:
                self._money.clear()
            self._money[cell] = None if minor is None or found is None else (minor, found.currency or "")
        known = self._money[cell]
        if known is None:
            return None
        minor_units, own = known
        stated = (self._text(cells, "currency", 10) or "").upper()
        if stated and stated not in parsing.CODES:
            raise RowError(f"“{stated}” in {self._column('currency')} is not a currency code such as USD.")
        currency = stated or own or self.home
        if money.digits(currency) != money.digits(own or self.home):
            minor_units = money.to_minor(money.to_major(minor_units, own or self.home), currency)
        return minor_units, currency

    def _minor(self, amount: Decimal, currency: str, cell: str) -> int:
        if abs(amount) > parsing.MAX_AMOUNT:
            raise RowError(f"“{cell.strip()[:40]}” in {self._column('value')} is too large to be a deal's value.")
        return money.to_minor(amount, currency)

    def _date(self, cells: list[str], key: str) -> datetime | None:
        cell, order = cells[self.columns[key]], self.readings.orders[key]
        memo = (order, cell)
        if memo not in self._dates:
            if len(self._dates) > _MEMO_LIMIT:
                self._dates.clear()
            what = "a date" if order == "mdy" else "a date with the day first"
            self._dates[memo] = self._try(key, cell, lambda: parsing.parse_date(cell, order, self.zone), what)
        return self._dates[memo]

    def _try(self, key: str, cell: str, read: Callable[[], T], what: str) -> T:
        try:
            return read()
        except (ValueError, ArithmeticError):
            raise RowError(f"“{cell.strip()[:40]}” in {self._column(key)} is not {what}.") from None

    def _text(self, cells: list[str], key: str, limit: int = MAX_TEXT) -> str | None:
        index = self.columns.get(key)
        if index is None:
            return None
        text = " ".join(cells[index].split())
        if not text or parsing.is_blank(text):
            return None
        if len(text) > limit:
            if key in ("external_id", "stage"):
                raise RowError(f"The text in {self._column(key)} is longer than {limit} characters.")
            return text[: limit - 1] + "…"
        return text

    def _column(self, key: str) -> str:
        return f"“{self.header[self.columns[key]]}”" if key in self.columns else BY_KEY[key].label.lower()


def fingerprint(deal: ParsedDeal, dates: Iterable[datetime | None]) -> str:
    """Hash over the values as the source gives them, so that what the database knows meanwhile does not look like a change."""
    parts = (
        deal.external_id, deal.title, deal.account, deal.owner, deal.stage, deal.furthest, deal.status, deal.product,
        deal.contact_name, deal.contact_email, deal.value_minor, deal.currency, deal.expected_close_on, deal.closed_at,
        *dates,
    )  # fmt: skip
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()
