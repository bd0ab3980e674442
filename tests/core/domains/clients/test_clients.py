from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from core.domains.clients import queries, rules, service
from core.domains.clients.facts import quiet_clients
from core.domains.clients.models import Client, ClientStatus
from core.domains.clients.service import NewClient
from core.errors import BadInput, Conflict, NotFound
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.agents.facts import FactContext
from core.runtime.events.models import Event
from core.runtime.orgs.models import AGENCY_ID, Organisation
from tests.cast import make_cast
from tests.core.domains.delivery.scene import ticket
from tests.core.domains.delivery.test_facts import collect, said
from tests.core.domains.jobs import change_client
from tests.tools import counting

NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
WHEN = FactContext(NOW, ZoneInfo("America/Chicago"), AGENCY_ID)


def test_a_new_client_gets_an_organisation_of_its_own(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        made = service.create(session, NewClient("  Harborlight   Logistics ", plan="Growth", time_zone="Europe/London"),
                              cast.actor("Dan"))  # fmt: skip
        client = queries.get(session, made)
        org = session.get(Organisation, client.org_id)
        assert (client.name, org.name, org.kind, org.time_zone) == (
            "Harborlight Logistics", "Harborlight Logistics", "client", "Europe/London",
        )  # fmt: skip
        event = session.scalars(select(Event)).one()
        assert (event.type, event.org_id, event.subject_id) == ("client.created", client.org_id, made)
    with database.transaction(client.org_id) as session:
        assert [c.name for c in queries.list_clients(session).rows] == ["Harborlight Logistics"]


def test_a_client_needs_a_name_of_its_own(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        with pytest.raises(Conflict, match="Cornerstone already"):
            service.create(session, NewClient("cornerSTONE"), cast.actor("Dan"))
        with pytest.raises(BadInput):
            service.create(session, NewClient(" "), cast.actor("Dan"))
        with pytest.raises(BadInput):
            service.create(session, NewClient("X", retainer_minor=-1), cast.actor("Dan"))
        with pytest.raises(NotFound):
            queries.get(session, 99)


def test_status_and_health_tell_people_when_they_turn_bad(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        dan = cast.actor("Dan")
        for _ in range(2):
            service.set_status(session, cast.cornerstone, ClientStatus.AT_RISK, dan, reason="no answer")
        for score in (rules.UNHAPPY_BELOW, rules.UNHAPPY_BELOW - 1, rules.UNHAPPY_BELOW - 2, rules.UNHAPPY_BELOW - 2):
            service.set_health(session, cast.northwind, score, dan)
        events = list(session.scalars(select(Event).order_by(Event.id)))
        assert [(e.type, e.priority) for e in events] == [
            ("client.at_risk", "high"), ("client.health", "low"), ("client.health_low", "high"), ("client.health", "low"),
        ]  # fmt: skip
        assert [e.payload["from"] for e in events] == ["active", 100, 60, 59]
        assert events[0].summary == "Dan marked Cornerstone as at risk: no answer."
        with pytest.raises(BadInput):
            service.set_health(session, cast.northwind, 101, dan)


@pytest.mark.parametrize(
    ("status", "health", "wanted"),
    [
        ("active", rules.UNHAPPY_BELOW, False),
        ("active", rules.UNHAPPY_BELOW - 1, True),
        ("at_risk", 100, True),
        ("paused", 0, False),
        ("churned", 0, False),
    ],
)
def test_who_needs_attention_is_the_same_in_rules_and_in_sql(db, status, health, wanted):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        change_client(session, cast.cornerstone, status=status, health_score=health)
        assert rules.needs_attention(status, health) is wanted
        assert [c.id for c in queries.needing_attention(session).rows] == ([cast.cornerstone] if wanted else [])


def test_quiet_means_thirty_days_without_ticket_activity(db):
    limit = NOW - timedelta(days=rules.QUIET_DAYS)
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        ticket(session, client=cast.cornerstone, since=limit)
        ticket(session, client=cast.cornerstone, since=limit - timedelta(days=9))
        ticket(session, client=cast.northwind, since=limit + timedelta(seconds=1))
        assert [(c.name, at) for c, at in quiet_clients(session, WHEN)] == [("Cornerstone", limit)]
        section, _ = collect(session, "clients.quiet", WHEN)
        assert "1 client without ticket activity for 30 days or longer." in said(section)
        assert "• Cornerstone: no activity for 30 days." in said(section)


def test_a_client_without_tickets_is_quiet_only_when_it_has_been_ours_for_long(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        change_client(session, cast.cornerstone, since=date(2026, 10, 19))  # thirty days ago
        change_client(session, cast.northwind, since=date(2026, 10, 20))
        assert [c.name for c, _ in quiet_clients(session, WHEN)] == ["Cornerstone"]
        change_client(session, cast.cornerstone, status="churned")
        assert quiet_clients(session, WHEN) == []


def test_retainers_are_never_added_up_over_currencies(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        change_client(session, cast.cornerstone, retainer_minor=5_000_00, currency="USD")
        change_client(session, cast.northwind, retainer_minor=900_00, currency="EUR")
        session.add(Client(org_id=AGENCY_ID, name="Paused", status="paused", retainer_minor=1_00))
        session.flush()
        assert [(t.currency, t.clients, t.minor) for t in queries.retainer_totals(session)] == [
            ("USD", 1, 5_000_00), ("EUR", 1, 900_00),
        ]  # fmt: skip
        section, found = collect(session, "clients.retainers", WHEN)
        assert found["count"].value == 2
        assert "worth $5,000 a month" in said(section)
        assert "worth €900 a month" in said(section)


def test_lists_cost_two_queries(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        with counting.queries() as asked:
            assert queries.list_clients(session, statuses=["active"]).total == 2
        assert len(asked) == 2
