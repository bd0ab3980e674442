from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from app.ui.activity import FAMILIES
from core.domains.delivery import links
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.events.queries import EventFilter, list_events
from tests.cast import make_cast
from tests.core.domains.delivery.scene import ticket


def test_a_link_to_a_build_finds_its_events_on_the_activity_page(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        mine = ticket(session, title="50% off & more", since=datetime(2026, 1, 1, tzinfo=UTC))
        ticket(session, title="Other")
        asked = parse_qs(urlsplit(links.ticket("50% off & more")).query)
        types = FAMILIES[asked["kind"][0]][1]
        found = list_events(session, EventFilter(types=types, text=asked["q"][0])).rows
        assert [e.subject_id for e in found] == [mine]


def test_every_link_names_a_family_of_the_activity_page():
    for link in (links.TICKET_EVENTS, links.DEPLOYMENT_EVENTS, links.CLIENT_EVENTS, links.client("X"), links.status("Closed")):
        assert parse_qs(urlsplit(link).query)["kind"][0] in FAMILIES
