from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select, text, update

from core.domains.users import rules, service
from core.domains.users.errors import LinkDead
from core.domains.users.models import LoginAttempt, LoginLink, User, UserSession
from core.errors import BadInput
from core.kit import db as database
from core.kit.db import STAFF
from tests.cast import make_cast

DAN, PASSWORD = "dan@manageai.example", "three calm green herons"


@pytest.fixture
def dan(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        service.set_password(session, DAN, PASSWORD)
    return cast.users["Dan"]


def guess(password="wrong password", source="203.0.113.7", email=DAN, **more):
    with database.transaction(STAFF) as session:
        return service.sign_in(session, email, password, source, **more)


def test_a_link_works_once_under_twenty_redeemers_at_once(dan):
    with database.transaction(STAFF) as session:
        token = service.create_login_link(session, dan)
    barrier = Barrier(20)

    def redeem(_):
        barrier.wait()
        try:
            with database.transaction(STAFF) as session:
                return service.redeem_link(session, token)[1]
        except LinkDead:
            return None

    with ThreadPoolExecutor(20) as pool:
        won = [t for t in pool.map(redeem, range(20)) if t]
    assert len(won) == 1
    with database.transaction(STAFF) as session:
        assert session.scalar(select(func.count()).select_from(UserSession)) == 1
        assert service.resolve_session(session, won[0]).id == dan


def test_expired_used_replaced_and_unknown_links_get_the_same_sentence(dan):
    said = set()
    with database.transaction(STAFF) as session:
        replaced = service.create_login_link(session, dan)
        used = service.create_login_link(session, dan)
        service.redeem_link(session, used)
        expired = service.create_login_link(session, dan)
        session.execute(update(LoginLink).values(expires_at=func.clock_timestamp() - text("interval '1 second'")))
        for token in (replaced, used, expired, "nonsense", ""):
            with pytest.raises(LinkDead) as dead:
                service.redeem_link(session, token)
            said.add(str(dead.value))
    assert len(said) == 1
    assert "ops users link EMAIL" in said.pop()


def test_only_hashes_are_stored(dan):
    with database.transaction(STAFF) as session:
        link = service.create_login_link(session, dan)
        _, token = service.redeem_link(session, link)
        stored = {*session.scalars(select(LoginLink.token_hash)), *session.scalars(select(UserSession.token_hash))}
    assert {rules.hash_token(link), rules.hash_token(token)} == stored
    assert len(token) >= 43


def test_a_session_ends_by_sign_out_and_by_time(dan):
    with database.transaction(STAFF) as session:
        one, two = (service.sign_in(session, DAN, PASSWORD, "s").token for _ in range(2))
        service.sign_out(session, one)
        assert service.resolve_session(session, one) is None
        assert service.resolve_session(session, two).email == DAN
        session.execute(update(UserSession).values(expires_at=func.clock_timestamp()))
        assert service.resolve_session(session, two) is None
        for nonsense in (None, "", "x", "x" * 5000, "\x00"):
            assert service.resolve_session(session, nonsense) is None


def test_resolving_notes_when_somebody_was_last_seen(dan):
    with database.transaction(STAFF) as session:
        token = service.sign_in(session, DAN, PASSWORD, "s").token
        service.resolve_session(session, token)
        first = session.scalar(select(User.last_seen_at).where(User.id == dan))
        service.resolve_session(session, token)
        assert first is not None
        assert session.scalar(select(User.last_seen_at).where(User.id == dan)) == first


def test_wrong_unknown_passwordless_and_disabled_sound_the_same(dan):
    with database.transaction(STAFF) as session:
        service.add(session, "robert2@manageai.example", "Robert", "marketing")
        service.disable(session, "tony@manageai.example")
    answers = {
        (r.sentence, r.next_step, r.user, r.token)
        for r in (
            guess(),
            guess(email="nobody@manageai.example"),
            guess(email="robert2@manageai.example"),
            guess(email="tony@manageai.example"),
            guess(email="not an address"),
            guess(password="x" * 100_000),
        )
    }
    assert len(answers) == 1


def test_an_unknown_address_costs_a_hash_too(dan, monkeypatch):
    from core.domains.users import passwords

    real, checked = passwords._hasher, []

    class Spy:
        def verify(self, stored, password):
            checked.append(stored)
            return real.verify(stored, password)

    passwords.warm()
    monkeypatch.setattr(passwords, "_hasher", Spy())
    guess(email="nobody@manageai.example")
    guess()
    assert len(checked) == 2
    assert all(stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for stored in checked)


def test_the_disabled_flag_itself_is_read_at_every_look(dan):
    with database.transaction(STAFF) as session:
        token = service.sign_in(session, DAN, PASSWORD, "s").token
        session.execute(update(User).values(disabled_at=func.clock_timestamp()))
        assert service.resolve_session(session, token) is None
        session.execute(update(User).values(disabled_at=None))
        assert service.resolve_session(session, token).id == dan


@pytest.mark.slow
def test_guesses_from_one_source_wait_and_the_owner_elsewhere_does_not(dan):
    for _ in range(rules.LIMITS.pair):
        assert not guess().throttled
    blocked = guess(PASSWORD)
    assert blocked.throttled
    assert blocked.user is None
    assert "ops users link dan@manageai.example" in blocked.next_step
    assert guess(PASSWORD, source="198.51.100.1").user.id == dan


@pytest.mark.slow
def test_twenty_guesses_at_once_are_counted_one_by_one(dan):
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: guess(), range(20)))
    assert sum(not a.throttled for a in answers) == rules.LIMITS.pair


@pytest.mark.slow
def test_strangers_from_everywhere_do_not_lock_out_a_browser_that_knows_the_address(dan):
    for n in range(rules.LIMITS.address):
        with database.transaction(STAFF) as session:
            session.add(LoginAttempt(email=DAN, source=f"203.0.113.{n}"))
    assert guess(PASSWORD, source="198.51.100.1").throttled
    assert guess(PASSWORD, source="browser:1", known_browser=True).user.id == dan
    for _ in range(rules.LIMITS.pair):
        guess(source="browser:1", known_browser=True)
    assert guess(PASSWORD, source="browser:1", known_browser=True).throttled


@pytest.mark.slow
def test_one_source_trying_many_addresses_waits(dan):
    for n in range(rules.LIMITS.source):
        guess(email=f"person{n}@manageai.example")
    assert guess(PASSWORD).throttled


def test_waiting_ends_with_the_window_and_a_success_clears_the_count(dan):
    for _ in range(rules.LIMITS.pair):
        guess()
    with database.transaction(STAFF) as session:
        session.execute(update(LoginAttempt).values(at=func.clock_timestamp() - text("interval '16 minutes'")))
    assert guess(PASSWORD).user.id == dan
    with database.transaction(STAFF) as session:
        assert session.scalar(select(func.count()).select_from(LoginAttempt)) == 0


def test_a_throttled_person_gets_in_by_link(dan):
    for _ in range(rules.LIMITS.pair):
        guess()
    with database.transaction(STAFF) as session:
        user, _ = service.redeem_link(session, service.create_login_link(session, DAN))
    assert user.id == dan
    assert guess(PASSWORD).user.id == dan


def test_sweeping_keeps_what_is_live(dan):
    with database.transaction(STAFF) as session:
        token = service.sign_in(session, DAN, PASSWORD, "s").token
        session.add(LoginAttempt(email="a@b", source="s", at=func.clock_timestamp() - text("interval '2 days'")))
        session.flush()
        service.sweep(session)
        assert session.scalar(select(func.count()).select_from(LoginAttempt)) == 0
        assert service.resolve_session(session, token).id == dan


@pytest.mark.parametrize("email", ["dan\x00@manageai.example", "dan@manage\x7fai.example", "d\x1ban@manageai.example"])
def test_an_address_with_control_characters_is_just_wrong(dan, email):
    with database.transaction(STAFF) as session:
        done = service.sign_in(session, email, "whatever it is", "10.0.0.9")
    assert done.user is None
    assert done.sentence == "That address and password don't fit together."
    with pytest.raises(BadInput):
        rules.clean_email(email)
