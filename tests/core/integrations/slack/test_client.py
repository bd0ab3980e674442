import json
from datetime import timedelta

import pytest

from core.integrations.slack.check import check
from core.integrations.slack.client import Message, Slack
from core.integrations.slack.errors import SlackRefused, of
from core.kit import clock
from core.kit.http import NoAnswer, NotApplied


def body(key="k1", channel="#sales", text="Hello"):
    return json.dumps(
        {"channel": channel, "text": text, "metadata": {"event_type": "ops_action", "event_payload": {"key": key}}}
    ).encode()


@pytest.fixture
def slack(world):
    return Slack(world.slack.token)


def since():
    return clock.now() - timedelta(minutes=1)


def test_a_message_whose_answer_was_lost_is_found_by_its_key(world, slack):
    world.mode("slack.chat.postMessage", "apply_then_drop", 1)
    with pytest.raises(NoAnswer):
        slack.post(body())
    found = slack.find("#sales", "k1", since())
    assert found is not None
    assert slack.permalink(found).startswith("https://manageai.slack.com/archives/")


def test_one_that_never_arrived_is_certainly_not_there(world, slack):
    world.mode("slack.chat.postMessage", "drop_before", 1)
    with pytest.raises(NoAnswer):
        slack.post(body())
    assert slack.find("#sales", "k1", since()) is None


def test_it_is_found_behind_pages_of_others_and_not_mistaken_for_them(world, slack):
    world.slack.page_size = 7
    mine = slack.post(body("mine"))
    for n in range(30):
        slack.post(body(f"other-{n}", text="mine"))
    assert slack.find("#sales", "mine", since()) == mine
    assert slack.find("sales", "nobody's", since()) is None


def test_somebody_elses_metadata_is_not_ours(world, slack):
    theirs = {"channel": "#sales", "text": "x", "metadata": {"event_type": "task_created", "event_payload": {"key": "k1"}}}
    slack.post(json.dumps(theirs).encode())
    assert slack.find("#sales", "k1", since()) is None


@pytest.mark.parametrize("mode", ["reject_before:500", "malformed", "hang", "drop_before", "429:9"])
def test_a_look_up_that_fails_never_says_absent(world, slack, quick, mode):
    world.slack.page_size = 2
    for n in range(5):
        slack.post(body(f"k{n}"))
    world.mode("slack.conversations.history", mode, range(2, 99))  # the first page is read, the others are not
    with pytest.raises((NoAnswer, NotApplied)):
        slack.find("#sales", "k0", since())


def test_without_the_permission_to_read_nothing_is_known(world, slack):
    slack.post(body())
    world.slack.missing_scopes.add("conversations.history")
    with pytest.raises(SlackRefused, match="permission"):
        slack.find("#sales", "k1", since())


def test_a_channel_that_is_gone_is_not_an_answer(world, slack):
    with pytest.raises(SlackRefused) as caught:
        slack.find("#closed", "k1", since())
    assert caught.value.code == "channel_not_found"


def test_a_direct_message_is_found_too(world, slack):
    sent = slack.post(body(channel="U0TONY00001"))
    assert sent.channel == "D0TONY00001"
    assert slack.find("U0TONY00001", "k1", since()) == sent


def test_a_lost_permalink_does_not_undo_the_post(world, slack, quick):
    sent = slack.post(body())
    for mode in ("hang", "429:5", "malformed", "reject_before"):
        world.mode("slack.chat.getPermalink", mode)
        assert slack.permalink(sent) is None


def test_deleting_and_seeing_that_it_is_gone(world, slack):
    sent = slack.post(body())
    assert slack.exists(sent)
    slack.delete(json.dumps({"channel": sent.channel, "ts": sent.ts}).encode())
    assert not slack.exists(sent)
    with pytest.raises(SlackRefused) as caught:
        slack.delete(json.dumps({"channel": sent.channel, "ts": sent.ts}).encode())
    assert caught.value.code == "message_not_found"
    with pytest.raises(SlackRefused):
        slack.exists(Message("C999NOSUCH", sent.ts))


@pytest.mark.parametrize("word", ["internal_error", "fatal_error", "service_unavailable"])
def test_words_that_may_hide_a_success_are_unclear(word):
    assert isinstance(of(word), NoAnswer)


@pytest.mark.parametrize("word", ["channel_not_found", "is_archived", "invalid_auth", "some_new_word"])
def test_every_other_word_is_a_refusal_in_a_sentence(word):
    error = of(word)
    assert isinstance(error, SlackRefused)
    assert error.message[0].isupper()
    assert error.message.endswith(".")


def test_the_test_button_says_whose_token_it_is(world):
    assert check({}, world.slack.token) == "Works: “ops” in the workspace ManageAI."
    with pytest.raises(SlackRefused, match="does not accept"):
        check({}, "xoxb-wrong")
