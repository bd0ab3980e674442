import time

import pytest

from core.errors import BadInput, RateLimited
from core.integrations.pipedrive import Pipedrive
from core.integrations.pipedrive.errors import BadToken, Malformed, StaleCursor, Unreachable
from tests.fakeworld import pipedrive as fake


@pytest.fixture
def vendor():
    made = fake.world(7, page_size=3)
    yield made
    made.close()


def client(vendor, **values):
    return Pipedrive(vendor.url, fake.TOKEN, **{"backoff_s": 0.01, "timeout_s": 2.0} | values)


def every_id(connection) -> list[int]:
    found, cursor = [], None
    while True:
        page = connection.deals(cursor)
        found += [d.id for d in page.deals]
        cursor = page.next
        if cursor is None:
            return found


@pytest.mark.parametrize("only_v1", [False, True])
def test_all_pages_are_read_once_in_either_version(vendor, only_v1):
    vendor.only_v1 = only_v1
    with client(vendor) as connection:
        assert every_id(connection) == [1, 2, 3, 4, 5, 6, 7]
        assert [s.name for s in connection.stages()] == ["Qualified", "Proposal Made"]
        assert connection.users() == {7: "Tony"}


def test_both_versions_tell_the_same_deal(vendor):
    with client(vendor) as connection:
        new = connection.deals().deals[0]
    vendor.only_v1 = True
    with client(vendor) as connection:
        old = connection.deals().deals[0]
    assert (old.owner, old.org_id, old.value, old.add_time, old.expected_close_date) == (
        new.owner, new.org_id, new.value, new.add_time, new.expected_close_date,
    )  # fmt: skip
    assert old.org_name == "Northwind"


def test_names_are_asked_for_a_hundred_at_a_time(vendor):
    vendor.organizations = [{"id": n, "name": f"Company {n}"} for n in range(1, 251)]
    with client(vendor) as connection:
        assert len(connection.organizations(range(1, 251))) == 250
        assert connection.persons([5, 5, 99])[5].address == "nora@northwind.example"
    assert vendor.asked("/api/v2/organizations") == 3


@pytest.mark.parametrize("trouble", [[500], [503, 502], ["cut"], ["html"], ["retry:0"], [500, "retry:0", "cut", 500]])
def test_what_may_pass_is_tried_again(vendor, trouble):
    vendor.trouble = list(trouble)
    with client(vendor) as connection:
        assert every_id(connection) == [1, 2, 3, 4, 5, 6, 7]
    assert not vendor.trouble


def test_a_hang_is_cut_short_and_tried_again(vendor):
    vendor.trouble = ["hang"]
    started = time.monotonic()
    with client(vendor, timeout_s=0.3) as connection:
        assert len(connection.deals().deals) == 3
    assert time.monotonic() - started < 5


_OFTEN = 9


@pytest.mark.parametrize(
    ("trouble", "error"), [(500, Unreachable), ("cut", Unreachable), ("html", Malformed), ("retry:0", RateLimited)]
)
def test_what_does_not_pass_is_one_sentence_after_five_attempts(vendor, trouble, error):
    vendor.trouble = [trouble] * _OFTEN
    with client(vendor) as connection, pytest.raises(error) as caught:
        connection.deals()
    assert vendor.asked("/api/v2/deals") == 5
    assert caught.value.message
    assert caught.value.next_step


def test_a_long_wait_is_left_to_the_caller_with_the_vendors_figure(vendor):
    vendor.trouble = ["retry:3600"]
    with client(vendor) as connection, pytest.raises(RateLimited) as caught:
        connection.deals()
    assert caught.value.retry_after_s == 3600
    assert vendor.asked("/api/v2/deals") == 1


def test_a_429_is_waited_for_as_long_as_it_asks(vendor):
    vendor.trouble = ["retry:1"]
    started = time.monotonic()
    with client(vendor) as connection:
        connection.deals()
    assert 1.0 <= time.monotonic() - started < 3


def test_a_wait_can_be_called_off(vendor):
    class Stopped(Exception):
        pass

    def check():
        raise Stopped

    vendor.trouble = ["retry:50"]
    with client(vendor, check=check) as connection, pytest.raises(Stopped):
        connection.deals()


def test_a_wrong_token_is_not_tried_again(vendor):
    with Pipedrive(vendor.url, "wrong") as connection, pytest.raises(BadToken, match="does not accept"):
        connection.deals()
    assert vendor.asked("/api/v2/deals") == 1


def test_a_forgotten_cursor_is_its_own_word(vendor):
    with client(vendor) as connection:
        cursor = connection.deals().next
        vendor.forget_cursors = True
        with pytest.raises(StaleCursor):
            connection.deals(cursor)


def test_one_unreadable_deal_does_not_stop_the_others(vendor):
    vendor.deals = [fake.deal(1), {"id": "x"}, "nonsense", fake.deal(2, value="NaN"), fake.deal(3, is_deleted=True), fake.deal(4)]
    vendor.page_size = 100
    with client(vendor) as connection:
        page = connection.deals()
    assert ([d.id for d in page.deals], len(page.unreadable)) == ([1, 4], 3)


@pytest.mark.parametrize("url", ["http://pipedrive.example", "ftp://127.0.0.1", "api.pipedrive.com"])
def test_the_token_never_travels_in_the_open(url):
    with pytest.raises(BadInput, match="https"):
        Pipedrive(url, "t")
