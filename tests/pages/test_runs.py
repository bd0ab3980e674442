"""The list of runs: filters in the address, the drawer, actions, and a fixed number of queries."""

import pytest

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.runs import service
from core.runtime.runs.models import Run
from tests.pages.conftest import mounted, said
from tests.tools.counting import queries


def words_of(at) -> list[str]:
    return [row["c"][2][1] for row in mounted(at, "table_runs")["rows"]]


def test_an_empty_agency_says_what_to_do(open_page):
    at = open_page("runs")
    assert mounted(at, "table_runs")["rows"] == []
    assert mounted(at, "table_runs")["empty"].startswith("No run matches.")
    assert "All <b>0</b>" in said(at)


def test_filters_come_from_the_address(open_page, filled):
    filled(100)
    at = open_page("runs", state="Failed", period="All")
    assert set(words_of(at)) == {"Failed"}
    assert len(words_of(at)) == 4
    assert 'href="/runs?period=All"' in said(at)  # the chip that is on leads back to all
    row = mounted(at, "table_runs")["rows"][0]
    assert (row["tone"], row["can"], row["c"][2][0]) == ("red", ["retry"], "red")
    assert words_of(open_page("runs", q="no such thing")) == []
    assert words_of(open_page("runs", q="#7", period="All")) != []


@pytest.mark.parametrize("bad", [{"before": "x"}, {"state": "<b>"}, {"period": "9"}, {"run": "999999"}, {"run": "1e9"}])
def test_an_address_made_up_by_hand_is_no_error(open_page, filled, bad):
    filled(5)
    open_page("runs", **bad)


def test_a_run_in_the_address_opens_its_drawer(open_page, filled):
    filled(25)
    with database.transaction(STAFF) as session:
        run = session.query(Run).filter_by(state="failed").first()
        run.error = {"message": "Slack said <no>.", "next_step": "Try again."}
        run_id = run.id
    at = open_page("runs", run=str(run_id), period="All")
    assert "Slack said &lt;no&gt;." in " ".join(h.proto.body for h in at.get("html"))
    at.button(key=f"drawer_retry_{run_id}").click().run()
    with database.transaction(STAFF) as session:
        assert session.get(Run, run_id).state == "queued"


def test_sales_may_look_but_not_cancel(open_page):
    with database.transaction(STAFF) as session:
        run_id = service.enqueue(session, "probe.noop", "nap").run_id
    at = open_page("runs", who="tony", run=str(run_id))
    at.button(key=f"drawer_cancel_{run_id}").click().run()
    with database.transaction(STAFF) as session:
        assert session.get(Run, run_id).state == "queued"


def test_queries_do_not_grow_with_rows(open_page, filled):
    counted = []
    for more in (10, 490):
        filled(more) if more == 10 else None
        if more == 490:
            with database.transaction(STAFF) as session:
                for number in range(more):
                    service.enqueue(session, "probe.noop", f"job {number % 9}")
        at = open_page("runs", period="All")
        with queries() as asked:
            at.run()
        counted.append(len(asked))
    assert counted[0] == counted[1] <= 8
