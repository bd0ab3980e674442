"""Actions over the API: a key reads, proposes and decides little; people decide the rest."""

import pytest
from sqlalchemy import text

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions.models import Action
from tests.app.gateway.conftest import bearer, make_key
from tests.app.gateway.vendors import always_ask, ask, people, policy

MAIL = {"to": "ann@northwind.example", "subject": "Hello", "text": "Good morning."}


@pytest.fixture
def cast(client):
    from core.kit import keyring

    keyring.create()
    cast = people()
    always_ask(cast)
    return cast


def change(action_id, what, **values):
    with database.transaction(STAFF) as session:
        session.execute(text(f"UPDATE actions SET {what} WHERE id = :id"), {"id": action_id, **values})


def decide(client, action_id, sha, word="approve", **more):
    return client.post(f"/api/v1/actions/{action_id}/{word}", json={"payload_sha256": sha, **more})


def test_actions_are_listed_and_shown_with_all_that_is_sent(client, cast):
    ids = [ask(cast, text=f"Message {n}")[0] for n in range(3)]
    page = client.get("/api/v1/actions", params={"group": "needs", "limit": 2}).json()
    rest = client.get("/api/v1/actions", params={"group": "needs", "limit": 2, "after": page["next"]}).json()
    assert [a["id"] for a in page["actions"] + rest["actions"]] == ids
    assert rest["next"] is None
    one = client.get(f"/api/v1/actions/{ids[0]}").json()
    assert one["payload"]["text"] == "Message 0"
    assert '"text":"Message 0"' in one["wire"]
    assert one["verdicts"]
    assert one["story"]
    assert (one["state"], one["requested_by"], one["audience"]) == ("awaiting_approval", "Tony", "internal")
    assert client.get("/api/v1/actions", params={"q": "Message 1"}).json()["actions"][0]["id"] == ids[1]
    assert client.get("/api/v1/actions", params={"kind": "mail.send"}).json()["actions"] == []
    assert client.get("/api/v1/actions", params={"group": "all the rest"}).status_code == 422
    assert client.get("/api/v1/actions/999").status_code == 404


def test_a_key_decides_what_is_harmless_once(client, cast):
    action_id, sha = ask(cast)
    done = decide(client, action_id, sha, note="by the nightly script")
    assert (done.status_code, done.json()["state"]) == (200, "approved")
    again = decide(client, action_id, sha)
    assert again.status_code == 409
    assert "API key test was first" in again.json()["detail"]
    one = client.get(f"/api/v1/actions/{action_id}").json()
    assert [(d["by"], d["via"]) for d in one["decisions"]] == [("API key test", "api")]
    other, sha = ask(cast, text="Another")
    assert decide(client, other, sha, "reject").json()["state"] == "dismissed"


@pytest.mark.parametrize("word", ["approve", "reject"])
@pytest.mark.parametrize(
    "what", ["audience = 'outside'", "cost_minor = 1", "approvals_needed = 2", "origin = 'untrusted'"],
)  # fmt: skip
def test_a_key_is_no_person(client, cast, what, word):
    action_id, sha = ask(cast)
    change(action_id, what)
    answer = decide(client, action_id, sha, word)
    assert answer.status_code == 403
    assert "may not decide" in answer.json()["detail"]
    assert client.get(f"/api/v1/actions/{action_id}").json()["state"] == "awaiting_approval"


def test_only_what_was_read_is_decided(client, cast):
    action_id, sha = ask(cast)
    for wrong in ("0" * 64, sha[::-1]):
        assert decide(client, action_id, wrong).status_code == 409
    for wrong in ("", "x", sha.upper() + "z", None, 7):
        assert decide(client, action_id, wrong).status_code == 422
    assert decide(client, action_id, sha, more=1).status_code == 422
    assert client.post(f"/api/v1/actions/{action_id}/approve").status_code == 422
    assert decide(client, 12345, sha).status_code == 404


def test_what_a_key_proposes_goes_to_a_person_and_never_to_a_key(client, cast):
    policy(cast, "send_mode", mode="live")
    made = client.post("/api/v1/actions", json={"kind": "mail.send", "payload": MAIL, "reason": "The form asked for it."})
    assert made.status_code == 202, made.json()
    assert made.json()["state"] == "awaiting_approval"
    assert made.headers["location"] == made.json()["href"]
    one = client.get(made.json()["href"]).json()
    assert (one["origin"], one["requested_by"]) == ("untrusted", "API key test")
    assert one["provenance"]["to"] == {"origin": "untrusted", "source": "API key test"}
    assert decide(client, one["id"], one["payload_sha256"]).status_code == 403


def test_a_proposal_with_the_same_key_is_made_once(client, cast):
    body = {"kind": "slack.post", "payload": {"channel": "#sales", "text": "Hello"}}
    first, again = (client.post("/api/v1/actions", json=body, headers={"Idempotency-Key": "a"}).json() for _ in range(2))
    assert (first["created"], again["created"]) == (True, False)
    assert first["action_id"] == again["action_id"]
    other = client.post("/api/v1/actions", json=body, headers=bearer(make_key("second")) | {"Idempotency-Key": "a"}).json()
    assert other["action_id"] != first["action_id"]
    assert client.post("/api/v1/actions", json=body, headers={"Idempotency-Key": " "}).status_code == 422


def test_a_key_that_lost_its_scope_meanwhile_proposes_nothing(client, cast):
    with database.transaction(STAFF) as session:
        session.execute(text("UPDATE api_keys SET scopes = '{actions:read,actions:decide}' WHERE name = 'test'"))
    body = {"kind": "slack.post", "payload": {"channel": "#sales", "text": "Hello"}}
    assert client.post("/api/v1/actions", json=body).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "no.such", "payload": {}},
        {"kind": "mail.send", "payload": {"to": "nobody"}},
        {"kind": "mail.send", "payload": MAIL | {"bcc": "x@evil.example"}},
        {"kind": "mail.send", "payload": MAIL | {"subject": "a\r\nBcc: x@evil.example"}},
        {"kind": "mail.send", "payload": MAIL | {"text": "x" * 250_000}},
        {"kind": "mail.send", "payload": MAIL, "org_id": "00000000-0000-4000-8000-0000000000c0"},
        {"kind": "mail.send"},
        [],
    ],
)
def test_a_proposal_nobody_can_read_is_refused(client, cast, body):
    answer = client.post("/api/v1/actions", json=body)
    assert answer.status_code == 422, answer.json()
    with database.transaction(STAFF) as session:
        assert session.execute(text("SELECT count(*) FROM actions")).scalar_one() == 0


def test_undo_is_for_what_was_done_only(client, cast):
    action_id, _ = ask(cast)
    answer = client.post(f"/api/v1/actions/{action_id}/undo")
    assert answer.status_code == 409
    assert "Only what was done" in answer.json()["next_step"]


def test_a_key_undoes_what_a_key_may_do(client, cast, world):
    from core.kit.actor import Actor
    from core.runtime.actions.service import Proposal, propose
    from core.runtime.connections import service as accounts
    from core.runtime.runs.execute import execute

    policy(cast, "approval_kinds", kinds=[])
    with database.transaction(STAFF) as session:
        accounts.save(session, "slack", "main", {}, world.slack.token, Actor("Dave"))
        made = propose(session, Proposal("slack.post", {"channel": "#sales", "text": "Hello"}, cast.actor("Tony")))
        run_id = session.get(Action, made.id).execute_run_id
    execute(run_id, "test")
    answer = client.post(f"/api/v1/actions/{made.id}/undo")
    assert answer.status_code == 202, answer.json()
    assert answer.json()["created"] is True
    again = client.post(f"/api/v1/actions/{made.id}/undo").json()
    assert (again["action_id"], again["created"]) == (answer.json()["action_id"], False)
