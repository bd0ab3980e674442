import json

import pytest

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions.models import Action
from tests.app.commands.conftest import ops
from tests.app.gateway.vendors import always_ask, ask, people

DAVE, TONY = "dave@manageai.example", "tony@manageai.example"


@pytest.fixture
def cast(db):
    cast = people()
    always_ask(cast)
    return cast


def stands(action_id):
    with database.transaction(STAFF) as session:
        return session.get(Action, action_id).state


def test_what_waits_is_listed_shown_and_approved(cast):
    action_id, sha = ask(cast, text="The week in \x1b[31mnumbers.")
    listed = json.loads(ops("actions", "list", "--json"))
    assert [a["id"] for a in listed["actions"]] == [action_id]
    assert "waiting for approval" in ops("actions", "list")
    shown = ops("actions", "show", str(action_id))
    assert "Exactly this is sent" in shown
    assert sha in shown
    assert "\x1b[31m" not in shown
    whole = json.loads(ops("actions", "show", str(action_id), "--json"))
    assert '"channel":"#sales"' in whole["content"]["wire"]
    assert "admin to decide" in ops("actions", "approve", str(action_id), "--as", TONY, fails=True)
    assert "There is no user" in ops("actions", "approve", str(action_id), "--as", "x@y.example", fails=True)
    assert "changed it since" in ops("actions", "approve", str(action_id), "--as", DAVE, "--sha256", "0" * 64, fails=True)
    assert stands(action_id) == "awaiting_approval"
    said = json.loads(ops("actions", "approve", str(action_id), "--as", DAVE, "--sha256", sha, "--json"))
    assert said["state"] == stands(action_id) == "approved"
    assert "Dave was first" in ops("actions", "reject", str(action_id), "--as", DAVE, fails=True)
    assert "Dave approved in the terminal" in ops("actions", "show", str(action_id))


def test_it_is_replied_to_rejected_and_cannot_be_undone_or_resolved_then(cast):
    action_id, _ = ask(cast)
    assert "waits on" in ops("actions", "reply", str(action_id), "Shorter, please.", "--as", DAVE)
    assert "Nothing is sent" in ops("actions", "reject", str(action_id), "--as", DAVE, "--note", "Too long.")
    assert "Only what was done" in ops("actions", "undo", str(action_id), "--as", DAVE, fails=True)
    assert "dismissed" in ops("actions", "resolve", str(action_id), "--did-not-happen", "--as", DAVE, fails=True)
    assert "Nothing needs a person." in ops("actions", "list")
    assert "rejected" in ops("actions", "list", "--group", "all")
    assert "no group" in ops("actions", "list", "--group", "some", fails=True)
    assert "no action 99" in ops("actions", "show", "99", fails=True)


def test_somebody_who_may_not_sign_in_decides_nothing(cast):
    action_id, _ = ask(cast)
    ops("users", "role", TONY, "admin")
    ops("users", "disable", DAVE)
    assert "may not sign in" in ops("actions", "approve", str(action_id), "--as", DAVE, fails=True)
    assert stands(action_id) == "awaiting_approval"


def test_a_person_is_linked_to_slack_and_unlinked(cast):
    assert "linked to U0NEW0001" in ops("users", "slack", TONY, "u0new0001")
    people_ = {p["email"]: p["slack_user_id"] for p in json.loads(ops("users", "list", "--json"))}
    assert people_[TONY] == "U0NEW0001"
    assert "is Tony's" in ops("users", "slack", DAVE, "U0NEW0001", fails=True)
    assert "not a Slack member id" in ops("users", "slack", DAVE, "@dave", fails=True)
    assert json.loads(ops("users", "slack", TONY, "none", "--json")) == {"email": TONY, "slack_user_id": None}
