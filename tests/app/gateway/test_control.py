"""The kill switch over the API: a key stops, and never resumes."""

import pytest

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.switches import service
from tests.app.gateway.conftest import bearer, make_key
from tests.cast import CORNERSTONE_ORG, make_cast


@pytest.fixture
def key(client):
    with database.transaction(STAFF) as session:
        make_cast(session)
    return bearer(make_key("pager", ["control:write"]))


def test_a_key_stops_everything_once_and_sees_it(client, key):
    assert client.get("/api/v1/kill", headers=key).json() == {"stopped": False, "environment": None, "held": 0, "switches": []}
    first = client.post("/api/v1/kill", headers=key, json={"reason": "Too many mails."})
    again = client.post("/api/v1/kill", headers=key, json={"reason": "Still too many."})
    assert (first.status_code, first.json()["created"]) == (200, True)
    assert (again.json()["id"], again.json()["created"]) == (first.json()["id"], False)
    shown = client.get("/api/v1/kill", headers=key).json()
    assert shown["stopped"]
    assert [(s["reach"], s["by"], s["reason"]) for s in shown["switches"]] == [("everything", "API key pager", "Too many mails.")]


def test_one_organisation_or_one_agent(client, key):
    client.post("/api/v1/kill", headers=key, json={"reason": "x", "organisation": "cornerstone"})
    client.post("/api/v1/kill", headers=key, json={"reason": "x", "agent": "Sales AI"})
    with database.transaction(STAFF) as session:
        assert [s["reach"] for s in service.stops(session, CORNERSTONE_ORG, None)] == ["organisation"]
        assert len(service.stops(session, CORNERSTONE_ORG, "Sales AI")) == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"reason": "  "}, 422),
        ({"reason": "x", "reach": "everything"}, 422),
        ({"reason": "x", "organisation": "Nobody"}, 404),
        ({"reason": "x", "agent": "Nobody"}, 422),
        ({"reason": "x", "organisation": "Cornerstone", "agent": "Sales AI"}, 422),
    ],
)
def test_what_it_does_not_understand_stops_nothing(client, key, body, status):
    assert client.post("/api/v1/kill", headers=key, json=body).status_code == status
    assert not client.get("/api/v1/kill", headers=key).json()["stopped"]


def test_a_mistyped_organisation_gets_the_nearest_name(client, key):
    answer = client.post("/api/v1/kill", headers=key, json={"reason": "x", "organisation": "cornerston"})
    assert "Did you mean “Cornerstone”?" in answer.text
