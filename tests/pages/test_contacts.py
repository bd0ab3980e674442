"""Contacts: who is on the list and why, adding by hand, lifting with a reason, and what reached a person."""

import pytest

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.contacts import queries, service
from core.runtime.contacts.models import Why
from tests.cast import CORNERSTONE_ORG
from tests.core.runtime.policies import making
from tests.pages.conftest import said

ANN = "ann@northwind.example"


def put(address=ANN, why=Why.OPT_OUT, source="opt-out link", **more):
    with database.transaction(STAFF) as session:
        return service.suppress(session, address, why, source, **more).id


def listed(address=ANN):
    with database.transaction(STAFF) as session:
        return queries.suppressed(session, [address]).get(address)


def press(at, key):
    next(b for b in at.button if b.key == key).click()
    return at.run()


def test_the_list_says_who_why_and_since_when(open_page):
    put()
    put("Bob.Lee@gmail.com", Why.BOUNCE, "reported by Resend", note="mailbox gone", org_id=CORNERSTONE_ORG)
    text = said(open_page("contacts"))
    assert "Who must not be written to, and why?" in text
    assert "Everybody <b>2</b>" in text
    assert "Opted out <b>1</b>" in text
    assert "Bounced <b>1</b>" in text


def test_it_is_searched_by_any_spelling_and_says_who_is_not_on_it(open_page):
    put("boblee@gmail.com")
    assert "Not on the list" not in said(open_page("contacts", q="B.o.b.Lee+x@googlemail.com"))
    text = said(open_page("contacts", q="Carl@Northwind.example"))
    assert "Not on the list." in text
    assert "See what reached carl@northwind.example" in text
    assert "Not on the list." not in said(open_page("contacts", q="carl@"))


def test_anybody_puts_somebody_on_the_list_by_hand(open_page):
    at = press(open_page("contacts", who="tony"), "contacts_add")
    at.text_input(key="contact_address").set_value("Ann+x@Northwind.example")
    at.text_input(key="contact_note").set_value("asked by phone")
    press(at, "contact_save")
    with database.transaction(STAFF) as session:
        row = queries.suppressions(session).rows[0]
    assert (row.person, row.why, row.source, row.note) == (ANN, Why.MANUAL, "added by Tony", "asked by phone")


def test_what_is_no_address_is_said_and_nothing_is_saved(open_page):
    at = press(open_page("contacts"), "contacts_add")
    at.text_input(key="contact_address").set_value("ann@northwind.example, bob@northwind.example")
    at = press(at, "contact_save")
    assert any("not one e\\-mail address" in t.value for t in at.toast)
    assert listed() is None


def lift(at, entry, *, asked=False, reason="asked by phone on Monday"):
    from app.ui import contact_form

    at.session_state[contact_form._LIFT] = entry
    at.run()
    at.text_input(key="lift_reason").set_value(reason)
    if asked:
        at.checkbox(key="lift_asked").set_value(True)
    return press(at, "lift_save")


def test_an_opt_out_is_lifted_only_when_the_person_asked(open_page):
    entry = put()
    at = lift(open_page("contacts"), entry)
    assert any("only they can take it back" in t.value for t in at.toast)
    assert listed() == "opt_out"
    lift(open_page("contacts"), entry, asked=True)
    assert listed() is None


def test_a_bounce_is_lifted_with_a_reason(open_page):
    entry = put(why=Why.BOUNCE, source="Resend")
    lift(open_page("contacts"), entry, reason="")
    assert listed() == "bounce"
    lift(open_page("contacts"), entry, reason="the mailbox is back")
    assert listed() is None


@pytest.mark.parametrize("who", ["tony", "brian", "dan", "robert"])
def test_nobody_but_an_admin_lifts(open_page, who):
    from app.ui import contact_form

    entry = put(why=Why.MANUAL, source="Dave")
    at = open_page("contacts", who=who)
    at.session_state[contact_form._LIFT] = entry
    at.run()
    assert "This is for" in said(at)
    assert not [b for b in at.button if b.key == "lift_save"]
    assert listed() == "manual"


def test_a_persons_drawer_tells_what_reached_them_and_how_often_they_may_be_reached(open_page):
    put(org_id=CORNERSTONE_ORG)
    with database.transaction(STAFF) as session:
        for n in range(3):
            making.effect(session, making.action(session, title=f"Mail {n} to Ann", org_id=CORNERSTONE_ORG))
        making.effect(session, making.action(session, title="Never left"), state="failed")
        making.effect(session, making.action(session, title="Only tried"), dry_run=True)
    text = said(open_page("contacts", person="ANN+x@northwind.example"))
    assert "Gets nothing from us: opted out." in text
    assert "3 of at most 4" in text
    assert "3 of at most 10" in text
    assert "Mail 2 to Ann" in text
    assert "for Cornerstone" in text
    assert "Never left" not in text
    assert "Only tried" not in text


@pytest.mark.parametrize("nonsense", ["nobody", "<script>alert(1)</script>", "a@b@c", "x" * 3000])
def test_an_address_that_makes_no_sense_is_said(open_page, nonsense):
    text = said(open_page("contacts", person=nonsense, q=nonsense, why=nonsense, before=nonsense))
    assert "It should look like" in text
    assert "<script>alert" not in text
