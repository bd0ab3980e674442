"""The page of one run: report with numbers that open, facts, log, cause, replay, and a fixed number of queries."""

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.runs import execute, service
from core.runtime.runs.models import Run, RunLog
from core.runtime.schedules import service as schedules
from tests.pages.conftest import mounted, said
from tests.tools.counting import queries

BRIEF = "ceo-morning-brief"


def a_brief() -> int:
    """A brief, run to its end."""
    with database.transaction(STAFF) as session:
        run_id = schedules.run_now(session, BRIEF, service.SYSTEM)
    assert execute.execute(run_id, "test") == "succeeded"
    return run_id


def test_a_report_and_its_facts(open_page):
    run_id = a_brief()
    at = open_page("run", run=str(run_id))
    text = said(at)
    assert f'class="fact" href="/run?run={run_id}&fact=' in text
    assert "[[" not in text
    assert "every number in it is a cited fact" in text
    steps = mounted(at, "steps_page")
    assert [s["word"] for s in steps["steps"]] == ["Succeeded"] * 5
    assert steps["live"] is False


def test_a_number_opens_its_rows(open_page, filled):
    filled(30)
    run_id = a_brief()
    text = said(open_page("run", run=str(run_id), fact="crm.pipeline_summary.open"))
    assert "factbox" in text
    assert 'href="/pipeline' in text


def test_made_up_addresses_say_so(open_page):
    for params in ({}, {"run": "7"}, {"run": "x"}, {"run": "9" * 40}):
        assert "This run can't be shown." in said(open_page("run", **params))
    run_id = a_brief()
    assert "has no fact" in said(open_page("run", run=str(run_id), fact="no.such"))


def test_a_running_run_shows_its_steps_and_can_be_cancelled(open_page):
    with database.transaction(STAFF) as session:
        run_id = service.enqueue(session, "probe.nap", "nap", payload={"seconds": 9}).run_id
    at = open_page("run", run=str(run_id))
    assert mounted(at, "steps_page")["empty"] == "Waiting for a worker to take it."
    at.button(key=f"page_cancel_{run_id}").click().run()
    with database.transaction(STAFF) as session:
        assert session.get(Run, run_id).state == "cancelled"


def test_text_from_a_run_is_text(open_page):
    run_id = a_brief()
    with database.transaction(STAFF) as session:
        run = session.get(Run, run_id)
        session.add(RunLog(org_id=run.org_id, run_id=run_id, level="warning", message="<img src=x onerror=alert(1)>"))
        run.error, run.state = {"message": "<script>", "next_step": "<b>", "trace": "Traceback …"}, "failed"
    at = open_page("run", run=str(run_id))
    raw = " ".join(h.proto.body for h in at.get("html"))
    assert "<img src=x" not in raw
    assert "<script>" not in raw
    assert "&lt;img src=x" in raw


def test_replay_with_edited_input(open_page):
    run_id = a_brief()
    at = open_page("run", run=str(run_id))
    at.button(key="replay").click().run()
    at.text_area(key=f"replay_{run_id}").set_value("not json")
    at.button(key="replay_start").click().run()
    assert "not valid JSON" in at.toast[0].value
    at.button(key="replay").click().run()
    at.text_area(key=f"replay_{run_id}").set_value('{"agent": "Executive AI", "days": 3}')
    at.button(key="replay_start").click().run()
    with database.transaction(STAFF) as session:
        made = session.query(Run).filter_by(replay_of=run_id).one()
        assert made.payload == {"agent": "Executive AI", "days": 3}


def test_queries_do_not_grow_with_facts_and_logs(open_page):
    run_id = a_brief()
    counted = []
    for lines in (0, 400):
        with database.transaction(STAFF) as session:
            run = session.get(Run, run_id)
            session.add_all(RunLog(org_id=run.org_id, run_id=run_id, level="info", message=f"line {n}") for n in range(lines))
        at = open_page("run", run=str(run_id))
        with queries() as asked:
            at.run()
        counted.append(len(asked))
    assert counted[0] == counted[1] <= 14
