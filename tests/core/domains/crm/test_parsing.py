# ruff: noqa: E501  (tables of cases and of expected rows read best with one case a line)
import contextlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domains.crm.importer.parsing import DateEvidence, MoneyEvidence, is_blank, looks_like_date, parse_date, parse_money

CHICAGO = ZoneInfo("America/Chicago")
TENTH = datetime(2026, 3, 10, tzinfo=CHICAGO).astimezone(UTC)


@pytest.mark.parametrize(
    "cell",
    [
        "2026-03-10", "2026/03/10", "2026-3-10", "20260310", "3/10/2026", "03/10/2026", "3-10-2026", "10.3.2026", "10.03.26",
        "3/10/26", "10 Mar 2026", "10-Mar-2026", "10 March 2026", "10th March 2026", "Mar 10, 2026", "March 10 2026",
        "Tue 10 Mar 2026", "Tuesday, March 10, 2026", "2026-03-10 00:00", "2026-03-10T00:00:00", "3/10/2026 12:00 AM",
        "  2026-03-10 ",
    ],
)  # fmt: skip
def test_usual_forms_of_a_day_mean_its_midnight_in_the_agencys_zone(cell):
    assert parse_date(cell, "mdy", CHICAGO) == TENTH


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2026-03-10T15:30:00Z", datetime(2026, 3, 10, 15, 30, tzinfo=UTC)),
        ("2026-03-10 15:30:00.123+02:00", datetime(2026, 3, 10, 13, 30, tzinfo=UTC)),
        ("3/10/2026 3:30 PM", datetime(2026, 3, 10, 20, 30, tzinfo=UTC)),
        ("10 Mar 2026 12:05 am", datetime(2026, 3, 10, 5, 5, tzinfo=UTC)),
    ],
)
def test_times_of_day_and_offsets_are_read(cell, expected):
    assert parse_date(cell, "mdy", CHICAGO) == expected


def test_the_order_decides_what_a_slash_date_means_but_never_a_dotted_one():
    assert parse_date("4/3/2026", "dmy", CHICAGO).astimezone(CHICAGO).date() == date(2026, 3, 4)
    assert parse_date("4/3/2026", "mdy", CHICAGO).astimezone(CHICAGO).date() == date(2026, 4, 3)
    assert parse_date("4.3.2026", "mdy", CHICAGO).astimezone(CHICAGO).date() == date(2026, 3, 4)


@pytest.mark.parametrize(
    "cell", ["31/12/2026", "2026-02-30", "yesterday", "13/13/2026", "12", "10 Foo 2026", "3/10/2026 25:00", "0000-00-00", "1/1/1"]
)
def test_what_is_no_date_is_an_error_and_never_a_guess(cell):
    with pytest.raises(ValueError):
        parse_date(cell, "mdy", CHICAGO)


@pytest.mark.parametrize("cell", ["", "  ", "-", "–", "N/A", "null", "None", "#N/A"])
def test_blank_cells_say_nothing(cell):
    assert is_blank(cell)
    assert parse_date(cell, "mdy", CHICAGO) is None
    assert parse_money(cell) is None


def test_a_column_decides_the_order_of_its_dates():
    def order(*cells):
        evidence = DateEvidence()
        for cell in cells:
            evidence.see(cell)
        return evidence.order

    assert order("3/4/2026", "3/25/2026") == "mdy"
    assert order("3/4/2026", "25/3/2026") == "dmy"
    assert order("3/4/2026", "5/6/2026") is None
    assert order("25.3.2026", "2026-03-25") is None


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2069, 12, 31)).map(lambda d: d.date()),
    st.sampled_from(["%Y-%m-%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d %b %Y", "%B %d, %Y", "%m/%d/%y", "%Y%m%d", "%d-%b-%Y"]),
)
def test_every_day_survives_every_form(day, form):
    order = "dmy" if form.startswith("%d/") else "mdy"
    read = parse_date(day.strftime(form), order, CHICAGO)
    assert read.astimezone(CHICAGO).date() == day
    assert looks_like_date(day.strftime(form)) or form == "%Y%m%d"


@given(st.datetimes(datetime(1971, 1, 1), datetime(2069, 12, 31)), st.integers(-14 * 60, 14 * 60))
def test_every_instant_with_an_offset_survives(moment, minutes):
    moment = moment.replace(microsecond=0)
    sign, rest = ("-" if minutes < 0 else "+"), abs(minutes)
    text = f"{moment.isoformat()}{sign}{rest // 60:02d}:{rest % 60:02d}"
    assert parse_date(text, "mdy", CHICAGO) == moment.replace(tzinfo=UTC) - timedelta(minutes=minutes)


@given(st.text(max_size=40))
def test_no_text_makes_the_readers_fail_in_another_way(text):
    for read in (lambda: parse_date(text, "mdy", CHICAGO), lambda: parse_money(text), lambda: parse_money(text, ",")):
        with contextlib.suppress(ValueError):
            read()
    MoneyEvidence().see(text)
    DateEvidence().see(text)


@pytest.mark.parametrize(
    ("cell", "mark", "amount", "currency"),
    [
        ("$1,234.50", ".", "1234.50", "USD"), ("1.234,50 €", ",", "1234.50", "EUR"), ("(500)", ".", "-500", None),
        ("-500", ".", "-500", None), ("500-", ".", "-500", None), ("−500", ".", "-500", None), ("12k", ".", "12000", None),
        ("1.2M", ".", "1200000", None), ("USD 1,000", ".", "1000", "USD"), ("1,000 eur", ".", "1000", "EUR"),
        ("1 234,50", ",", "1234.50", None), ("1'234.50", ".", "1234.50", None), ("1 234", ".", "1234", None),
        ("£.50", ".", "0.50", "GBP"), ("1,00,000", ".", "100000", None), ("CA$5", ".", "5", "CAD"), ("0", ".", "0", None),
        ("$ (1,000.00)", ".", "-1000.00", "USD"), ("1.234", ",", "1234", None), ("1,234", ".", "1234", None), ("+7", ".", "7", None),
    ],
)  # fmt: skip
def test_usual_forms_of_money(cell, mark, amount, currency):
    read = parse_money(cell, mark)
    assert (read.amount, read.currency) == (Decimal(amount), currency)


@pytest.mark.parametrize("cell", ["abc", "12 apples", "1.2.3,4,5", "1,23", "=1+1", "$", "1e5", "12%", "--5", "1,2345"])
def test_what_is_no_amount_is_an_error(cell):
    with pytest.raises(ValueError):
        parse_money(cell, ".")


def test_a_bare_dollar_means_the_home_dollar():
    assert parse_money("$5", home="CAD").currency == "CAD"
    assert parse_money("$5", home="EUR").currency == "USD"


@pytest.mark.parametrize(
    ("cells", "mark", "is_open"),
    [
        (["1,234.50", "12"], ".", False), (["1.234,50"], ",", False), (["1.234", "12,5"], ",", False), (["1,234", "0.99"], ".", False),
        (["1,234", "5,678"], ".", True), (["1.234", "5.678"], ",", True), (["12", "500"], ".", False), (["1.234.567"], ",", False),
        (["0.500"], ".", False),
    ],
)  # fmt: skip
def test_a_column_decides_its_decimal_mark(cells, mark, is_open):
    evidence = MoneyEvidence()
    for cell in cells:
        evidence.see(cell)
    assert (evidence.decimal_mark, evidence.is_open) == (mark, is_open)


@given(
    st.integers(-(10**13), 10**13), st.sampled_from([(",", "."), (".", ","), (" ", ","), ("'", "."), ("", ".")]), st.booleans()
)
def test_every_amount_survives_every_way_of_writing_it(cents, marks, brackets):
    group, decimal = marks
    whole, rest = divmod(abs(cents), 100)
    text = f"{whole:,}".replace(",", group) + f"{decimal}{rest:02d}"
    if cents < 0:
        text = f"({text})" if brackets else f"-{text}"
    evidence = MoneyEvidence()
    evidence.see(text)
    assert evidence.decimal_mark == decimal
    assert parse_money(text, decimal).amount == Decimal(cents) / 100
