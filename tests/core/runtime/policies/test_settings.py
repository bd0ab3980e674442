"""Changing the numbers: bounds, versions, who may, two people, and what is told."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, text

from core.errors import BadInput, Conflict, NotAllowed, NotFound, OpsError
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.audit.models import AuditEntry
from core.runtime.events.models import Event
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.policies import queries, settings
from tests.cast import NORTHWIND_ORG, Cast, make_cast

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def cast(db: None) -> Cast:
    with database.transaction(STAFF) as session:
        made = make_cast(session)
        session.execute(text("UPDATE users SET role = 'admin' WHERE name = 'Brian'"))
    return made


def attempt(work: Callable[[Any], Any]) -> Any:
    with database.transaction(STAFF) as session:
        return work(session)


def test_a_client_has_its_own_over_the_agencys_over_the_built_in(cast: Cast) -> None:
    dave = cast.actor("Dave")
    assert attempt(lambda s: settings.values(s, NORTHWIND_ORG, "rate_limit"))["others"] == 30
    attempt(lambda s: settings.change(s, "rate_limit", {"others": 40}, dave, 0))
    assert attempt(lambda s: settings.values(s, NORTHWIND_ORG, "rate_limit"))["others"] == 40
    done = attempt(lambda s: settings.change(s, "rate_limit", {"others": 5}, dave, 0, NORTHWIND_ORG))
    assert done.values["others"] == 5
    assert attempt(lambda s: settings.values(s, AGENCY_ID, "rate_limit"))["others"] == 40
    attempt(lambda s: settings.change(s, "rate_limit", {"others": None}, dave, done.version, NORTHWIND_ORG))
    assert attempt(lambda s: settings.values(s, NORTHWIND_ORG, "rate_limit"))["others"] == 40


def test_a_change_is_told_and_sealed_with_before_and_after(cast: Cast) -> None:
    done = attempt(lambda s: settings.change(s, "contact_ceiling", {"week": 2}, cast.actor("Dave"), 0))
    assert done.sentence == "Dave changed “How often one person is written to”: One person in 7 days at most: 4 → 2."
    with database.transaction(STAFF) as session:
        event = session.execute(select(Event).where(Event.type == "policy.changed")).scalar_one()
        entry = session.execute(select(AuditEntry).where(AuditEntry.what == "policy.changed")).scalar_one()
        view = queries.one(session, "contact_ceiling")
    assert (event.payload["before"], event.payload["after"]) == ({"week": 4}, {"week": 2})
    assert entry.actor == "Dave"
    assert entry.detail["after"] == {"week": 2}
    assert [c.by for c in view.changes] == ["Dave"]
    assert view.line.edited_by == "Dave"


def test_of_two_at_once_one_wins_and_the_other_is_told(cast: Cast) -> None:
    attempt(lambda s: settings.change(s, "rate_limit", {"others": 40}, cast.actor("Dave"), 0))
    with pytest.raises(Conflict, match="Dave changed"):
        attempt(lambda s: settings.change(s, "rate_limit", {"others": 50}, cast.actor("Brian"), 0))
    assert attempt(lambda s: settings.values(s, AGENCY_ID, "rate_limit"))["others"] == 40


@pytest.mark.parametrize(
    "by",
    [
        Actor("Tony", "user", 4),
        Actor("A key", "api", 1),
        Actor("Sales AI", "run", 1),
        Actor("Nobody", "user", 99),
        Actor("cli", "cli"),
    ],
)
def test_only_an_admin_may(cast: Cast, by: Actor) -> None:
    with pytest.raises(NotAllowed):
        attempt(lambda s: settings.change(s, "rate_limit", {"others": 40}, by, 0))


def test_an_admin_who_is_none_any_more_may_not(cast: Cast) -> None:
    with database.transaction(STAFF) as session:
        session.execute(text("UPDATE users SET role = 'sales' WHERE name = 'Dave'"))
    with pytest.raises(NotAllowed):
        attempt(lambda s: settings.change(s, "rate_limit", {"others": 40}, cast.actor("Dave"), 0))


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("rate_limit", {"others": -1}, "between 0 and 5,000"),
    ("rate_limit", {"others": 1.5}, "whole number"),
    ("rate_limit", {"others": True}, "a number"),
    ("rate_limit", {"others": float("nan")}, "a number"),
    ("rate_limit", {"nothing": 1}, "has no number"),
    ("rate_limit", {"window_s": 3}, "between 60 and 86,400"),
    ("rate_limit", {"kinds": {"Mail!": 3}}, "no kind of action"),
    ("rate_limit", {"kinds": {"mail.send": 9999}}, "between"),
    ("send_mode", {"mode": "everywhere"}, "is one of"),
    ("send_mode", {"our_domains": ["gmail.com"]}, "not a domain of yours alone"),
    ("send_mode", {"our_domains": ["not a domain"]}, "no domain"),
    ("contact_ceiling", {"quiet_from": "9 pm"}, "time of day"),
    ("contact_ceiling", {"quiet": 1}, "yes or no"),
    ("sensitive_patterns", {"words": ["re:("]}, "no regular expression"),
    ("sensitive_patterns", {"words": ["re:(a+)+b"]}, "take for ever"),
    ("sensitive_patterns", {"words": ["re:.*"]}, "fits every text"),
    ("sensitive_patterns", {"words": "password"}, "is a list"),
    ("money_ceilings", {"day": {"usd": 5}}, "no currency"),
    ("money_ceilings", {"day": {"USD": -5}}, "between"),
    ("agent_kinds", {"may": {"Sales AI": "mail.send"}}, "by agent"),
    ("agent_kinds", {"may": {"Sales AI": ["everything"]}}, "no kind of action"),
]


@pytest.mark.parametrize(("policy", "changes", "sentence"), BAD, ids=[f"{p}-{n}" for n, (p, _, _) in enumerate(BAD)])
def test_a_number_that_cannot_be_is_refused_in_one_sentence(
    cast: Cast, policy: str, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence) as refused:
        attempt(lambda s: settings.change(s, policy, changes, cast.actor("Dave"), 0))
    assert refused.value.next_step
    with pytest.raises(NotFound):
        attempt(lambda s: settings.change(s, "no_such", {}, cast.actor("Dave"), 0))


def test_nothing_changed_is_said(cast: Cast) -> None:
    with pytest.raises(BadInput, match="Nothing was changed"):
        attempt(lambda s: settings.change(s, "rate_limit", {}, cast.actor("Dave"), 0))


@pytest.mark.parametrize("policy", ["money_ceilings", "two_people"])
def test_money_takes_two_admins(cast: Cast, policy: str) -> None:
    key = "day" if policy == "money_ceilings" else "start"
    dave, brian = cast.actor("Dave"), cast.actor("Brian")
    before = attempt(lambda s: settings.values(s, AGENCY_ID, policy))
    asked = attempt(lambda s: settings.change(s, policy, {key: {"USD": 900_000}}, dave, 0))
    assert asked.pending
    assert attempt(lambda s: settings.values(s, AGENCY_ID, policy)) == before
    with pytest.raises(NotAllowed, match="yourself"):
        attempt(lambda s: settings.confirm(s, policy, dave, asked.version))
    with pytest.raises(NotAllowed):
        attempt(lambda s: settings.confirm(s, policy, cast.actor("Tony"), asked.version))
    with pytest.raises(Conflict):
        attempt(lambda s: settings.confirm(s, policy, brian, asked.version - 1))
    done = attempt(lambda s: settings.confirm(s, policy, brian, asked.version))
    assert not done.pending
    assert attempt(lambda s: settings.values(s, AGENCY_ID, policy))[key] == {"USD": 900_000}
    with pytest.raises(Conflict, match="no change that waits"):
        attempt(lambda s: settings.confirm(s, policy, brian, done.version))


def test_who_replaces_a_waiting_change_can_not_have_it_confirmed_by_its_first_asker_unseen(cast: Cast) -> None:
    dave, brian = cast.actor("Dave"), cast.actor("Brian")
    first = attempt(lambda s: settings.change(s, "two_people", {"start": {"USD": 20_000}}, dave, 0))
    second = attempt(lambda s: settings.change(s, "two_people", {"start": {"USD": 1_000_000_000}}, brian, first.version))
    with pytest.raises(Conflict, match="Brian changed"):
        attempt(lambda s: settings.confirm(s, "two_people", dave, first.version))
    with pytest.raises(NotAllowed, match="yourself"):
        attempt(lambda s: settings.confirm(s, "two_people", brian, second.version))


def test_an_asker_who_is_no_admin_any_more_does_not_count_and_a_change_can_be_dropped(cast: Cast) -> None:
    dave, brian = cast.actor("Dave"), cast.actor("Brian")
    asked = attempt(lambda s: settings.change(s, "two_people", {"start": {"USD": 20_000}}, dave, 0))
    with database.transaction(STAFF) as session:
        session.execute(text("UPDATE users SET disabled_at = now() WHERE name = 'Dave'"))
    with pytest.raises(OpsError, match="no admin any more"):
        attempt(lambda s: settings.confirm(s, "two_people", brian, asked.version))
    dropped = attempt(lambda s: settings.drop(s, "two_people", brian, asked.version))
    assert not dropped.pending
    assert attempt(lambda s: settings.setting(s, "two_people")).pending is None
