"""Reading dates, money and numbers as people and CRMs write them. Pure; no locale of the machine plays a part.

What one cell leaves open (is 03/04 March or April? is 1.234 a thousand?) the whole column decides: collect
`DateEvidence` and `MoneyEvidence` over all its values, then read each cell with the decision.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

MONTHS = {
    "jan": 1, "january": 1, "feb": 2, "february": 2, "mar": 3, "march": 3, "apr": 4, "april": 4, "may": 5, "jun": 6,
    "june": 6, "jul": 7, "july": 7, "aug": 8, "august": 8, "sep": 9, "sept": 9, "september": 9, "oct": 10,
    "october": 10, "nov": 11, "november": 11, "dec": 12, "december": 12,
}  # fmt: skip
BLANKS = frozenset({"", "-", "–", "—", "n/a", "na", "null", "none", "nil", "(blank)", "(none)", "#n/a", "not set", "?"})
MAX_AMOUNT = 10_000_000_000_000
"""Ten trillion in major units: beyond it a deal's value is a mistake, and sums of it would leave 64 bits."""

_TIME = r"(?:[T\s,]+(?:at\s+)?(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)?\s*([ap]\.?m\.?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
_ISO = re.compile(rf"(\d{{4}})[-/.](\d{{1,2}})[-/.](\d{{1,2}}){_TIME}", re.IGNORECASE)
_NUMERIC = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}|\d{{2}}){_TIME}", re.IGNORECASE)
_DAY_MONTH = re.compile(
    rf"(\d{{1,2}})(?:st|nd|rd|th)?\.?[\s-]+([A-Za-z]{{3,9}})\.?,?[\s-]+(\d{{4}}|\d{{2}}){_TIME}", re.IGNORECASE
)
_MONTH_DAY = re.compile(rf"([A-Za-z]{{3,9}})\.?[\s-]+(\d{{1,2}})(?:st|nd|rd|th)?,?[\s-]+(\d{{4}}){_TIME}", re.IGNORECASE)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_WEEKDAY = re.compile(r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+", re.IGNORECASE)


def is_blank(cell: str) -> bool:
    """Whether the cell says nothing: empty, a dash, n/a, null …"""
    text = cell.strip()
    return not text or (len(text) <= 7 and text.lower() in BLANKS)


@dataclass
class DateEvidence:
    """What the values of one column say about the order of day and month in dates like 3/4/2026."""

    day_first: int = 0
    """Dates whose first number is over 12."""
    month_first: int = 0
    """Dates whose second number is over 12."""
    open_: int = 0
    """Dates that could be either."""

    def see(self, cell: str) -> None:
        match = _NUMERIC.match(cell.strip())
        if match is None or match[2] == ".":
            return
        first, second = int(match[1]), int(match[3])
        if first > 12 >= second:
            self.day_first += 1
        elif second > 12 >= first:
            self.month_first += 1
        elif first != second and first <= 12 and second <= 12:
            self.open_ += 1

    @property
    def order(self) -> str | None:
        """The order, mdy or dmy; None when nothing decides it."""
        if self.day_first == self.month_first:
            return None
        return "dmy" if self.day_first > self.month_first else "mdy"


def _full_year(text: str) -> int:
    year = int(text)
    if len(text) == 4:
        return year
    return 2000 + year if year < 70 else 1900 + year


def _clock(groups: tuple[str | None, ...]) -> tuple[int, int, int] | None:
    hour_text, minute, second, half = groups[:4]
    if hour_text is None or minute is None:
        return None
    hour = int(hour_text)
    if half:
        if not 1 <= hour <= 12:
            raise ValueError("hour")
        hour = hour % 12 + (12 if half[0].lower() == "p" else 0)
    return hour, int(minute), int(second or 0)


def _offset(text: str) -> timedelta:
    if text.upper() in ("Z", "UTC", "GMT"):
        return timedelta(0)
    sign = -1 if text[0] == "-" else 1
    return sign * timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))


def _instant(year: int, month: int, day: int, rest: tuple[str | None, ...], zone: ZoneInfo) -> datetime:
    time_of_day = _clock(rest) or (0, 0, 0)
    if not 1900 <= year <= 2200:
        raise ValueError("year")
    zone_text = rest[4]
    if zone_text:
        return datetime(year, month, day, *time_of_day, tzinfo=UTC) - _offset(zone_text)
    return datetime(year, month, day, *time_of_day, tzinfo=zone).astimezone(UTC)


def _date_parts(text: str, order: str) -> tuple[int, int, int, tuple[str | None, ...]] | None:
    if match := _ISO.fullmatch(text):
        return int(match[1]), int(match[2]), int(match[3]), match.groups()[3:]
    if match := _NUMERIC.fullmatch(text):
        first, second = int(match[1]), int(match[3])
        day, month = (first, second) if match[2] == "." or order == "dmy" else (second, first)
        return _full_year(match[4]), month, day, match.groups()[4:]
    if match := _DAY_MONTH.fullmatch(text):
        return _full_year(match[3]), MONTHS.get(match[2].lower(), 0), int(match[1]), match.groups()[3:]
    if match := _MONTH_DAY.fullmatch(text):
        return int(match[3]), MONTHS.get(match[1].lower(), 0), int(match[2]), match.groups()[3:]
    if match := _COMPACT.fullmatch(text):
        return int(match[1]), int(match[2]), int(match[3]), (None,) * 5
    return None


def parse_date(cell: str, order: str, zone: ZoneInfo) -> datetime | None:
    """The instant a cell names, in UTC; None when it is blank. A date without a time is midnight in `zone`.

    `order` is "mdy" or "dmy" and settles dates like 3/4/2026. Raises ValueError when it is no date.
    """
    if is_blank(cell):
        return None
    text = _WEEKDAY.sub("", " ".join(cell.split()))
    parts = _date_parts(text, order)
    if parts is None:
        raise ValueError("not a date")
    try:
        return _instant(*parts, zone)
    except OverflowError:
        raise ValueError("not a date") from None


def looks_like_date(cell: str) -> bool:
    """Whether the cell has the shape of a date in any form we read (a bare number does not)."""
    text = _WEEKDAY.sub("", " ".join(cell.split()))
    return not text.isdigit() and _date_parts(text, "mdy") is not None


# money ------------------------------------------------------------------------------------------------------------

SYMBOLS = {
    "US$": "USD", "CA$": "CAD", "C$": "CAD", "A$": "AUD", "AU$": "AUD", "NZ$": "NZD", "HK$": "HKD", "S$": "SGD", "R$": "BRL",
    "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW", "zł": "PLN",
}  # fmt: skip
_DOLLARS = frozenset({"USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN"})
CODES = frozenset(
    {
        "USD", "EUR", "GBP", "JPY", "CAD", "AUD", "NZD", "CHF", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF",
        "INR", "CNY", "KRW", "SGD", "HKD", "MXN", "BRL", "ZAR", "ILS", "TRY", "AED", "SAR", "THB", "IDR",
    }
)  # fmt: skip
_SCALE = {"k": 3, "m": 6, "mm": 6, "mio": 6, "mn": 6, "b": 9, "bn": 9}
_NUMBER = re.compile(r"\d[\d.,]*|[.,]\d+")
_SPACES = re.compile(r"[\s\u00a0\u202f\u2009'’_]")


@dataclass
class MoneyEvidence:
    """What the values of one column say about its decimal mark."""

    comma_decimal: int = 0
    point_decimal: int = 0
    open_comma: int = 0
    """Values like 1,234 that leave it open."""
    open_point: int = 0
    """Values like 1.234 that leave it open."""

    def see(self, cell: str) -> None:
        found = _NUMBER.search(_SPACES.sub("", cell))
        if found is None:
            return
        number = found[0]
        comma, point = number.count(","), number.count(".")
        if comma and point:
            if number.rfind(",") > number.rfind("."):
                self.comma_decimal += 1
            else:
                self.point_decimal += 1
        elif comma or point:
            self._see_one(number, "," if comma else ".", comma or point)

    def _see_one(self, number: str, mark: str, times: int) -> None:
        whole, _, after = number.rpartition(mark)
        if times > 1:
            is_decimal = False
        elif len(after) == 3 and whole.strip("0") and len(whole) <= 3:
            if mark == ",":
                self.open_comma += 1
            else:
                self.open_point += 1
            return
        else:
            is_decimal = True
        if (mark == ",") == is_decimal:
            self.comma_decimal += 1
        else:
            self.point_decimal += 1

    @property
    def decimal_mark(self) -> str:
        """A comma or a point. Values like 1.234 alone are read as thousands: money seldom has three decimals."""
        if self.comma_decimal != self.point_decimal:
            return "," if self.comma_decimal > self.point_decimal else "."
        return "," if self.open_point > self.open_comma else "."

    @property
    def is_open(self) -> bool:
        """Nothing but our own assumption settles the values that could be read either way."""
        return self.comma_decimal == self.point_decimal and bool(self.open_comma or self.open_point)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in major units, and the currency its cell names, if any."""

    amount: Decimal
    currency: str | None


def _currency(text: str, home: str) -> tuple[str, str | None]:
    for symbol, code in SYMBOLS.items():
        if symbol in text:
            return text.replace(symbol, "", 1), code
    if "$" in text:
        return text.replace("$", "", 1), home if home in _DOLLARS else "USD"
    letters = re.search(r"(?<![A-Za-z])([A-Za-z]{3})(?![A-Za-z])", text)
    if letters and letters[1].upper() in CODES:
        return text.replace(letters[1], "", 1), letters[1].upper()
    return text, None


def _digits(number: str, decimal_mark: str) -> str:
    group_mark = "." if decimal_mark == "," else ","
    whole, mark, fraction = number.partition(decimal_mark)
    if mark and (group_mark in fraction or decimal_mark in fraction):
        raise ValueError("not an amount")
    groups = whole.split(group_mark)
    if len(groups) > 1 and (
        not 1 <= len(groups[0]) <= 3 or any(len(g) not in (2, 3) for g in groups[1:]) or len(groups[-1]) != 3
    ):
        raise ValueError("not an amount")
    return "".join(groups) + ("." + fraction if fraction else "")


def parse_money(cell: str, decimal_mark: str = ".", home: str = "USD") -> Money | None:
    """The amount a cell names; None when it is blank. Raises ValueError when it is no amount.

    Reads $1,234.50 · 1.234,50 € · (500) · -500 · 500- · 12k · 1.2M · USD 1,000 · 1 234,50 · 1'234.50. `home` is the
    currency a bare $ means.
    """
    if is_blank(cell):
        return None
    text, currency = _currency(cell.strip(), home)
    text = _SPACES.sub("", text).replace("−", "-")
    negative = False
    if text.startswith("(") and text.endswith(")"):
        negative, text = True, text[1:-1]
    if text[:1] in "+-":
        negative, text = negative or text[:1] == "-", text[1:]
    elif text.endswith("-"):
        negative, text = True, text[:-1]
    found = _NUMBER.match(text)
    if found is None:
        raise ValueError("not an amount")
    suffix = text[found.end() :].lower()
    if suffix and suffix not in _SCALE:
        raise ValueError("not an amount")
    try:
        amount = Decimal(_digits(found[0], decimal_mark) or "x").scaleb(_SCALE.get(suffix, 0))
    except InvalidOperation:
        raise ValueError("not an amount") from None
    return Money(-amount if negative else amount, currency)


def parse_whole(cell: str) -> int | None:
    """A whole number such as a head count ("1,200"); None when blank or not one."""
    digits = re.sub(r"[\s,.'’]", "", cell.strip())
    return int(digits) if digits.isdecimal() and len(digits) <= 9 else None


def to_date(at: datetime, zone: ZoneInfo) -> date:
    """The calendar day of an instant in `zone`."""
    return at.astimezone(zone).date()
