"""Money as integer minor units with a currency. Minor-unit digits come from ISO 4217."""

from decimal import ROUND_HALF_EVEN, Decimal

_ZERO_DIGITS = frozenset({"JPY", "KRW", "VND", "CLP", "ISK", "XAF", "XOF", "PYG", "UGX"})
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CAD": "CA$", "AUD": "A$"}


def digits(currency: str) -> int:
    """How many decimal digits the currency has."""
    return 0 if currency.upper() in _ZERO_DIGITS else 2


def to_minor(amount: Decimal | int | str, currency: str) -> int:
    """A major-unit amount as integer minor units, half to even."""
    scaled = Decimal(amount).scaleb(digits(currency))
    return int(scaled.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def to_major(minor: int, currency: str) -> Decimal:
    """Integer minor units as a major-unit Decimal."""
    return Decimal(minor).scaleb(-digits(currency))


def show(minor: int | None, currency: str = "USD", *, compact: bool = False) -> str:
    """For a person: `$10,005,534`, `$4,821.50`, compact `$10.0M`. None shows as an en dash."""
    if minor is None:
        return "–"
    sign = "-" if minor < 0 else ""
    value = abs(to_major(minor, currency))
    symbol = _SYMBOLS.get(currency.upper(), currency.upper() + " ")
    if compact:
        for limit, suffix in ((Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 4, "k")):
            if value >= limit:
                step = Decimal(1000) if suffix == "k" else limit
                return f"{sign}{symbol}{value / step:,.1f}{suffix}"
    whole = value == value.to_integral_value()
    return f"{sign}{symbol}{value:,.0f}" if whole else f"{sign}{symbol}{value:,.{digits(currency)}f}"
