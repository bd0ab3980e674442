"""`ops kill` and `ops resume`."""

import json

from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.switches import service
from tests.app.commands.conftest import ops, shell
from tests.cast import CORNERSTONE_ORG


def test_stop_everything_and_resume_it_with_an_admin(cast):
    assert ops("kill", "status") == "Nothing is stopped.\n"
    said = ops("kill", "--reason", "A client got the wrong mail.")
    assert "The server's command line stopped everything: A client got the wrong mail." in said
    assert "stopped everything already" in ops("kill", "--reason", "Again.")
    shown = json.loads(ops("kill", "status", "--json"))
    assert (shown["stopped"], shown["held"], shown["switches"][0]["reach"]) == (True, 0, "everything")
    number = str(shown["switches"][0]["id"])
    assert "A second admin has to agree" in ops("resume", number)
    assert "two people" in ops("resume", number, fails=True)
    assert "The server's command" in ops("kill", "status")
    with database.transaction(STAFF) as session:
        assert service.resume(session, int(number), Actor("Dave", "user", cast.users["Dave"])).done
    assert "has resumed everything already" in ops("resume", number, fails=True)
    assert json.loads(ops("kill", "status", "--json"))["stopped"] is False


def test_one_organisation_and_one_agent(cast):
    ops("kill", "--org", "cornerstone", "--reason", "They asked us to.")
    ops("kill", "--agent", "sales ai", "--reason", "It is wrong.", "--json")
    with database.transaction(STAFF) as session:
        assert len(service.stops(session, CORNERSTONE_ORG, "Sales AI")) == 2
    assert "Did you mean “Cornerstone”?" in ops("kill", "--org", "Cornerston", "--reason", "x", fails=True)
    assert "Known: " in ops("kill", "--agent", "Nobody", "--reason", "x", fails=True)
    assert "not both" in ops("kill", "--agent", "Sales AI", "--org", "Cornerstone", "--reason", "x", fails=True)
    assert "Say why" in ops("kill", fails=True)


def test_the_environment_shows_too(cast, monkeypatch):
    monkeypatch.setenv("OPS_KILL_SWITCH", "1")
    assert "stopped by the environment" in shell("kill", "status")
    assert "There is no kill switch 77." in shell("resume", "77", code=1)
