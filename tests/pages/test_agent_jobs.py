"""The list of jobs: rows, chips, calendar, new job, and a fixed number of queries."""

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.agents.models import ModelCall
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs import service as runs
from core.runtime.schedules import service
from core.runtime.schedules.models import Schedule
from tests.pages.conftest import mounted, said
from tests.tools.counting import queries


def rows_of(at) -> dict[str, dict]:
    return {row["id"]: row for row in mounted(at, "table_jobs")["rows"]}


def test_before_the_first_run(open_page):
    at = open_page("agent_jobs")
    row = rows_of(at)["ceo-morning-brief"]
    assert row["c"][1] == {
        "t": "CEO Morning Brief", "sub": "Weekdays at 7:00 AM · Executive AI", "href": "/job?name=ceo-morning-brief",
    }  # fmt: skip
    assert row["c"][0] is True
    assert row["c"][2] is None
    assert row["c"][-1] == [["run", "Run now", "play"]]
    assert "All jobs <b>7</b>" in said(at)


def test_states_and_chips(open_page):
    with database.transaction(STAFF) as session:
        actor = runs.SYSTEM
        service.set_enabled(session, "build-queue-check", False, actor)
        session.query(Schedule).filter_by(name="weekly-ceo-report").one().error = {"message": "It can't be read."}
    at = open_page("agent_jobs", state="off")
    assert list(rows_of(at)) == ["build-queue-check"]
    assert rows_of(at)["build-queue-check"]["tone"] == "muted"
    assert rows_of(open_page("agent_jobs", state="broken"))["weekly-ceo-report"]["tone"] == "red"


def test_only_some_may_switch(open_page):
    assert rows_of(open_page("agent_jobs", who="tony"))["ceo-morning-brief"]["c"][0] is None
    assert not [b for b in open_page("agent_jobs", who="tony").button if b.key == "new_job"]


def test_the_calendar_has_lanes_and_coming_runs(open_page):
    data = mounted(open_page("agent_jobs", week="1"), "calendar_jobs")
    brief = next(lane for lane in data["lanes"] if lane["title"] == "CEO Morning Brief")
    assert len(brief["runs"]) == 5
    assert {(run[1], run[2]) for run in brief["runs"]} == {("", "Due")}
    assert len(data["days"]) == 7
    open_page("agent_jobs", week="nonsense")


def fill_in(at, title: str, cron: str):
    at.button(key="new_job").click().run()
    at.text_input(key="new_title").set_value(title)
    at.text_input(key="new_cron").set_value(cron)
    at.text_area(key="new_task").set_value("Count the week.")
    at.multiselect(key="new_facts").set_value(["crm.week"])
    return at.button(key="new_add").click().run()


def test_a_new_job_is_added(open_page):
    at = fill_in(open_page("agent_jobs"), "Friday numbers", "0 16 * * 5")
    assert "Friday numbers is added" in at.toast[0].value
    with database.transaction(STAFF) as session:
        made = session.query(Schedule).filter_by(name="friday-numbers").one()
        assert (made.cron, made.agent, made.facts, made.builtin) == ("0 16 * * 5", "Executive AI", ["crm.week"], False)


def test_a_bad_schedule_is_refused_with_a_sentence(open_page):
    at = fill_in(open_page("agent_jobs"), "Friday numbers", "61 * * * *")
    assert "its minute field can't be read" in at.toast[0].value
    with database.transaction(STAFF) as session:
        assert session.query(Schedule).filter_by(name="friday-numbers").count() == 0


def test_queries_do_not_grow_with_runs(open_page, filled):
    counted = []
    for more in (0, 500):
        if more:
            filled(more)
        at = open_page("agent_jobs")
        with queries() as asked:
            at.run()
        counted.append(len(asked))
    assert counted[0] == counted[1] <= 10


def test_costs_by_agent_client_and_job(open_page):
    with database.transaction(STAFF) as session:
        run_id = service.run_now(session, "ceo-morning-brief", runs.SYSTEM)
        session.add(
            ModelCall(
                org_id=AGENCY_ID, run_id=run_id, purpose="report", model="claude-sonnet-5", prompt="report@1", outcome="ok",
                input_tokens=900, output_tokens=100, cost_microusd=250_000,
            )
        )  # fmt: skip
    for way, name in (("agent", "Executive AI"), ("client", "ManageAI"), ("job", "CEO Morning Brief")):
        at = open_page("agent_jobs", by=way)
        [row] = mounted(at, "table_costs")["rows"]
        assert row["name"] == name
        assert row["c"][1:] == [[100.0, "100 % of the last 7 days, $0.25", "green"], "$0.25", "–", "1"]
    assert "$0.25 in the last 7 days" in said(at)
