"""Every way a vendor can fail, against every connector that writes over HTTP: the same rule for all of them."""

import hashlib
import json
import socket
import time

import pytest

from core.errors import BadInput
from core.integrations.pipedrive.writes import PipedriveWrites
from core.integrations.resend.client import Resend
from core.integrations.slack.client import Slack
from core.kit.http import Caller, NotApplied, retry_after
from tests.core.integrations.matrix import DONE, HTTP, LATER, REFUSED, UNCLEAR, outcome

MAIL = {"from": "ops@manageai.example", "to": ["nora@northwind.example"], "subject": "Hi", "text": "Hello"}
BODIES = {
    "slack.chat.postMessage": json.dumps({"channel": "#sales", "text": "Héllo"}).encode(),
    "resend.emails": json.dumps(MAIL, ensure_ascii=False).encode(),
    "pipedrive.deals.create": b'{"title":"Northwind [ops-1a2b3c4d5e6f]"}',
}


def caller(world, endpoint):
    body = BODIES[endpoint]
    return {
        "slack.chat.postMessage": lambda: Slack(world.slack.token).post(body),
        "resend.emails": lambda: Resend(world.resend.key).send(body, "key-1"),
        "pipedrive.deals.create": lambda: PipedriveWrites(world.pipedrive.token).create_deal(body),
    }[endpoint]


@pytest.mark.parametrize("endpoint", BODIES)
@pytest.mark.parametrize(("mode", "expected"), HTTP)
def test_each_way_to_fail_has_one_meaning_and_nothing_is_sent_twice(world, quick, endpoint, mode, expected):
    world.mode(endpoint, mode)
    started = time.monotonic()
    assert outcome(caller(world, endpoint)) == expected
    assert time.monotonic() - started < 10
    if mode != "slow:5":  # that one is written down when it is done
        (call,) = world.called(endpoint)
        assert call["body_sha256"] == hashlib.sha256(BODIES[endpoint]).hexdigest()
        assert not (call["applied"] and expected in (REFUSED, LATER)), "a refusal that was applied is a double effect"
    assert world.inside_hits == 0


@pytest.mark.parametrize("endpoint", BODIES)
def test_the_vendors_own_figure_comes_along_with_a_429(world, endpoint):
    world.mode(endpoint, "429:30")
    with pytest.raises(NotApplied) as caught:
        caller(world, endpoint)()
    assert (caught.value.retryable, caught.value.retry_after_s, caught.value.status) == (True, 30.0, 429)


@pytest.mark.parametrize("endpoint", BODIES)
def test_a_vendor_that_is_not_there_is_tried_a_few_times_and_nothing_left(world, quick, monkeypatch, endpoint):
    from core.config import get_settings

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    name = endpoint.split(".")[0].upper()
    monkeypatch.setenv(f"OPS_{name}_BASE_URL", f"http://127.0.0.1:{port}")
    get_settings.cache_clear()
    assert outcome(caller(world, endpoint)) == LATER
    assert not world.calls


@pytest.mark.parametrize("endpoint", BODIES)
def test_a_wrong_key_is_a_refusal_that_no_retry_helps(world, endpoint):
    body = BODIES[endpoint]
    call = {
        "slack.chat.postMessage": lambda: Slack("xoxb-wrong").post(body),
        "resend.emails": lambda: Resend("re_wrong").send(body, "k"),
        "pipedrive.deals.create": lambda: PipedriveWrites("wrong").create_deal(body),
    }[endpoint]
    assert outcome(call) == REFUSED
    assert not world.applied()


def test_a_key_with_odd_characters_reaches_nobody(world):
    assert outcome(lambda: Slack("xoxb-ключ").post(BODIES["slack.chat.postMessage"])) == REFUSED
    # a line break in it would end the header; the library refuses it before anything leaves
    assert outcome(lambda: Slack("xoxb-a\r\nx-more: 1").post(BODIES["slack.chat.postMessage"])) in (REFUSED, UNCLEAR)
    assert not world.calls


@pytest.mark.parametrize("url", ["http://slack.example/api", "ftp://127.0.0.1", "slack.com/api", "http://127.0.0.1.evil.example"])
def test_a_key_never_travels_in_the_open(url):
    with pytest.raises(BadInput, match="https"):
        Caller("Slack", url, {}, setting="OPS_SLACK_BASE_URL")


def test_a_read_is_tried_again(world, quick):
    world.mode("slack.auth.test", "drop_before", [1, 2])
    assert outcome(lambda: Slack(world.slack.token).who()) == DONE
    assert len(world.called("slack.auth.test")) == 3
    world.mode("slack.auth.test", "529")
    assert outcome(lambda: Slack(world.slack.token).who()) == UNCLEAR


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("nan", None), ("soon", None), (None, None), ("1e300", 86_400.0), ("inf", 86_400.0)],
)
def test_what_a_vendor_may_ask_us_to_wait(value, seconds):
    assert retry_after({} if value is None else {"retry-after": value}) == seconds


def test_a_date_to_wait_for_is_understood():
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
