"""Tasks on Today: whose they are sees them, and one click says that it is done."""

import pytest

from app.ui import tasks_view
from core.domains.tasks import queries, service
from core.domains.tasks.models import Task
from core.domains.tasks.schemas import TaskCreate
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.orgs.models import AGENCY_ID
from tests.pages.conftest import said


@pytest.fixture
def task(open_page):
    open_page("today")
    wanted = TaskCreate(
        title="Call <b>Northwind</b>", reason="client_asked", evidence="Please call me.", assignee="delivery", due="2026-01-02"
    )
    with database.transaction(STAFF) as session:
        return service.create(session, wanted, action_id=None, org_id=AGENCY_ID, by=Actor("Delivery AI"))


def test_whose_it_is_sees_it_and_can_say_that_it_is_done(open_page, task):
    at = open_page("today", who="dan")
    text = said(at)
    assert "Call <b>Northwind</b>" in text
    assert "The client asked: Please call me." in text
    assert "was due" in text
    at.button(key=f"done_{task}").click().run()
    with database.transaction(STAFF) as session:
        assert session.get_one(Task, task).done_by == "Dan"
    assert "Northwind" not in said(open_page("today", who="dan"))


def test_its_words_are_text(task):
    with database.transaction(STAFF) as session:
        (row,) = queries.open_for(session, 0, "delivery")
    assert "Call &lt;b&gt;Northwind&lt;/b&gt;" in tasks_view.line(row, "delivery")


def test_nobody_elses_tasks_are_shown(open_page, task):
    assert "The client asked" not in said(open_page("today", who="tony"))
