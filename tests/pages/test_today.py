"""Today: greeting, figures, brief, what needs somebody."""

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.runs.models import Run
from tests.pages.conftest import said
from tests.pages.test_run import a_brief
from tests.tools.counting import queries


def test_an_empty_agency(open_page):
    text = said(open_page("today"))
    assert ", Dave</h1>" in text
    assert "No brief yet" in text
    assert "Nothing needs you" in text
    assert "CEO Morning Brief" in text  # coming up


def test_the_brief_stands_there_with_numbers_that_open(open_page):
    run_id = a_brief()
    assert f'class="fact" href="/run?run={run_id}&fact=' in said(open_page("today"))


def test_a_failed_run_needs_somebody(open_page):
    run_id = a_brief()
    with database.transaction(STAFF) as session:
        run = session.get(Run, run_id)
        run.state, run.error = "failed", {"message": "Slack did not answer.", "next_step": "Retry."}
    text = said(open_page("today"))
    assert "CEO Morning Brief failed" in text
    assert "Slack did not answer." in text


def test_the_brief_can_be_written_now(open_page):
    at = open_page("today")
    at.button(key="brief").click().run()
    with database.transaction(STAFF) as session:
        run_id = session.query(Run).one().id
    assert at.query_params["run"] == str(run_id)


def test_everybody_has_a_today(open_page):
    for who in ("brian", "dan", "tony", "robert"):
        assert f", {who.capitalize()}</h1>" in said(open_page("today", who=who))


def test_queries_do_not_grow_with_rows(open_page, filled):
    counted = []
    for many in (0, 500):
        if many:
            filled(many)
        at = open_page("today")
        with queries() as asked:
            at.run()
        counted.append(len(asked))
    assert counted[0] == counted[1] <= 14
