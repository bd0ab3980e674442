"""The opt-out link's token: ours only, for ever, and never mistaken for another one."""

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.runtime.contacts import rules
from core.runtime.orgs.models import AGENCY_ID
from tests.cast import CORNERSTONE_ORG


@pytest.fixture(scope="module", autouse=True)
def keys(stores):
    from core.kit import keyring

    keyring.create()


def test_a_token_says_who_and_whose_mail_it_was():
    token = rules.opt_out_token(CORNERSTONE_ORG, "Ann.Lee+x@googlemail.com")
    assert rules.read_opt_out(token) == rules.OptOut(CORNERSTONE_ORG, "annlee@gmail.com")
    assert token == rules.opt_out_token(CORNERSTONE_ORG, "annlee@gmail.com")
    assert token != rules.opt_out_token(AGENCY_ID, "annlee@gmail.com")
    assert all(c.isalnum() or c in "-_" for c in token)


def test_wide_letters_survive():
    assert rules.read_opt_out(rules.opt_out_token(AGENCY_ID, "jörg@müller.de")).person == "jörg@xn--mller-kva.de"


def test_the_longest_address_fits():
    person = "a" * 64 + "@" + ".".join(["b" * 60] * 4) + ".com"
    assert rules.read_opt_out(rules.opt_out_token(AGENCY_ID, person)).person == person


@pytest.mark.slow
@settings(max_examples=3000, deadline=None)
@given(st.data())
def test_no_token_with_one_change_is_taken(data):
    token = rules.opt_out_token(AGENCY_ID, "ann@example.com")
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters(codec="utf-8").filter(lambda c: c != token[at]))
    changed = data.draw(st.sampled_from([token[:at] + letter + token[at + 1 :], token[:at] + letter + token[at:], token[:at]]))
    with pytest.raises(BadInput):
        rules.read_opt_out(changed)


@pytest.mark.parametrize("token", ["", "=", "a", "a" * 5000, "é", "\x00", "....", "A" * 64, "ab cd", "ab\ncd"])
def test_nonsense_gets_the_same_answer_as_a_forgery(token):
    with pytest.raises(BadInput) as nonsense:
        rules.read_opt_out(token)
    with pytest.raises(BadInput) as forged:
        rules.read_opt_out(urlsafe_b64encode(b"x" * 60).decode())
    assert str(nonsense.value) == str(forged.value)


def test_padding_and_a_second_spelling_are_no_second_token():
    token = rules.opt_out_token(AGENCY_ID, "ann1@example.com")
    for other in (token + "=", token + "==", token.replace("-", "+").replace("_", "/") + " "):
        with pytest.raises(BadInput):
            rules.read_opt_out(other)


def test_the_link_goes_to_the_gateway(monkeypatch):
    from core.config import get_settings

    monkeypatch.setenv("OPS_GATEWAY_URL", "https://hooks.example.com/")
    get_settings.cache_clear()
    url = rules.opt_out_url(AGENCY_ID, "ann@example.com")
    monkeypatch.delenv("OPS_GATEWAY_URL")
    get_settings.cache_clear()
    assert url == f"https://hooks.example.com/u/{rules.opt_out_token(AGENCY_ID, 'ann@example.com')}"
