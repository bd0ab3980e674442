"""The suppression list: it holds everywhere, for every spelling, and is not taken back lightly."""

import pytest
from sqlalchemy import text

from core.errors import BadInput, NotAllowed, NotFound
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.contacts import queries, service
from core.runtime.contacts.models import Why
from tests.cast import CORNERSTONE_ORG, NORTHWIND_ORG

pytestmark = pytest.mark.usefixtures("db")


def put(address, why=Why.OPT_OUT, source="opt-out link", **more):
    with database.transaction(STAFF) as session:
        return service.suppress(session, address, why, source, **more)


def asked(*people):
    with database.transaction(STAFF) as session:
        return queries.suppressed(session, people)


def test_it_holds_for_every_spelling_and_every_organisation(cast):
    put("Ann.Lee@gmail.com", org_id=CORNERSTONE_ORG)
    assert asked("annlee@gmail.com") == {"annlee@gmail.com": "opt_out"}
    assert asked("A.N.N.lee+x@GoogleMail.com", "bob@example.com") == {"A.N.N.lee+x@GoogleMail.com": "opt_out"}
    assert asked("#leadership") == asked() == {}


def test_doing_it_again_changes_nothing(cast):
    first = put("ann@example.com")
    again = put("ANN+x@example.com", source="opt-out link, once more")
    assert first.changed
    assert not again.changed
    assert again.id == first.id
    with database.transaction(STAFF) as session:
        for table in ("events WHERE type = 'contact.suppressed'", "audit_entries WHERE what = 'contact.suppressed'"):
            assert session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 1


def test_a_persons_own_word_takes_the_place_of_a_lighter_reason_never_the_other_way(cast):
    put("ann@example.com", Why.MANUAL, "Dave")
    assert put("ann@example.com", Why.COMPLAINT, "Resend").changed
    assert not put("ann@example.com", Why.BOUNCE, "Resend").changed
    put("ann@example.com", Why.MANUAL, "Dan", org_id=NORTHWIND_ORG)
    assert asked("ann@example.com") == {"ann@example.com": "complaint"}
    with database.transaction(STAFF) as session:
        assert queries.counts(session) == {Why.COMPLAINT: 1, Why.OPT_OUT: 0, Why.BOUNCE: 0, Why.MANUAL: 0}


def test_only_an_admin_lifts_and_an_opt_out_only_when_the_person_asked(cast):
    entry = put("ann@example.com").id
    with database.transaction(STAFF) as session, pytest.raises(NotAllowed, match="admin"):
        service.lift(session, entry, cast.actor("Tony"), "she wants our news again", person_asked=True)
    with database.transaction(STAFF) as session, pytest.raises(NotAllowed, match="only they"):
        service.lift(session, entry, cast.actor("Dave"), "we need her")
    with database.transaction(STAFF) as session, pytest.raises(BadInput):
        service.lift(session, entry, cast.actor("Dave"), " ", person_asked=True)
    assert asked("ann@example.com")
    with database.transaction(STAFF) as session:
        said = service.lift(session, entry, cast.actor("Dave"), "asked by phone on Monday", person_asked=True)
    assert said == "ann@example.com may be written to again."
    assert asked("ann@example.com") == {}
    with database.transaction(STAFF) as session, pytest.raises(NotFound):
        service.lift(session, entry, cast.actor("Dave"), "once more")
    assert put("ann@example.com").changed


def test_lifting_one_entry_says_that_another_stays(cast):
    put("ann@example.com", org_id=CORNERSTONE_ORG)
    entry = put("ann@example.com", Why.MANUAL, "Dan").id
    with database.transaction(STAFF) as session:
        assert "stays on the list: they opted out" in service.lift(session, entry, cast.actor("Dave"), "added by mistake")
    assert asked("ann@example.com")


def test_an_api_key_or_a_disabled_admin_is_no_admin(cast):
    from core.kit.actor import Actor

    entry = put("ann@example.com", Why.MANUAL, "Dave").id
    with database.transaction(STAFF) as session:
        session.execute(text("UPDATE users SET disabled_at = now() WHERE name = 'Dave'"))
    for by in (Actor("API key x", "api", cast.users["Dave"]), cast.actor("Dave"), Actor("System")):
        with database.transaction(STAFF) as session, pytest.raises(NotAllowed):
            service.lift(session, entry, by, "because I can", person_asked=True)


def test_the_list_is_found_by_any_part_or_spelling_and_paged(cast):
    for i in range(5):
        put(f"person{i}@example.com", Why.BOUNCE, "Resend", note="mailbox full" if i == 2 else None)
    put("ann.lee@gmail.com", org_id=CORNERSTONE_ORG)
    with database.transaction(STAFF) as session:
        found = queries.suppressions(session, search="A.n.n.Lee+shop@googlemail.com").rows
        assert [(r.person, r.org, r.address) for r in found] == [("annlee@gmail.com", "Cornerstone", "ann.lee@gmail.com")]
        assert [r.person for r in queries.suppressions(session, search="box full").rows] == ["person2@example.com"]
        assert queries.suppressions(session, search="%").rows == []
        page = queries.suppressions(session, why=Why.BOUNCE, limit=3)
        assert [r.person[6] for r in page.rows] == ["4", "3", "2"]
        rest = queries.suppressions(session, why=Why.BOUNCE, limit=3, before=page.next)
        assert [r.person[6] for r in rest.rows] == ["1", "0"]
        assert rest.next is None


def test_an_address_that_cannot_be_read_is_not_taken_for_allowed(cast):
    put("ann@example.com")
    with database.transaction(STAFF) as session, pytest.raises(BadInput):
        queries.suppressed(session, ["ann@example.com, bob@example.com"])
