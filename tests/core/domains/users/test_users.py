import pytest
from sqlalchemy import select

from core.domains.users import queries, service
from core.domains.users.errors import LastAdmin, LinkDead, UnknownUser
from core.domains.users.models import Role, User
from core.errors import BadInput, Conflict
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.events.models import Event
from tests.cast import make_cast

PASSWORD = "three calm green herons"


def test_a_person_is_added_with_a_clean_address_and_an_event(db):
    with database.transaction(STAFF) as session:
        user_id = service.add(session, " Tony@ManageAI.example ", "  Tony  ", "sales")
    with database.transaction(STAFF) as session:
        user = session.get(User, user_id)
        assert (user.email, user.name, user.role, user.password_hash) == ("tony@manageai.example", "Tony", "sales", None)
        assert session.scalars(select(Event.summary)).all() == ["System added Tony (Sales)."]
        with pytest.raises(Conflict, match="already a user"):
            service.add(session, "TONY@manageai.example", "Tony", Role.SALES)


@pytest.mark.parametrize(
    ("email", "name", "role"),
    [
        ("tony", "Tony", "sales"),
        ("a@b", "", "sales"),
        ("a@b", "x" * 81, "sales"),
        ("a@b", "A\x00", "sales"),
        ("a@b", "A", "boss"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(db, email, name, role):
    with pytest.raises(BadInput) as refused, database.transaction(STAFF) as session:
        service.add(session, email, name, role)
    assert refused.value.next_step


def test_a_password_is_stored_as_argon2id_and_weak_ones_are_refused(db):
    with database.transaction(STAFF) as session:
        service.add(session, "dan@manageai.example", "Dan", "delivery", password=PASSWORD)
        stored = queries.find(session, "dan@manageai.example").password_hash
        assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        for weak in ("short", "aaaaaaaaaaaaaaaa", "dan@manageai.example", "x" * 300):
            with pytest.raises(BadInput):
                service.set_password(session, "dan@manageai.example", weak)


def test_a_role_holds_from_the_next_look_and_a_disabled_person_is_out_at_once(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        _, token = service.redeem_link(session, service.create_login_link(session, "tony@manageai.example"))
    with database.transaction(STAFF) as session:
        service.set_role(session, "tony@manageai.example", "marketing")
    with database.transaction(STAFF) as session:
        assert service.resolve_session(session, token).role is Role.MARKETING
        link = service.create_login_link(session, "tony@manageai.example")
        service.disable(session, "tony@manageai.example")
    with database.transaction(STAFF) as session:
        assert service.resolve_session(session, token) is None
        with pytest.raises(Conflict, match="disabled"):
            service.create_login_link(session, "tony@manageai.example")
        service.enable(session, "tony@manageai.example")
    with database.transaction(STAFF) as session:
        assert service.resolve_session(session, token) is None
        with pytest.raises(LinkDead):
            service.redeem_link(session, link)


def test_there_is_always_an_admin_left(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        for change in (
            lambda: service.set_role(session, "dave@manageai.example", "sales"),
            lambda: service.disable(session, "dave@manageai.example"),
        ):
            with pytest.raises(LastAdmin):
                change()
        service.set_role(session, "brian@manageai.example", "admin")
        service.disable(session, "dave@manageai.example")
        assert [u.enabled for u in queries.users(session) if u.name == "Dave"] == [False]


def test_the_first_admin_is_dave_and_only_once(db):
    with database.transaction(STAFF) as session:
        first = service.ensure_first_admin(session)
        assert service.ensure_first_admin(session) == first
        assert [(u.name, u.role) for u in queries.users(session)] == [("Dave", Role.ADMIN)]
        with pytest.raises(UnknownUser, match="nobody@"):
            queries.find(session, "nobody@manageai.example")


def test_a_new_password_signs_out_everywhere(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        user, token = service.redeem_link(session, service.create_login_link(session, "dan@manageai.example"))
        assert queries.users(session)[1].sessions == 1
        service.set_password(session, user.id, PASSWORD, by=user.actor)
        assert service.resolve_session(session, token) is None
