"""The fake world keeps its word: what it logs is so, and it fails as it was told to."""

import contextlib
import json
import os
import signal
import smtplib

import httpx
import pytest

from tests.fakeworld import smtp
from tests.fakeworld.log import applied, doubles, read
from tests.fakeworld.process import Remote
from tests.fakeworld.slack import TOKEN
from tests.fakeworld.world import World

HEADERS = {"authorization": f"Bearer {TOKEN}"}


def post(base: str, key: str = "k1", timeout: float = 5.0) -> dict:
    body = {"channel": "#sales", "text": "hi", "metadata": {"event_type": "ops_action", "event_payload": {"key": key}}}
    return httpx.post(f"{base}/chat.postMessage", json=body, headers=HEADERS, timeout=timeout).json()


def test_a_call_is_on_disk_before_it_is_answered(world: World, tmp_path):
    assert post(world.slack_url)["ok"]
    (line,) = read(tmp_path / "vendors.jsonl")
    assert (line["endpoint"], line["applied"], line["key"], line["recipients"]) == (
        "slack.chat.postMessage",
        True,
        "k1",
        ["#sales"],
    )
    assert line["body"] == world.server.requests[0].body.decode()


@pytest.mark.parametrize(
    ("mode", "done"),
    [("apply_then_drop", True), ("drop_before", False), ("apply_then_500", True), ("reject_before", False), ("malformed", True),
     ("429:7", False), ("529", False), ("redirect_internal", False), ("slow:0.01", True)],
)  # fmt: skip
def test_the_log_says_what_each_mode_did(world: World, mode, done):
    world.mode("slack.chat.postMessage", mode)
    with contextlib.suppress(httpx.HTTPError, ValueError):
        post(world.slack_url)
    (line,) = world.calls
    assert line["applied"] is done
    assert sum(len(m) for m in world.slack.messages.values()) == int(done)


def test_modes_go_by_number_and_the_newest_rule_wins(world: World):
    world.mode("slack.*", "reject_before", [2])
    assert [post(world.slack_url)["ok"] for _ in range(3)] == [True, False, True]
    world.mode("slack.chat.postMessage", "ok")
    world.mode("slack.chat.postMessage", "429:3", 1)
    answer = httpx.post(f"{world.slack_url}/chat.postMessage", json={}, headers=HEADERS)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")


def test_a_share_is_drawn_the_same_way_each_time(world: World):
    world.mode("slack.chat.postMessage", "reject_before", share=0.5, seed=7)
    first = [post(world.slack_url)["ok"] for _ in range(20)]
    world.modes.reset()
    world.mode("slack.chat.postMessage", "reject_before", share=0.5, seed=7)
    assert [post(world.slack_url)["ok"] for _ in range(20)] == first
    assert 2 < sum(first) < 18


def test_slack_takes_the_same_key_twice_and_that_is_seen(world: World):
    post(world.slack_url)
    post(world.slack_url)
    assert doubles(world.calls) == {("slack.chat.postMessage", "k1"): 2}


def test_a_mail_server_beside_it(world: World):
    with smtplib.SMTP("127.0.0.1", world.smtp.port, timeout=5) as server:
        server.login(smtp.USER, smtp.PASSWORD)
        server.sendmail("a@manageai.example", ["b@northwind.example"], b"Message-ID: <k2@x>\r\nSubject: x\r\n\r\nhi\r\n")
    (line,) = world.applied("smtp.data")
    assert (line["key"], line["recipients"]) == ("k2", ["b@northwind.example"])


def test_the_model_is_there_too(world: World):
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx.post(f"{world.url}/v1/messages", json=body, headers={"x-api-key": world.anthropic.key})
    assert answer.json()["type"] == "message"


def test_as_a_process_its_log_outlives_its_kill(tmp_path):
    world = Remote.start(tmp_path / "log.jsonl")
    try:
        assert post(world.environment["OPS_SLACK_BASE_URL"])["ok"]
        world.mode("slack.chat.postMessage", "apply_then_drop", 1)
        with pytest.raises(httpx.RemoteProtocolError):
            post(world.environment["OPS_SLACK_BASE_URL"], "k2")
        assert world.control()["applied"] == 2
        os.kill(world._process.pid, signal.SIGKILL)
        world._process.wait(10)
        assert [c["key"] for c in applied(world.calls)] == ["k1", "k2"]
        assert json.loads(world.calls[1]["body"])["text"] == "hi"
    finally:
        world.close()
