"""Ways around the suppression list, each taken along the real way to the vendors' own log: none arrives. `make soak`: 500."""

import json
import unicodedata
from collections import Counter

import psycopg
import pytest

from core.config import get_settings
from core.kit import db as database
from core.kit import keyring
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.connections import service as accounts
from core.runtime.policies import settings
from tests.cast import NORTHWIND_ORG, make_cast
from tests.core.runtime.contacts import variants as tries

DAVE_MAIL = f"dave@{tries.OUR_DOMAIN}"


@pytest.fixture
def cast(db, world):
    keyring.create()
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        sender = {"from": "ManageAI <ops@manageai.example>"}
        accounts.save(session, "resend", "main", sender, world.resend.key, Actor("Dave"))
        accounts.save(
            session, "smtp", "main", world.smtp.config, "smtp-test-0123456789-never-log-me", Actor("Dave"), NORTHWIND_ORG
        )
    change(cast, "contact_ceiling", quiet=False, week=50, month=200)
    change(cast, "rate_limit", kinds={"mail.send": 5000})
    change(cast, "send_mode", our_domains=[tries.OUR_DOMAIN])
    return cast


def change(cast, policy, **numbers):
    with database.transaction(STAFF) as session:
        settings.change(session, policy, numbers, cast.actor("Dave"), settings.setting(session, policy).version)


def phases(cast, wanted):
    """The tries in groups that need the same numbers, with those numbers set."""
    now = None
    for one in sorted(wanted, key=lambda v: (v.mode, v.by_policy, v.number)):
        if now != (one.mode, one.by_policy):
            if now is None or now[0] != one.mode:
                change(cast, "send_mode", mode=one.mode) if one.mode != current(cast) else None
            change_approvals(cast, one.by_policy)
            now = (one.mode, one.by_policy)
        yield one


def current(cast):
    with database.transaction(STAFF) as session:
        return settings.everything(session, NORTHWIND_ORG)["send_mode"]["mode"]


def change_approvals(cast, by_policy):
    wanted = {"outside": not by_policy, "kinds": [] if by_policy else ["mail.send"]}
    with database.transaction(STAFF) as session:
        held = settings.everything(session, NORTHWIND_ORG)["approval_kinds"]
    if any(held[k] != v for k, v in wanted.items()):
        change(cast, "approval_kinds", **wanted)


def sent(world):
    """What reached somebody: (recipients, everything that was written)."""
    found = [c for c in world.calls if c["applied"] and c["endpoint"] in ("resend.emails", "smtp.data")]
    return [(tuple(c["recipients"]), json.dumps(c, ensure_ascii=False)) for c in found]


def bare(text):
    """The text without what hides a name in it."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in plain if c not in ".\\ " and not unicodedata.category(c).startswith("C"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("many", [100, pytest.param(500, marks=pytest.mark.soak)])
def test_ways_around_the_list_reach_nobody(cast, world, many):
    wanted = tries.variants(many)
    assert len({v.way for v in wanted}) >= 24
    ended = Counter()
    for one in phases(cast, wanted):
        before = len(world.calls)
        state = tries.carry_out(one, cast.actor("Dave"))
        ended[one.way, state] += 1
        for recipients, written in [
            (tuple(c["recipients"]), json.dumps(c, ensure_ascii=False)) for c in world.calls[before:] if c["applied"]
        ]:
            assert set(recipients) == {DAVE_MAIL}, one
            assert tries.MARK not in bare(written), one
    assert sum(ended.values()) == many
    assert {r for who, _ in sent(world) for r in who} <= {DAVE_MAIL}
    # the tries are what they claim to be: most ways come as far as the list itself, and are stopped there
    stopped = Counter({state: sum(n for (_, s), n in ended.items() if s == state) for _, state in ended})
    assert stopped["denied"] > many * 0.5, ended
    assert stopped["refused"] > many * 0.16, ended
    assert all(one.person is None or one.listed for one in wanted)


@pytest.mark.slow
def test_honest_mail_in_the_same_spellings_arrives(cast, world):
    wanted = tries.honest()
    states = {str(one): tries.carry_out(one, cast.actor("Dave")) for one in phases(cast, wanted)}
    assert set(states.values()) == {"done"}, states
    assert len(sent(world)) == len(wanted)
    assert {c["endpoint"] for c in world.calls if c["applied"]} == {"resend.emails", "smtp.data"}


def test_the_ways_are_many_and_the_same_each_time():
    wanted = tries.variants(500)
    assert wanted == tries.variants(500)
    assert len({v.way for v in wanted}) >= 24
    assert {v.when for v in wanted} == {tries.BEFORE, tries.BETWEEN}
    assert len({v.person for v in wanted if v.person}) == len([v for v in wanted if v.person])
    assert {v.sent_for for v in wanted} == {v.heard_by for v in wanted} == set(tries.ORGS)
    assert sum(v.sent_for != v.heard_by for v in wanted if v.person) > 150
    assert min(Counter(v.way for v in wanted if v.person).values()) >= 10


@pytest.fixture
def unreadable(cast):
    """The table of suppressions can't be read."""
    owner = str(get_settings().database_admin_url)
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("REVOKE SELECT ON suppressions FROM ops_app")
    yield
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("GRANT SELECT ON suppressions TO ops_app")


def test_a_list_that_can_not_be_read_lets_nobody_through(cast, world, unreadable):
    for one in phases(cast, tries.honest()[:3]):
        try:
            state = tries.carry_out(one, cast.actor("Dave"))
        except Exception as error:  # an error is as good as a no
            state = type(error).__name__
        assert state != "done"
    assert sent(world) == []
