"""Mail as actions: final bytes, who is outside, opting out, and nothing slipped in."""

import hashlib
import json
from datetime import timedelta
from email import message_from_string
from email.policy import default
from email.utils import parsedate_to_datetime

import pytest
from sqlalchemy import insert

from core.errors import BadInput
from core.integrations.smtp.message import mime
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions import kinds
from core.runtime.actions.kinds import Refused, Unclear
from core.runtime.actions.models import Audience
from core.runtime.contacts import rules
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.policies.models import PolicySetting
from tests.cast import make_cast
from tests.core.domains.messages.conftest import KEY, drawn, out

SEND = "mail.send"
NORA = {"to": "Nora <nora@northwind.example>", "subject": "Your build", "text": "It is **live**.\n\n- one\n- two"}


def wire(account=None, **over):
    return json.loads(drawn(SEND, NORA | over, account).wire)


def test_resend_gets_exactly_the_approved_bytes_under_the_effects_key(db, world, resend):
    made = drawn(SEND, NORA, resend)
    receipt = kinds.get(SEND).send(out(made), resend)
    (call,) = world.applied("resend.emails")
    assert call["body_sha256"] == hashlib.sha256(made.wire).hexdigest()
    assert (call["key"], call["recipients"]) == (str(KEY), ["nora@northwind.example"])
    assert receipt.ref in world.resend.sent
    body = json.loads(made.wire)
    assert body["from"] == "ManageAI <ops@manageai.example>"
    assert body["headers"]["Message-ID"] == f"<{KEY}@manageai.example>"
    assert (made.audience, made.recipients) == (Audience.OUTSIDE, ("nora@northwind.example",))
    assert made.title == "Mail to nora@northwind.example: Your build"


def test_smtp_sends_a_message_made_from_the_same_bytes(db, world, smtp):
    made = drawn(SEND, NORA | {"text": ".\n.dots\nFrom me\nGrüße"}, smtp)
    kinds.get(SEND).send(out(made), smtp)
    (call,) = world.applied("smtp.data")
    arrived = message_from_string(call["body"], policy=default)
    again = mime(made.wire, parsedate_to_datetime(arrived["date"]))
    assert call["body_sha256"] == hashlib.sha256(again.data).hexdigest()
    assert (call["key"], call["recipients"]) == (str(KEY), ["nora@northwind.example"])
    assert arrived["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert arrived.get_body(("plain",)).get_content().split() == [".", ".dots", "From", "me", "Grüße"]


def test_a_repeat_within_a_day_is_one_mail_and_a_server_that_knows_no_key_gets_none(db, world, resend):
    kind = kinds.get(SEND)
    made = drawn(SEND, NORA, resend)
    world.mode("resend.emails", "apply_then_drop", 1)
    with pytest.raises(Unclear):
        kind.send(out(made), resend)
    kind.send(out(made), resend)
    assert len(world.applied("resend.emails")) == 1
    assert kind.key_valid_for == {"resend": timedelta(hours=24)}
    assert kind.look_up is None
    assert not kind.reversible


def test_smtp_without_an_answer_is_unclear_and_before_the_message_it_is_a_refusal(db, world, smtp):
    made = drawn(SEND, NORA, smtp)
    world.mode("smtp.data", "apply_then_drop", 1)
    with pytest.raises(Unclear):
        kinds.get(SEND).send(out(made), smtp)
    world.mode("smtp.rcpt", "drop_before", 1)
    with pytest.raises(Refused) as caught:
        kinds.get(SEND).send(out(made), smtp)
    assert caught.value.retryable


# ---- opting out


@pytest.mark.parametrize("marketing", [True, False])
def test_every_mail_to_somebody_outside_can_be_opted_out_of_with_one_click(db, resend, marketing):
    body = wire(resend, marketing=marketing)
    link = body["headers"]["List-Unsubscribe"].strip("<>")
    said = rules.read_opt_out(link.rpartition("/")[2])
    assert (said.org_id, said.person) == (AGENCY_ID, "nora@northwind.example")
    assert body["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert (link in body["text"]) is marketing
    assert (link in body["html"]) is marketing


def test_a_mail_to_ourselves_has_no_such_line(db, resend):
    with database.transaction(STAFF) as session:
        make_cast(session)
    body = wire(resend, to="tony@manageai.example", marketing=True)
    assert "List-Unsubscribe" not in body["headers"]
    assert "no more messages" not in body["text"]


# ---- who is outside


@pytest.fixture
def ours(db):
    """Tony and the others work here, and manageai.io is ours."""
    with database.transaction(STAFF) as session:
        make_cast(session)
        session.execute(
            insert(PolicySetting).values(
                org_id=AGENCY_ID, policy="send_mode", values={"our_domains": ["manageai.io", "@Büro.example"]}, edited_by="Dave"
            )
        )


INSIDE = ("tony@manageai.example", "Tony <TONY@ManageAI.example>", "tony+brief@manageai.example", "anna@manageai.io",
          "ANNA@MANAGEAI.IO", "anna@manageai.io.")  # fmt: skip
OUTSIDE = (
    "anna@manageai.io.evil.com", "anna@evil-manageai.io", "anna@evilmanageai.io", "anna@sub.manageai.io", "anna@manageai.i0",
    "anna@manageai.com", "anna@manageaì.io", "anna@mаnageai.io", "manageai.io@evil.com", "anna@xn--manageai-.example",
    "tony@manageai.example.evil.com", "t0ny@manageai.example", "anna@manageai-io.example", "stranger@manageai.example",
)  # fmt: skip


@pytest.mark.parametrize("to", INSIDE)
def test_our_own_people_and_domains_are_inside(ours, to):
    assert drawn(SEND, NORA | {"to": to}).audience is Audience.INTERNAL


@pytest.mark.parametrize("to", OUTSIDE)
def test_what_only_looks_like_ours_is_outside(ours, to):
    try:
        made = drawn(SEND, NORA | {"to": to})
    except BadInput:
        return  # not even an address
    assert made.audience is Audience.OUTSIDE


def test_somebody_who_left_is_outside(ours):
    from sqlalchemy import func, update

    from core.domains.users.models import User

    with database.transaction(STAFF) as session:
        session.execute(update(User).where(User.name == "Tony").values(disabled_at=func.now()))
    assert drawn(SEND, NORA | {"to": "tony@manageai.example"}).audience is Audience.OUTSIDE


# ---- nothing slipped in


@pytest.mark.parametrize(
    "over",
    [
        {"subject": "Hi\r\nBcc: evil@x.example"},
        {"subject": "Hi\nX: 1"},
        {"subject": "Hi\u2028X"},
        {"subject": "Hi\x00"},
        {"subject": ""},
        {"to": "nora@northwind.example\r\nBcc: e@x.example"},
        {"to": "nora@northwind.example, evil@x.example"},
        {"to": ""},
        {"to": "a@x.example;b@x.example"},
        {"to": "Team: a@x.example, b@x.example;"},
        {"to": '"a@x.example, b" <c@x.example>, d@x.example'},
        {"to": ["nora@northwind.example"]},
        {"reply_to": "a@x.example\nBcc: b@x.example"},
        {"cc": "b@x.example"},
        {"bcc": "b@x.example"},
        {"headers": {"Bcc": "b@x.example"}},
        {"from": "ceo@bank.example"},
        {"text": " "},
        {"text": "x" * 20_001},
        {"subject": "x" * 251},
    ],
)
def test_a_mail_goes_to_one_person_and_has_no_other_headers(over):
    with pytest.raises(BadInput, match=r"^mail: .*\. Correct it; nothing was sent\.$"):
        kinds.get(SEND).read(NORA | over)


def test_an_empty_field_of_the_form_is_no_address():
    assert kinds.get(SEND).read(NORA | {"reply_to": ""}).reply_to is None


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=https://evil.example/x.png>",
        "![x](https://evil.example/?d=1)",
        "</div><iframe src=//e>",
        "**<b onclick=x>**",
        "[<i>](https://a.example/)",
        "`</code><script>`",
        "[x](javascript:alert(1))",
        '[x](https://a.example/"onclick=1)',
        "# <style>*{display:none}</style>",
        "- <a href=https://evil.example>bank</a>",
        "<!--",
        "&#60;script&#62;",
    ],
)
def test_text_stays_text_in_the_html_part(db, text):
    body = wire(text=text)["html"]
    inner = body.split("<div", 1)[1]
    for tag in ("<script", "<img", "<iframe", "<style", "<b ", "<i>", "<!--", "onclick=x>", 'href="javascript', '"onclick'):
        assert tag not in inner
    assert "src=" not in inner or "&lt;" in inner
    assert inner.count("<a ") == inner.count('<a href="https://')


def test_a_link_shows_where_it_leads(db):
    body = wire(text="[your bank](https://evil.example/login)")
    assert '<a href="https://evil.example/login">https://evil.example/login</a>' in body["html"]
    assert "your bank (https://evil.example/login)" in body["text"]


def test_plain_text_only_when_that_is_wished(db):
    body = wire(html=False)
    assert "html" not in body
    assert body["text"] == "It is live.\n\n- one\n- two\n"


def test_without_an_account_it_is_drawn_all_the_same(db):
    body = wire()
    assert body["from"] == "no-sender@invalid"


def test_the_key_is_in_no_byte_and_no_word(db, world, resend):
    made = drawn(SEND, NORA, resend)
    assert world.resend.key.encode() not in made.wire
    world.mode("resend.emails", "reject_before")
    with pytest.raises(Refused) as caught:
        kinds.get(SEND).send(out(made), resend)
    assert world.resend.key not in str(caught.value)
