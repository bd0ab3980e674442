"""Policies: the list for everybody, the numbers for admins, and questions that don't grow with what was decided."""

import re

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.policies import engine, settings
from core.runtime.policies.models import Stage
from tests.core.runtime.policies import making
from tests.pages.conftest import mounted, said
from tests.tools.counting import queries


def judge(many: int) -> None:
    with database.transaction(STAFF) as session:
        for n in range(many):
            engine.judge(session, making.action(session, recipients=[f"p{n}@northwind.example"]), Stage.PROPOSE)


def test_every_rule_says_what_it_is_for_and_what_it_decided(open_page):
    judge(3)
    text = said(open_page("policies", who="tony"))
    assert "How many in an hour" in text
    assert "50 mails, 120 Slack messages" in text
    assert "3 deferred in 7 days" in text
    assert "Internal only" in text


def test_an_admin_tries_a_number_and_saves_it(open_page):
    judge(2)
    at = open_page("policy", policy="send_mode")
    assert "only our own people are written to" in str(mounted(at, "policy_verdicts"))
    at.radio[0].set_value("live").run()
    assert "<ins>Live</ins>" in said(at)
    at.button(key="pol_try").click().run()
    assert "<b>2 actions</b> of 2 in the last 90 days would have been decided differently" in said(at)
    at.button(key="pol_save").click().run()
    assert not at.exception
    with database.transaction(STAFF) as session:
        assert settings.values(session, AGENCY_ID, "send_mode")["mode"] == "live"
    assert "Dave changed" in said(at)


def test_others_read_and_cannot_save(open_page):
    at = open_page("policy", who="tony", policy="contact_ceiling")
    assert "21:00" in said(at)
    assert not [b for b in at.button if b.key == "pol_save"]


def test_an_unknown_rule_or_organisation_is_said(open_page):
    assert "There is no such policy." in said(open_page("policy", policy="nothing"))
    assert "There is no such policy." in said(open_page("policy", policy="rate_limit", org="0" * 32))


def test_questions_do_not_grow(open_page):
    counted = []
    for more in (1, 30):
        judge(more)
        at = open_page("policies")
        with queries() as asked:
            at.run()
        counted.append(len(asked))
    assert counted[0] == counted[1]


def test_amounts_in_a_toast_are_no_formula(open_page):
    at = open_page("policy", policy="two_people")
    at.number_input[0].set_value(250).run()
    at.button(key="pol_save").click().run()
    told = at.toast[0].value
    assert "two people" in told.replace("\\", "").lower()
    assert "250" in told
    assert re.findall(r"(?<!\\)\$", told) == []
