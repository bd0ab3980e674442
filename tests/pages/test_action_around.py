"""What stands around one action: the next one, the run that asked, Today, and how much its page asks the database."""

from datetime import timedelta

from core.kit import clock
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.runs import service as runs
from tests import acts
from tests.pages.conftest import said
from tests.pages.test_action import button, put
from tests.tools.counting import queries


def test_after_deciding_the_next_one_is_one_tap_away(open_page):
    first, second = put(), put(deadline_at=clock.now() + timedelta(hours=9))
    at = open_page("action", action=str(first))
    button(at, "approve").click().run()
    assert f'Next: <a href="/action?action={second}">' in said(at)


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
