"""System: what runs, what is connected, the demo agency."""

import pytest
from streamlit.testing.v1 import AppTest

from app.ui import system_view
from core.domains.demo import service as demo
from core.errors import Unavailable
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.runs import heartbeats
from tests.pages.conftest import ROOT, mounted, said
from tests.pages.deals import asked, many_deals


@pytest.fixture(autouse=True)
def _fresh():
    system_view.seen.clear()


def test_nothing_runs(open_page):
    at = open_page("system")
    text = said(at)
    assert "The clock is not running." in text
    assert 'class="note c-red"' in text
    assert "PostgreSQL 1" in text
    assert "up to date" in text
    assert "<code>ops import deals FILE</code>" in text
    assert "Not connected" in text


def test_what_gives_a_sign_of_life_is_running(open_page):
    with database.transaction(STAFF) as session:
        for name in ("clock", "watchdog", "worker-agents-1", "web", "gateway"):
            heartbeats.beat(session, name)
    rows = {r["name"]: r["c"] for r in mounted(open_page("system"), "table_processes")["rows"]}
    assert rows["Clock"][1][1] == "Running"
    assert rows["Worker, agents 1"][1][1] == "Running"
    assert rows["Clock"][4] == "just now"


@pytest.mark.parametrize("who", ["tony", "dan", "robert"])
def test_others_have_no_such_page(open_page, who):
    with pytest.raises(ValueError, match="Could not find a navigation page"):
        open_page("system", who=who)


def test_the_page_itself_asks_for_the_role(open_page):
    open_page("today", who="tony")
    at = AppTest.from_file(str(ROOT / "pages" / "system.py"), default_timeout=60).run()
    assert not at.exception
    assert "This is for" in said(at)
    assert "PostgreSQL" not in said(at)


def test_engineering_sees_it_but_only_admins_touch_the_demo(open_page):
    at = open_page("system", who="brian")
    assert "An admin can load it here." in [c.value for c in at.caption]
    assert "demo_ask" not in [b.key for b in at.button]
    assert "demo_ask" in [b.key for b in open_page("system", who="dave").button]


def test_the_demo_is_named_and_can_be_removed(open_page):
    with database.transaction(STAFF) as session:
        assert not demo.is_loaded(session)
    at = open_page("system")
    assert "Not loaded." in said(at)
    at.button(key="demo_ask").click().run()
    assert not at.exception
    at.button(key="demo_do")


def test_a_database_that_does_not_answer_is_one_sentence(open_page, monkeypatch):
    at = open_page("system")

    def down():
        raise Unavailable("The database does not answer.", "It starts again by itself; wait a moment.")

    monkeypatch.setattr(database, "transaction", lambda *_a, **_k: down())
    at.run()
    assert not at.exception
    assert "The database does not answer." in said(at)


def test_the_number_of_statements_does_not_grow(open_page):
    few = asked(open_page("system"))
    many_deals(500)
    assert asked(open_page("system")) == few
