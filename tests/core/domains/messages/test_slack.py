"""Slack messages as actions: the bytes that are approved are the bytes that leave, and text stays text."""

import hashlib
import json
from datetime import timedelta

import pytest

from core.errors import BadInput
from core.kit import clock
from core.runtime.actions import kinds
from core.runtime.actions.kinds import Account, Refused, Unclear
from core.runtime.actions.models import Audience
from tests.core.domains.messages.conftest import KEY, drawn, out

POST, DELETE = "slack.post", "slack.delete"


def wire(text, **over):
    return json.loads(drawn(POST, {"channel": "#sales", "text": text, **over}).wire)


def test_what_is_drawn_is_what_is_sent(db, world, slack):
    made = drawn(POST, {"channel": "sales", "text": "**Three** deals moved — Größe."}, slack)
    receipt = kinds.get(POST).send(out(made), slack)
    (call,) = world.applied("slack.chat.postMessage")
    assert call["body_sha256"] == hashlib.sha256(made.wire).hexdigest()
    assert call["key"] == str(KEY)
    assert (made.audience, made.recipients, made.target) == (Audience.INTERNAL, (), "#sales on Slack")
    assert made.title == "Post to #sales: Three deals moved — Größe."
    assert receipt.url.startswith("https://manageai.slack.com/")
    assert drawn(POST, {"channel": "sales", "text": "**Three** deals moved — Größe."}, slack).wire == made.wire


def test_nothing_unfurls_and_nothing_is_linked_by_name(db):
    body = wire("hello")
    flags = ("parse", "link_names", "unfurl_links", "unfurl_media")
    assert [body[k] for k in flags] == ["none", False, False, False]


CALLS = (
    "<!channel>", "<!here>", "<!everyone>", "<!subteam^S123>", "<@U0TONY00001>", "<#C002SALES00>", "<https://evil.example|here>",
    "**<!channel>**", "`<!here>`", "# <!everyone>", "- <!channel>", "[<!channel>](https://a.example/)", "&lt;!channel&gt;",
    "[x](https://a.example/?<!channel>)", "<!date^1^{date}^https://evil.example|x>",
)  # fmt: skip


@pytest.mark.parametrize("text", CALLS)
def test_no_text_can_call_anybody_or_hide_a_link(db, text):
    body = wire(f"Look: {text}", blocks=[{"type": "section", "text": text}, {"type": "header", "text": text}])
    section, header = body["blocks"]
    assert "<" not in body["text"]
    assert "<" not in section["text"]["text"]
    assert section["text"]["verbatim"] is True
    assert header["text"]["type"] == "plain_text"


@pytest.mark.parametrize("word", ["@here", "@channel", "@everyone", "@HERE", "@Channel,", "(@group)"])
def test_words_that_call_everybody_are_broken_up(db, word):
    assert word.lower().strip("(),") not in wire(f"Hey {word} come")["text"].lower()


def test_what_the_person_wrote_stays_readable(db):
    assert wire("a & b < c > d; tony@manageai.example")["text"] == "a &amp; b &lt; c &gt; d; tony@manageai.example"
    assert wire("# Title\n\n- **one**\n- *two*\n1. `x*y`")["text"] == "*Title*\n\n• *one*\n• _two_\n1. `x*y`"
    assert wire("[the deal](https://evil.example/a)")["text"] == "the deal (https://evil.example/a)"


def test_only_a_link_to_this_app_may_stand_behind_words(db, monkeypatch):
    from core.config import get_settings

    monkeypatch.setenv("OPS_PUBLIC_URL", "https://ops.example")
    get_settings.cache_clear()
    assert wire("[open](https://ops.example/action?action=3&x=1)")["text"] == "<https://ops.example/action?action=3&amp;x=1|open>"
    for near in ("https://ops.example.evil.example/", "https://ops.example@evil.example/", "https://ops.examples/"):
        assert wire(f"[open]({near})")["text"] == f"open ({near})"
    monkeypatch.undo()
    get_settings.cache_clear()


def test_characters_that_turn_the_text_around_are_gone(db):
    assert wire("pay \u202e0001$\u202c now\u2066!\x07")["text"] == "pay 0001$ now!"


@pytest.mark.parametrize(
    "payload",
    [
        {"channel": "", "text": "x"},
        {"channel": "#a b", "text": "x"},
        {"channel": "#x\ny", "text": "x"},
        {"channel": "@tony", "text": "x"},
        {"channel": "<!channel>", "text": "x"},
        {"channel": "#sales", "text": "  "},
        {"channel": "#sales", "text": ""},
        {"channel": "#sales", "text": "x", "as_user": True},
        {"channel": ["#sales"], "text": "x"},
        {"text": "x"},
        {"channel": "#sales", "text": "x" * 20_001},
        {"channel": "#sales", "text": "x", "blocks": [{"type": "image"}]},
        {"channel": "#sales", "text": "x", "blocks": [{"type": "buttons", "buttons": [{"label": "a", "url": "javascript:1"}]}]},
        {"channel": "#sales", "text": "x", "blocks": [{"type": "buttons", "buttons": [{"label": "a", "action": "approve"}]}]},
    ],
)
def test_a_payload_that_makes_no_sense_is_refused_in_a_sentence(payload):
    with pytest.raises(BadInput, match=r"^Slack message: .*\. Correct it; nothing was sent\.$"):
        kinds.get(POST).read(payload)


def test_what_grows_too_long_is_refused_rather_than_cut(db):
    with pytest.raises(BadInput, match="too long for Slack"):
        wire("&" * 20_000)


def test_buttons_are_built_as_slack_wants_them(db):
    block = {
        "type": "buttons",
        "buttons": [
            {"label": "Open", "url": "https://ops.example/action?action=3"},
            {"label": "Approve", "action": "ops_approve", "value": "3:ab", "style": "primary"},
        ],
    }
    opens, approves = wire("x", blocks=[block])["blocks"][0]["elements"]
    assert (opens["type"], opens["url"], approves["action_id"], approves["value"]) == (
        "button", "https://ops.example/action?action=3", "ops_approve", "3:ab",
    )  # fmt: skip


def test_a_lost_answer_is_unclear_and_the_look_up_finds_it(db, world, slack):
    made = drawn(POST, {"channel": "#sales", "text": "x"}, slack)
    started = clock.now()
    world.mode("slack.chat.postMessage", "apply_then_drop", 1)
    with pytest.raises(Unclear):
        kinds.get(POST).send(out(made), slack)
    found = kinds.get(POST).look_up(out(made, started), slack)
    assert found.data["channel"] == world.slack.channel_id("sales")
    assert kinds.get(POST).look_up(out(made, started + timedelta(minutes=5)), slack) is None


def test_a_refusal_says_so_and_when_to_come_back(db, world, slack):
    made = drawn(POST, {"channel": "#nowhere", "text": "x"}, slack)
    with pytest.raises(Refused, match="knows no such channel") as caught:
        kinds.get(POST).send(out(made), slack)
    assert not caught.value.retryable
    world.mode("slack.chat.postMessage", "429:12")
    with pytest.raises(Refused) as caught:
        kinds.get(POST).send(out(made), slack)
    assert (caught.value.retryable, caught.value.retry_after_s) == (True, 12.0)


def test_undo_takes_exactly_that_message_back(db, world, slack):
    payload = {"channel": "#sales", "text": "Oops\nmore"}
    kind = kinds.get(POST)
    kind.send(out(drawn(POST, {"channel": "#sales", "text": "before"}, slack)), slack)
    receipt = kind.send(out(drawn(POST, payload, slack)), slack)
    assert kind.undo_kind == DELETE
    undo = drawn(DELETE, kind.undo_payload(payload, receipt), slack)
    assert undo.title == "Take back from #sales: Oops"
    kinds.get(DELETE).send(out(undo), slack)
    assert [m["text"] for m in world.slack.messages[receipt.data["channel"]]] == ["before"]
    (call,) = world.applied("slack.chat.delete")
    assert call["body_sha256"] == hashlib.sha256(undo.wire).hexdigest()


def test_a_deletion_whose_answer_was_lost_is_seen_to_be_done(db, world, slack):
    receipt = kinds.get(POST).send(out(drawn(POST, {"channel": "#sales", "text": "x"}, slack)), slack)
    undo = drawn(DELETE, kinds.get(POST).undo_payload({"text": "x"}, receipt), slack)
    delete = kinds.get(DELETE)
    assert delete.look_up(out(undo), slack) is None
    world.mode("slack.chat.delete", "apply_then_drop", 1)
    with pytest.raises(Unclear):
        delete.send(out(undo), slack)
    assert delete.look_up(out(undo), slack) is not None
    assert delete.send(out(undo), slack).data["found"] is False
    assert len(world.applied("slack.chat.delete")) == 1


def test_a_wrong_token_never_shows_in_what_goes_wrong(db, world):
    account = Account(1, "slack", {}, "xoxb-very-secret")
    made = drawn(POST, {"channel": "#sales", "text": "x"}, account)
    with pytest.raises(Refused) as caught:
        kinds.get(POST).send(out(made), account)
    assert "very-secret" not in str(caught.value) + repr(account) + repr(caught.value.__cause__)
