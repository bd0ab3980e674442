"""What stands around one action: the next one, the run that asked, Today, and how much its page asks the database."""

from datetime import timedelta

import pytest

from core.kit import clock
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions import service
from core.runtime.actions.models import Action, Decided
from core.runtime.runs import service as runs
from tests import acts
from tests.pages.conftest import said
from tests.pages.test_action import button, person, put
from tests.tools.counting import queries


def test_after_deciding_the_next_one_is_one_tap_away(open_page):
    first, second = put(), put(deadline_at=clock.now() + timedelta(hours=9))
    at = open_page("action", action=str(first))
    button(at, "approve").click().run()
    assert f'Next: <a href="/action?action={second}">' in said(at)


@pytest.mark.parametrize(("form", "given"), [("reject", "state"), ("reply", "state"), ("edit", "hash")])
def test_a_form_that_somebody_overtook_is_put_away_with_a_word(open_page, form, given):
    action_id = put()
    at = open_page("action", action=str(action_id))
    button(at, form).click().run()
    at.text_area[0].set_value("Not like this.")
    with database.transaction(STAFF) as session:
        known = session.get(Action, action_id)
        seen = {"payload_sha256": known.payload_sha256, "via": "web"}
        if given == "state":
            service.decide(session, action_id, Decided.APPROVE, person(session, "Dave"), **seen)
        else:
            service.edit(session, action_id, {"text": "Another text."}, person(session, "Dave"), **seen)
    at.run()
    assert not at.text_area
    assert button(at, f"go_{form}") is None
    assert "your text was not used" in at.toast[0].value
    assert "while you wrote" in at.toast[0].value
    at.run()
    assert not at.toast, "it is said once"


def test_an_undo_that_somebody_else_began_is_put_away(open_page):
    action_id = put(state="done", mode="live", finished_at=clock.now(), reversible=True)
    at = open_page("action", action=str(action_id))
    button(at, "undo").click().run()
    with database.transaction(STAFF) as session:
        session.get(Action, action_id).state = "undone"
    at.run()
    assert button(at, "go_undo") is None
    assert "nothing was taken back" in at.toast[0].value


def test_dropping_stays_open_while_it_can_still_be_dropped(open_page):
    action_id = put(state="deferred", deferred_until=clock.now() + timedelta(hours=3))
    at = open_page("action", action=str(action_id))
    button(at, "withdraw").click().run()
    with database.transaction(STAFF) as session:
        session.get(Action, action_id).state = "approved"
    at.run()
    assert button(at, "go_withdraw") is not None
    assert not at.toast


def test_the_run_that_asked_and_today_lead_to_it(open_page):
    with database.transaction(STAFF) as session:
        run_id = runs.enqueue(session, "probe.noop", "brief").run_id
        acts.post(session, run_id=run_id)
        done = acts.mail(session, run_id=run_id, state="denied", finished_at=clock.now())
    for page, params in (("run", {"run": str(run_id)}), ("runs", {"run": str(run_id)})):
        text = said(open_page(page, **params))
        assert "What it wants to do" in text
        assert "Waiting for approval" in text
        assert f'href="/action?action={done.id}"' in text
    text = said(open_page("today"))
    assert "Post to #leadership: Twelve deals are open." in text
    assert "Executive AI asks. It is dropped" in text
    assert "1 action" in text
    assert "Executive AI asks" not in said(open_page("today", who="tony"))


def test_queries_do_not_grow_with_the_story(open_page):
    counted = []
    for many in (0, 30):
        with database.transaction(STAFF) as session:
            action = acts.post(session)
            for n in range(many):
                acts.decided(session, action, "reply", "Dave", None, note=str(n))
                acts.judged(session, action, f"policy_{n}", "allow", "Fine.")
        at = open_page("action", action=str(action.id))
        with queries() as asked:
            at.run()
        counted.append(len(asked))
    assert counted[0] == counted[1] <= 15
