"""One person, one key: what is the same mailbox, what is not, and what is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.runtime.contacts import rules

SAME = {
    "tony@example.com": [
        "Tony@Example.COM", " tony@example.com ", "tony@example.com.", "<tony@example.com>", "Tony Marks <TONY@example.com>",
        '"Marks, Tony" <tony@example.com>', "tony+news@example.com", "tony+a+b@example.com", "ｔｏｎｙ@example.com",
        "tony＠example.com", "tony@example．com", "tony@example。com", "'tony@example.com' <tony@example.com>",
        '"tony@example.com" <Tony@example.com>',
    ],
    "tonymarks@gmail.com": [
        "tony.marks@gmail.com", "t.o.n.y.marks@googlemail.com", "Tony.Marks+x@GoogleMail.com", "tony.marks@gmail.com.",
    ],
    "tony@icloud.com": ["tony@me.com", "tony+shop@mac.com"],
    "tonymarks@proton.me": ["tony.marks@protonmail.com", "tony-marks@pm.me", "tony_marks+1@proton.me"],
    "tony@fastmail.com": ["shop@tony.fastmail.com", "tony+shop@fastmail.com"],
    "ann@xn--mller-kva.de": ["ann@müller.de", "ann@MÜLLER.DE", "ann@XN--MLLER-KVA.de", "ann@mu\u0308ller.de", "Ann+x@müller.de."],
    "ann@strasse.de": ["ann@straße.de", "ann@STRASSE.de", "ann@xn--strae-oqa.de"],
}  # fmt: skip
REFUSED = [
    "", " ", "tony", "@example.com", "tony@", "tony@localhost", "tony@@example.com", "a@b@example.com", "tony@example..com",
    ".tony@example.com", "tony.@example.com", "to..ny@example.com", "tony@example.com\n", "tony@example.com\r\nBcc: x@evil.com",
    "tony\x00@example.com", "tony@exam\u200bple.com", "to\u00adny@example.com", "tony@example.com\u2028x@evil.com",
    "tony@example.com,bob@example.com", "tony@example.com;bob@example.com", "tony@example.com bob@example.com",
    "tony@example.com <bob@example.com>", "Team: tony@example.com, bob@example.com;", "Team:tony@example.com;",
    "tony(comment)@example.com", "(x)tony@example.com", "tony@(x)example.com", '"tony"@example.com', '"to ny"@example.com',
    "tony@[127.0.0.1]", "tony@127.0.0.1", "<@relay.com:tony@example.com>", "tony%example.com@relay.com",
    "relay.com!tony@example.com", "=?utf-8?q?tony?=@example.com", "tony@-example.com", "tony@exam_ple.com",
    "tony@xn--a.com", "tony@" + "a" * 64 + ".com", "a" * 65 + "@example.com", "tony@" + "a." * 127 + "com", "x" * 2000,
    "tony@example.com>", "<tony@example.com", "<<tony@example.com>>", "a <b> <tony@example.com>", '"a" b" <tony@example.com>',
    "to\ufe0fny@example.com", "tony@\u3164.com", "\ud800@example.com", "tony\u202e@example.com",
]  # fmt: skip


@pytest.mark.parametrize(("key", "spelling"), [(k, s) for k, all_ in SAME.items() for s in [k, *all_]])
def test_every_spelling_of_a_mailbox_has_one_key(key, spelling):
    assert rules.person_key(spelling) == key


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_one_plain_address_is_refused(text):
    with pytest.raises(BadInput):
        rules.person_key(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tony@example.com", "tony@example.org"),
        ("tony.marks@example.com", "tonymarks@example.com"),
        ("tony@manageai.io", "tony@manageai.io.evil.com"),
        ("tony@manageai.io", "tony@rnanageai.io"),
        ("tony@manageai.io", "tony@m\u0430nageai.io"),
        ("tony-a@example.com", "tony-b@example.com"),
    ],
)
def test_other_mailboxes_have_other_keys(one, other):
    assert rules.person_key(one) != rules.person_key(other)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(st.text(max_size=40).map(lambda s: s + "@") | st.just(""), st.text(max_size=30))
def test_any_text_has_a_stable_key_or_is_refused(head, tail):
    try:
        key = rules.person_key(head + tail)
    except BadInput:
        return
    assert rules.person_key(key) == key
    assert key == key.lower() or not key.isascii()
    assert not set(key) & set('\r\n\t ,;:<>()"\\')


_local = st.text("abcdefghij0123456789._-+äöüßİıſ", min_size=1, max_size=20)
_host = st.sampled_from(["example.com", "gmail.com", "müller.de", "proton.me", "shop.tony.fastmail.com", "tony.fastmail.com"])


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(_local, _host)
def test_case_tags_and_names_make_no_difference(local, host):
    try:
        key = rules.person_key(f"{local}@{host}")
    except BadInput:
        return
    assert rules.person_key(key) == key
    assert rules.person_key(f"{local}@{host.upper()}.") == key
    assert rules.person_key(f"Somebody <{local}+news@{host}>") == rules.person_key(f"{local}@{host}")


def test_what_is_sent_to_is_what_was_checked():
    one = rules.parse('"Müller, Ann" <ann.Ｂ@MÜLLER.de.>')
    assert (one.name, one.email, one.person) == ("Müller, Ann", "ann.B@xn--mller-kva.de", "ann.b@xn--mller-kva.de")
    assert str(one) == one.email
