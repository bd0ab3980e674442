"""Deals made at Pipedrive by an action: found again by their mark, taken back, never made twice."""

import hashlib
import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from core.domains.crm.actions import mark
from core.errors import BadInput
from core.kit import clock
from core.runtime.actions import kinds
from core.runtime.actions.kinds import Account, Outgoing, Refused, Rendering, Unclear
from core.runtime.actions.models import Audience
from core.runtime.orgs.models import AGENCY_ID

KEY = UUID("11111111-2222-4333-8444-555555555555")
DEAL = {"title": "Invoice automation", "org_name": "Northwind", "value_minor": 1_250_050, "currency": "USD"}
CREATE, DELETE = "pipedrive.deal.create", "pipedrive.deal.delete"


@pytest.fixture
def account(world):
    return Account(4, "pipedrive", {}, world.pipedrive.token)


def drawn(kind, payload, key=KEY):
    made = kinds.get(kind)
    return made.render(made.read(payload), Rendering(AGENCY_ID, key, None, None))


def out(rendered, key=KEY, first_sent_at=None):
    return Outgoing(rendered.wire, key, AGENCY_ID, first_sent_at)


def test_the_approved_bytes_make_the_deal(world, account):
    made = drawn(CREATE, DEAL)
    receipt = kinds.get(CREATE).send(out(made), account)
    (call,) = world.applied("pipedrive.deals.create")
    assert call["body_sha256"] == hashlib.sha256(made.wire).hexdigest()
    assert call["key"] == mark(KEY)
    assert json.loads(made.wire) == {"title": f"Northwind: Invoice automation [{mark(KEY)}]", "value": 12500.5, "currency": "USD"}
    assert (made.audience, made.title) == (Audience.NOBODY, "New deal in Pipedrive: Northwind: Invoice automation, $12,500.50")
    assert receipt.url == f"https://app.pipedrive.com/deal/{receipt.data['deal_id']}"


@pytest.mark.parametrize(
    ("value", "currency", "sent"), [(0, "USD", 0), (100, "JPY", 100), (10**14, "USD", 10**12), (1, "EUR", 0.01)]
)
def test_money_is_exact_in_each_currency(value, currency, sent):
    assert json.loads(drawn(CREATE, DEAL | {"value_minor": value, "currency": currency}).wire)["value"] == sent


def test_marks_differ_and_are_the_same_each_time():
    keys = [uuid4() for _ in range(2000)]
    assert len({mark(k) for k in keys}) == 2000
    assert mark(KEY) == mark(UUID(str(KEY)))


@pytest.mark.parametrize("lags", [False, True])
def test_a_lost_answer_is_found_even_when_the_search_lags(world, account, lags):
    kind = kinds.get(CREATE)
    for _ in range(3):
        kind.send(out(drawn(CREATE, DEAL, uuid4())), account)
    world.pipedrive.reads.page_size = 2
    world.pipedrive.search_lags = lags
    made, started = drawn(CREATE, DEAL), clock.now()
    world.mode("pipedrive.deals.create", "apply_then_drop", 1)
    with pytest.raises(Unclear):
        kind.send(out(made), account)
    found = kind.look_up(out(made, first_sent_at=started), account)
    assert found.data["deal_id"] == max(d["id"] for d in world.pipedrive.reads.deals)
    assert len(world.applied("pipedrive.deals.create")) == 4


def test_what_never_arrived_is_certainly_not_there(world, account):
    kind, made = kinds.get(CREATE), drawn(CREATE, DEAL)
    world.mode("pipedrive.deals.create", "drop_before", 1)
    with pytest.raises(Unclear):
        kind.send(out(made), account)
    assert kind.look_up(out(made, first_sent_at=clock.now() - timedelta(seconds=5)), account) is None


@pytest.mark.parametrize("endpoint", ["pipedrive.deals.search", "pipedrive.read"])
def test_a_look_up_that_fails_never_says_absent(world, account, endpoint, monkeypatch):
    kind, made = kinds.get(CREATE), drawn(CREATE, DEAL)
    for mode in ("malformed", "529", "reject_before", "drop_before"):
        world.mode(endpoint, mode)
        with pytest.raises((Unclear, Refused)):
            kind.look_up(out(made, first_sent_at=clock.now()), account)


def test_undo_deletes_that_deal_and_a_lost_answer_is_seen(world, account):
    kind, delete = kinds.get(CREATE), kinds.get(DELETE)
    receipt = kind.send(out(drawn(CREATE, DEAL)), account)
    undo = drawn(DELETE, kind.undo_payload(DEAL, receipt))
    assert undo.title == "Delete the deal in Pipedrive: Invoice automation"
    assert delete.look_up(out(undo), account) is None
    world.mode("pipedrive.deals.delete", "apply_then_drop", 1)
    with pytest.raises(Unclear):
        delete.send(out(undo), account)
    assert delete.look_up(out(undo), account).ref == receipt.ref
    delete.send(out(undo), account)  # gone already is as it should be
    (call,) = world.applied("pipedrive.deals.delete")
    assert call["body_sha256"] == hashlib.sha256(undo.wire).hexdigest()


@pytest.mark.parametrize(
    "over",
    [{"title": ""}, {"title": " \n"}, {"value_minor": -1}, {"value_minor": 1.5}, {"value_minor": 10**15}, {"currency": "usd"},
     {"currency": "US"}, {"org_id": 0}, {"owner": 3}],
)  # fmt: skip
def test_a_payload_that_makes_no_sense_is_refused(over):
    with pytest.raises(BadInput):
        kinds.get(CREATE).read(DEAL | over)


def test_line_breaks_in_a_title_are_blanks():
    assert json.loads(drawn(CREATE, {"title": "a\r\nb\x00c"}).wire)["title"] == f"a bc [{mark(KEY)}]"
