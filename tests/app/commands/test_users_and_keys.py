import json
import re

import pytest

from core.domains.users import service
from core.kit import db as database
from core.kit.db import STAFF
from tests.app.commands.conftest import ops, shell


def test_a_person_is_added_and_their_link_signs_them_in(db):
    made = json.loads(ops("users", "add", "Tony@manageai.example", "--role", "sales", "--json"))
    assert (made["name"], made["role"], made["expires_in_minutes"]) == ("Tony", "sales", 30)
    first = re.search(r"/auth/link\?token=([\w-]{43})$", made["url"])[1]
    shown = ops("users", "link", "tony@manageai.example")
    second = re.search(r"/auth/link\?token=([\w-]{43})\n", shown)[1]
    with database.transaction(STAFF) as session:
        with pytest.raises(Exception, match="expired or was already used"):
            service.redeem_link(session, first)
        assert service.redeem_link(session, second)[0].name == "Tony"
    people = json.loads(ops("users", "list", "--json"))
    assert [(p["email"], p["sessions"], p["enabled"]) for p in people] == [("tony@manageai.example", 1, True)]
    assert "tony@manageai.example" in ops("users", "list")
    assert "password_hash" not in people[0]


def test_what_can_not_be_is_one_sentence_and_exit_code_one(db):
    assert "There is no user nobody@" in shell("users", "link", "nobody@manageai.example", code=1)
    assert "not an e-mail address" in ops("users", "add", "tony", fails=True)
    assert "There is no role “boss”" in ops("users", "add", "a@manageai.example", "--role", "boss", fails=True)
    ops("users", "add", "dave@manageai.example", "--role", "admin", "--json")
    assert "last admin" in ops("users", "disable", "dave@manageai.example", fails=True)
    assert "nothing is asked for" in ops("users", "password", "dave@manageai.example", "--json", fails=True)


def test_a_password_is_read_from_standard_input(db):
    ops("users", "add", "dan@manageai.example", "--role", "delivery", "--json")
    ops("users", "password", "dan@manageai.example", "--stdin", "--json", stdin="three calm green herons\n")
    with database.transaction(STAFF) as session:
        assert service.sign_in(session, "dan@manageai.example", "three calm green herons", "s").user.name == "Dan"


def test_a_key_is_shown_once_listed_and_revoked(db):
    made = json.loads(ops("keys", "create", "n8n", "--scope", "jobs:read", "--scope", "jobs:run", "--json"))
    with database.transaction(STAFF) as session:
        assert service.authenticate_key(session, made["key"]).scopes == {"jobs:read", "jobs:run"}
    assert made["key"] not in ops("keys", "list", "--json") + ops("keys", "list")
    assert "There is no scope" in ops("keys", "create", "x", "--scope", "everything", fails=True)
    assert json.loads(ops("keys", "revoke", "n8n", "--json")) == {"name": "n8n", "revoked": True}
    with database.transaction(STAFF) as session:
        assert service.authenticate_key(session, made["key"]) is None
    assert "There is no live key" in ops("keys", "revoke", "n8n", fails=True)
