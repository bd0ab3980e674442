import json

import pytest

from core.integrations.resend.check import check
from core.integrations.resend.client import Resend
from core.integrations.resend.errors import ResendRefused, of
from core.kit.http import NoAnswer, NotApplied

MAIL = {"from": "ManageAI <ops@manageai.example>", "to": ["nora@northwind.example"], "subject": "Hi", "text": "Hello"}
BODY = json.dumps(MAIL).encode()


@pytest.fixture
def resend(world):
    return Resend(world.resend.key)


def test_the_same_key_within_a_day_is_one_mail(world, resend):
    world.mode("resend.emails", "apply_then_drop", 1)
    with pytest.raises(NoAnswer):
        resend.send(BODY, "k1")
    assert resend.send(BODY, "k1") in world.resend.sent
    assert len(world.applied("resend.emails")) == 1
    world.resend.advance(23 * 3600)
    resend.send(BODY, "k1")
    assert len(world.resend.sent) == 1


def test_after_a_day_the_key_is_forgotten(world, resend):
    """Why nothing may be sent again then."""
    resend.send(BODY, "k1")
    world.resend.advance(25 * 3600)
    resend.send(BODY, "k1")
    assert len(world.resend.sent) == 2


def test_the_same_key_for_another_mail_is_refused_for_good(world, resend):
    resend.send(BODY, "k1")
    with pytest.raises(ResendRefused) as caught:
        resend.send(json.dumps(MAIL | {"to": ["dave@northwind.example"]}).encode(), "k1")
    assert (caught.value.code, caught.value.status, caught.value.retryable) == ("invalid_idempotent_request", 409, False)


def test_a_first_attempt_still_under_way_is_unclear():
    assert isinstance(of("concurrent_idempotent_requests", "", 409), NoAnswer)


def test_what_it_says_is_told_in_one_line(world, resend):
    with pytest.raises(ResendRefused) as caught:
        resend.send(b'{"from":"x"}', "k1")
    assert caught.value.message == "Resend refused the mail: Missing `from`, `to`, `subject`, `html` or `text` field."


def test_the_test_button(world):
    sender = {"from": "ManageAI <ops@manageai.example>"}
    assert check(sender, world.resend.key) == "Works: it may send from manageai.example."
    with pytest.raises(NotApplied, match="not known in this account"):
        check({"from": "ops@elsewhere.example"}, world.resend.key)
    with pytest.raises(ResendRefused, match="does not accept"):
        check(sender, "re_wrong")
    world.resend.sending_only = True
    assert check(sender, world.resend.key).startswith("The key works and may only send")
    assert not world.applied()
