"""Slack's buttons: signed now, taken once, decided by whoever that Slack account is, and the loser sees who won."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from core.domains.users import service as users
from core.errors import Conflict
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions import service
from core.runtime.actions.models import Action, Decided
from core.runtime.notifications import blocks
from tests.app.gateway.vendors import (
    OLD_SLACK_SECRET,
    SLACK_SECRET,
    always_ask,
    ask,
    click,
    enter,
    people,
    press,
    slack_headers,
)
from tests.tools.database import sql


@pytest.fixture
def cast(db):
    cast = people()
    always_ask(cast)
    return cast


@pytest.fixture
def public(app, cast):
    enter("slack_signing", SLACK_SECRET)
    return TestClient(app, raise_server_exceptions=False)


def stands(action_id):
    with database.transaction(STAFF) as session:
        return session.get(Action, action_id).state


def change(action_id, what, **values):
    with database.transaction(STAFF) as session:
        session.execute(text(f"UPDATE actions SET {what} WHERE id = :id"), {"id": action_id, **values})


def test_a_click_approves_and_the_message_says_who(public, cast):
    action_id, sha = ask(cast)
    answer = press(public, click("Dave", action_id, sha))
    said = answer.json()
    assert (answer.status_code, said["replace_original"]) == (200, True)
    assert "Dave approved it. Approved. It is on its way." in said["text"]
    assert '"ops_approve"' not in json.dumps(said)
    assert stands(action_id) == "approved"
    line = sql("SELECT by, via FROM action_decisions")
    assert [tuple(r) for r in line] == [("Dave", "slack")]


def test_a_click_rejects(public, cast):
    action_id, sha = ask(cast)
    assert "Dave rejected it" in press(public, click("Dave", action_id, sha, blocks.REJECT)).json()["text"]
    assert stands(action_id) == "dismissed"


def test_the_loser_sees_who_won_and_the_buttons_go(public, cast):
    action_id, sha = ask(cast)
    with database.transaction(STAFF) as session:
        users.set_role(session, cast.users["Brian"], "admin")
        service.decide(session, action_id, Decided.REJECT, cast.actor("Brian"), payload_sha256=sha, via="web")
    said = press(public, click("Dave", action_id, sha)).json()
    assert said["replace_original"] is True
    assert "Brian was first: it is dismissed." in said["text"]
    assert [e["action_id"] for b in said["blocks"] if b["type"] == "actions" for e in b["elements"]] == [blocks.OPEN]


def test_slack_and_browser_at_once_are_one_transition(public, cast):
    action_id, sha = ask(cast)

    def one(n):
        if n % 2:
            return press(public, click("Dave", action_id, sha)).json()["text"]
        try:
            with database.transaction(STAFF) as session:
                return service.decide(
                    session, action_id, Decided.APPROVE, cast.actor("Dave"), payload_sha256=sha, via="web"
                ).sentence
        except Conflict as error:
            return str(error)

    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(one, range(100)))
    won = [s for s in said if "It is on its way" in s]
    lost = [s for s in said if "Dave was first" in s]
    assert (len(won), len(lost)) == (1, 99)
    assert sql("SELECT count(*) FROM action_decisions")[0][0] == 1
    assert sql("SELECT count(*) FROM runs WHERE kind = 'action.execute'")[0][0] == 1


def test_the_same_click_again_does_nothing(public, cast):
    action_id, sha = ask(cast)
    body = click("Brian", action_id, sha)  # may not decide: even what changed nothing is taken once
    for sent in (body, click("Dave", action_id, sha)):
        headers = slack_headers(sent)
        assert public.post("/slack/interactive", content=sent, headers=headers).status_code == 200
        assert public.post("/slack/interactive", content=sent, headers=headers).status_code == 409
    assert sql("SELECT count(*) FROM action_decisions")[0][0] == 1


def test_somebody_who_is_not_linked_is_told_so_alone(public, cast):
    action_id, sha = ask(cast)
    said = press(public, click("U0STRANGER", action_id, sha)).json()
    assert (said["response_type"], said["replace_original"]) == ("ephemeral", False)
    assert "not linked" in said["text"]
    assert "ops users slack YOUR-ADDRESS U0STRANGER" in said["text"]
    assert stands(action_id) == "awaiting_approval"


def test_whoever_may_not_decide_or_sign_in_decides_nothing(public, cast):
    action_id, sha = ask(cast)
    assert "admin to decide" in press(public, click("Tony", action_id, sha)).json()["text"]
    with database.transaction(STAFF) as session:
        users.set_role(session, cast.users["Brian"], "admin")
        users.disable(session, cast.users["Dave"])
    assert "not linked" in press(public, click("Dave", action_id, sha)).json()["text"]
    assert stands(action_id) == "awaiting_approval"


NOT_HERE = {
    "money": ("cost_minor = 4200", {}),
    "two people": ("approvals_needed = 2", {}),
    "untrusted": ("origin = 'untrusted'", {}),
    "a value from outside": (
        "provenance = CAST(:p AS jsonb)", {"p": '{"channel": {"origin": "untrusted", "source": "a form"}}'},
    ),
    "facts have changed": ("stale = CAST(:p AS jsonb)", {"p": '{"changed": []}'}),
    "longer than is shown": ("payload = CAST(:p AS jsonb)", {"p": json.dumps({"channel": "#sales", "text": "x" * 9000})}),
}  # fmt: skip


@pytest.mark.parametrize("what", NOT_HERE.values(), ids=NOT_HERE.keys())
def test_what_needs_a_closer_look_is_not_decided_by_a_tap(public, cast, what):
    action_id, sha = ask(cast)
    change(action_id, what[0], **what[1])
    said = press(public, click("Dave", action_id, sha)).json()
    assert said["response_type"] == "ephemeral"
    assert "Open it to decide" in said["text"]
    assert f"/action?action={action_id}" in said["text"]
    assert stands(action_id) == "awaiting_approval"
    with database.transaction(STAFF) as session:
        made = blocks.approval_blocks(session.get(Action, action_id), "https://ops.example.com")
    assert [b["label"] for row in made if row["type"] == "buttons" for b in row["buttons"]] == ["Open"]


def test_a_notice_of_an_older_version_decides_nothing(public, cast):
    action_id, sha = ask(cast)
    with database.transaction(STAFF) as session:
        service.edit(session, action_id, {"text": "Other words."}, cast.actor("Dave"), payload_sha256=sha, via="web")
    said = press(public, click("Dave", action_id, sha)).json()
    assert "changed it since you opened it" in said["text"]
    assert stands(action_id) == "awaiting_approval"


def test_the_notice_shows_every_word_and_what_happens_otherwise(public, cast):
    action_id, _ = ask(cast, text="Hello <!channel> & <https://evil.example|friends>")
    with database.transaction(STAFF) as session:
        action = session.get(Action, action_id)
        made, line = blocks.approval_blocks(action, "https://ops.example.com/"), blocks.approval_text(action)
    shown = json.dumps(made, ensure_ascii=False)
    assert line.startswith("Tony asks: ")
    assert "Hello <!channel> & <https://evil.example|friends>" in shown
    assert "it is dropped and nothing is sent" in shown
    buttons = [b for row in made if row["type"] == "buttons" for b in row["buttons"]]
    assert [b["label"] for b in buttons] == ["Approve: Post to Slack", "Reject", "Open"]
    assert buttons[2]["url"] == f"https://ops.example.com/action?action={action_id}"
    assert blocks.read_value(buttons[0]["value"]) == (action_id, action.payload_sha256)


@pytest.mark.parametrize("letters", ["&" * 2400, "<" * 2400, "*a* " * 500, "\U0001f600" * 1200, "\n" * 100 + "x", "`" * 2000])
def test_the_notice_is_always_something_slack_takes(public, cast, letters):
    action_id, _ = ask(cast, text=letters + " end")
    with database.transaction(STAFF) as session:
        action = session.get(Action, action_id)
        payload = {"channel": "#ops", "text": blocks.approval_text(action),
                   "blocks": blocks.approval_blocks(action, "https://ops.example.com")}  # fmt: skip
        made = service.propose(session, service.Proposal("slack.post", payload, cast.actor("Dave")))
        wire = json.loads(session.get(Action, made.id).wire)
    for block in wire["blocks"]:
        if block["type"] == "section":
            assert 1 <= len(block["text"]["text"]) <= 3000
            assert "<!" not in block["text"]["text"]
    assert len(wire["blocks"]) <= 50


FORGED = {
    "another secret": lambda b: slack_headers(b, OLD_SLACK_SECRET),
    "an empty secret": lambda b: slack_headers(b, ""),
    "no headers": lambda b: {},
    "no signature": lambda b: slack_headers(b) | {"x-slack-signature": ""},
    "no time": lambda b: slack_headers(b) | {"x-slack-request-timestamp": ""},
    "another time": lambda b: slack_headers(b) | {"x-slack-request-timestamp": str(int(time.time()) - 5)},
    "too old": lambda b: slack_headers(b, at=time.time() - 400),
    "too far ahead": lambda b: slack_headers(b, at=time.time() + 400),
    "capitals": lambda b: slack_headers(b) | {"x-slack-signature": slack_headers(b)["x-slack-signature"].upper()},
    "another version": lambda b: slack_headers(b) | {"x-slack-signature": "v1=" + slack_headers(b)["x-slack-signature"][3:]},
    "bare": lambda b: slack_headers(b) | {"x-slack-signature": slack_headers(b)["x-slack-signature"][3:]},
    "time with a sign": lambda b: slack_headers(b) | {"x-slack-request-timestamp": f"+{int(time.time())}"},
    "no ascii": lambda b: slack_headers(b) | {"x-slack-signature": "v0=é".encode().decode("latin-1")},
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED.keys())
def test_what_is_not_signed_now_by_slack_is_refused_and_leaves_no_row(public, cast, headers):
    action_id, sha = ask(cast)
    body = click("Dave", action_id, sha)
    made = {k: v.encode("latin-1") for k, v in headers(body).items()}
    answer = public.post("/slack/interactive", content=body, headers=made)
    assert answer.status_code == 401
    assert stands(action_id) == "awaiting_approval"
    assert sql("SELECT 1 FROM signed_requests") == []


@pytest.mark.parametrize("seconds", [-200, 200])
def test_minutes_either_way_are_taken(public, cast, seconds):
    action_id, sha = ask(cast)
    assert press(public, click("Dave", action_id, sha), at=time.time() + seconds).status_code == 200
    assert stands(action_id) == "approved"


def test_while_the_secret_changes_both_are_good(public, cast):
    enter("slack_signing", f"{SLACK_SECRET} {OLD_SLACK_SECRET}")
    for secret in (SLACK_SECRET, OLD_SLACK_SECRET):
        action_id, sha = ask(cast, text=secret)
        assert press(public, click("Dave", action_id, sha), secret=secret).status_code == 200
        assert stands(action_id) == "approved"
    enter("slack_signing", SLACK_SECRET)
    assert press(public, click("Dave", 1, "0" * 64), secret=OLD_SLACK_SECRET).status_code == 401


def test_without_a_secret_it_is_closed(app, cast):
    action_id, sha = ask(cast)
    answer = press(TestClient(app, raise_server_exceptions=False), click("Dave", action_id, sha))
    assert answer.status_code == 503
    assert "closed" in answer.json()["detail"]
    assert stands(action_id) == "awaiting_approval"


@pytest.mark.parametrize(
    "value",
    ["", "{}", "[]", "null", '{"action": true, "sha256": "x"}', '{"action": -1, "sha256": "' + "0" * 64 + '"}', "[" * 5000,
     '{"action": 1e999, "sha256": "' + "0" * 64 + '"}', '{"action": 99999999999999999999, "sha256": "' + "0" * 64 + '"}'],
)  # fmt: skip
def test_another_value_is_nothing_of_ours(public, cast, value):
    answer = press(public, click("Dave", 1, "0" * 64, value=value))
    assert (answer.status_code, answer.json()) == (200, {})


@pytest.mark.parametrize(
    "body",
    [b"", b"payload=", b"payload=nope", b"x=1", b"payload=%5B%5D", b"payload=" + b"%5B" * 20_000, b"\xff\xfe", b"a=1&" * 50,
     b"payload=%7B%22type%22%3A%22view_submission%22%7D"],
)  # fmt: skip
def test_a_signed_form_that_is_no_click_does_nothing(public, body):
    answer = press(public, body)
    assert (answer.status_code, answer.json()) == (200, {})


def test_an_item_that_is_gone(public):
    assert "no such item" in press(public, click("Dave", 12345, "0" * 64)).json()["text"]


def test_slack_learns_of_it_where_it_reads_answers(public, cast, world):
    action_id, sha = ask(cast)
    heard = world.server.mounts
    seen = []

    def hook(exchange):
        seen.append((exchange.seen.path, json.loads(exchange.seen.body), exchange.seen.headers))
        exchange.send_json(200, {"ok": True})

    heard["/hooks"] = hook
    press(public, click("Dave", action_id, sha, answer_to=f"{world.url}/hooks/T0/1/abc"))
    assert [(p, b["replace_original"]) for p, b, _ in seen] == [("/hooks/T0/1/abc", True)]
    assert "Dave approved it" in seen[0][1]["text"]
    assert "authorization" not in seen[0][2], "no key goes along"


@pytest.mark.parametrize(
    "where",
    ["https://evil.example/x", "http://hooks.slack.com/x", "https://hooks.slack.com.evil.example/x", "file:///etc/passwd",
     "https://hooks.slack.com@evil.example/x", "https://evil.example#hooks.slack.com/", "//hooks.slack.com/x", "http://[::1",
     "https://hooks.slack.com:444/x", "http://169.254.169.254/latest", "\x00"],
)  # fmt: skip
def test_an_answer_goes_to_slack_and_nowhere_else(where):
    from core.errors import BadInput
    from core.integrations.slack.answer import answer

    with pytest.raises(BadInput):
        answer(where, {"text": "x"})


def test_nothing_is_told_to_slack_while_everything_is_stopped(public, cast, world):
    from core.runtime.switches import service as switches

    seen = []
    world.server.mounts["/hooks"] = lambda exchange: (seen.append(1), exchange.send_json(200, {}))
    action_id, sha = ask(cast)
    with database.transaction(STAFF) as session:
        switches.pull(session, "everything", "A test of the switch.", cast.actor("Dave"))
    answer = press(public, click("Dave", action_id, sha, answer_to=f"{world.url}/hooks/T0/1/abc"))
    assert answer.status_code == 200
    assert seen == []
    assert stands(action_id) == "approved"


def test_slack_gets_its_answer_in_time_though_the_decision_waits(public, cast, monkeypatch):
    """Somebody holds the row: Slack is answered, the decision is made afterwards."""
    from app.gateway import slack

    monkeypatch.setattr(slack, "ANSWER_S", 0.3)
    action_id, sha = ask(cast)
    with ThreadPoolExecutor(1) as pool:
        with database.transaction(STAFF) as session:
            session.get(Action, action_id, with_for_update=True)
            began = time.perf_counter()
            # the test client waits for what runs after the answer as well, so ask in a thread and look at the answer's own time
            waiting = pool.submit(press, public, click("Dave", action_id, sha))
            while time.perf_counter() - began < 0.6:
                assert not sql("SELECT 1 FROM action_decisions")
        answer = waiting.result(timeout=20)
    assert (answer.status_code, answer.json()) == (200, {})
    assert stands(action_id) == "approved"


def test_a_slack_account_belongs_to_one_person(cast):
    with database.transaction(STAFF) as session, pytest.raises(Conflict, match="Dave's"):
        users.set_slack(session, cast.users["Robert"], " u0dave001 ")
    with database.transaction(STAFF) as session:
        users.set_slack(session, cast.users["Dave"], None)
        users.set_slack(session, cast.users["Robert"], "U0DAVE001")
        from core.runtime.orgs import people as directory

        assert directory.by_slack(session, "U0DAVE001").name == "Robert"
