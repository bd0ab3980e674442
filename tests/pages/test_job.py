"""One job: settings, pause, edit with somebody else's edit in between, run now."""

from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.runs.models import Run
from core.runtime.schedules import service
from core.runtime.schedules.models import Schedule
from core.runtime.schedules.schemas import JobEdit
from tests.pages.conftest import mounted, said
from tests.tools.counting import queries

NAME = "ceo-morning-brief"


def job() -> Schedule:
    with database.transaction(STAFF) as session:
        return session.query(Schedule).filter_by(name=NAME).one()


def test_the_job_says_when_and_what(open_page):
    at = open_page("job", name=NAME)
    text = said(at)
    assert "Weekdays at 7:00 AM" in text
    assert text.count("7:00 AM C") == 3  # the next three times, with their zone
    assert "the later slot is skipped" in text
    assert mounted(at, "table_job_runs")["empty"].startswith("It has not run yet.")


def test_an_unknown_job_names_the_nearest(open_page):
    assert "Did you mean ceo-morning-brief" in said(open_page("job", name="ceo-morning-brif"))
    assert "There is no job" in said(open_page("job"))


def test_run_now_opens_the_run(open_page):
    at = open_page("job", name=NAME)
    at.button(key="run_now").click().run()
    with database.transaction(STAFF) as session:
        run = session.query(Run).filter_by(name=NAME).one()
    assert (run.cause_label, run.queue) == ("Dave", "interactive")
    assert at.query_params["run"] == str(run.id)


def test_the_switch_and_a_pause(open_page):
    at = open_page("job", name=NAME)
    at.toggle(key="job_on").set_value(False).run()
    assert job().enabled is False
    at.toggle(key="job_on").set_value(True).run()
    at.button(key="pause_open").click().run()
    at.button(key="pause_save").click().run()
    assert job().paused_until is not None
    assert "Paused." in said(at)
    at.button(key="resume").click().run()
    assert job().paused_until is None


def test_an_edit_never_overwrites_somebody_elses(open_page):
    at = open_page("job", name=NAME)
    at.button(key="edit_open").click().run()
    with database.transaction(STAFF) as session:
        service.edit(session, NAME, JobEdit(cron="30 6 * * 1-5"), job().version, Actor("Brian", "user", 2))
    at.text_area(key=f"edit_{NAME}_1_task").set_value("Say it shorter.")
    at.button(key="edit_save").click().run()
    assert job().cron == "30 6 * * 1-5"
    assert job().task != "Say it shorter."
    assert "Brian changed CEO Morning Brief" in " ".join(t.value for t in at.toast)


def test_queries_do_not_grow_with_runs(open_page, filled):
    counted = []
    for more in (0, 500):
        if more:
            filled(more)
        at = open_page("job", name=NAME)
        with queries() as asked:
            at.run()
        counted.append(len(asked))
    assert counted[0] == counted[1] <= 16
