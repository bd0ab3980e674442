"""The kill switch with a real browser: stop, what everybody sees, and two admins who resume. And the bell."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.notifications import service as notifications
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.switches import service
from tests.browser.conftest import is_calm, shot
from tests.cast import CORNERSTONE_ORG

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WHY = "A client got a mail meant for another."
Visit = Callable[..., Page]


def stops() -> list[str]:
    with database.transaction(STAFF) as session:
        return [s["reach"] for s in service.stops(session, AGENCY_ID, None)]


def two_admins() -> None:
    with database.transaction(STAFF) as session:
        session.execute(text("UPDATE users SET role = 'admin' WHERE name = 'Dan'"))


def bar(page: Page) -> object:
    return page.get_by_role("alert").filter(has_text="is stopped")


def test_stop_everything_and_resume_it_with_a_second_admin(visit: Visit) -> None:
    dave, tony = visit("/"), visit("/runs", who="tony")
    two_admins()
    expect(
        tony.get_by_role("link", name="Notifications")
    ).to_be_visible()  # the frame is there, so that "no button" means something
    expect(tony.get_by_role("button", name="Stop")).to_have_count(0)  # it is for those who may
    shot(dave, "kill-1-quiet")
    dave.get_by_role("button", name="Stop everything").click()
    dialog = dave.get_by_role("dialog", name="Stop what leaves")
    dialog.get_by_role("button", name="Stop everything").click()
    expect(dialog).to_be_visible()  # what is sent off closes it, so without a reason nothing was
    assert stops() == []
    dialog.get_by_label("Why?").fill(WHY)
    shot(dave, "kill-2-why")
    dialog.get_by_role("button", name="Stop everything").click()
    expect(bar(dave)).to_contain_text("Everything is stopped")
    assert stops() == ["everything"]
    expect(bar(dave)).to_contain_text(WHY)
    shot(dave, "kill-3-stopped")
    expect(bar(tony)).to_contain_text("by Dave")  # by itself, on a page that nobody touched
    expect(bar(tony).get_by_role("button", name="Details")).to_be_visible()
    bar(tony).get_by_role("button", name="Details").click()
    expect(tony.get_by_role("dialog", name="What is stopped")).to_be_visible()
    expect(tony.get_by_role("button", name="resume")).to_have_count(0)

    bar(dave).get_by_role("button", name="Resume…").click()
    dave.get_by_role("button", name="Ask to resume").click()
    expect(dave.get_by_text("You asked to resume. A different admin has to agree.")).to_be_visible()
    shot(dave, "kill-4-asked")
    assert stops() == ["everything"]
    dan = visit("/approvals", who="dan", phone=True)
    bar(dan).get_by_role("button", name="Dave asks to resume…").click()
    shot(dan, "kill-5-second-admin-phone")
    dan.get_by_role("button", name="Agree and resume").click()
    for page in (dan, dave, tony):
        expect(bar(page)).to_have_count(0)
    assert stops() == []
    shot(dan, "kill-6-resumed-phone")


def test_one_organisation(visit: Visit) -> None:
    page = visit("/", phone=True, dark=True)
    page.get_by_role("button", name="Stop everything").click()
    dialog = page.get_by_role("dialog", name="Stop what leaves")
    dialog.get_by_label("Organisation", exact=True).select_option(label="Cornerstone")
    dialog.get_by_label("Why?").fill(WHY)
    shot(page, "kill-7-organisation-phone")
    dialog.get_by_role("button", name="Stop Cornerstone").click()
    expect(bar(page)).to_contain_text("Everything for Cornerstone is stopped")
    with database.transaction(STAFF) as session:
        assert [s["reach"] for s in service.stops(session, CORNERSTONE_ORG, None)] == ["organisation"]
    assert stops() == []
    shot(page, "kill-8-organisation-stopped-phone")
    bar(page).get_by_role("button", name="Resume…").click()
    page.get_by_role("dialog", name="What is stopped").get_by_role("button", name="Resume").click()
    expect(bar(page)).to_have_count(0)


def test_a_refused_stop_keeps_its_reason_until_one_is_on(visit: Visit) -> None:
    with database.transaction(STAFF) as session:
        session.execute(text("INSERT INTO organisations (id, kind, name) VALUES (gen_random_uuid(), 'client', 'Passing')"))
    page = visit("/")
    page.get_by_role("button", name="Stop everything").click()
    dialog = page.get_by_role("dialog", name="Stop what leaves")
    dialog.get_by_label("Organisation", exact=True).select_option(label="Passing")
    with database.transaction(STAFF) as session:
        session.execute(text("DELETE FROM organisations WHERE name = 'Passing'"))
    dialog.get_by_label("Why?").fill(WHY)
    dialog.get_by_role("button", name="Stop Passing").click()
    expect(page.get_by_text("There is no such organisation.")).to_be_visible()
    page.get_by_role("button", name="Stop everything").click()
    expect(dialog.get_by_label("Why?")).to_have_value(WHY)
    dialog.get_by_role("button", name="Stop everything").click()
    expect(bar(page)).to_contain_text(WHY)
    page.get_by_role("button", name="Stop everything").click()
    expect(dialog.get_by_label("Why?")).to_have_value("")


@pytest.mark.parametrize("phone", [False, True])
def test_the_bar_moves_nothing_at_load(visit: Visit, phone: bool) -> None:
    visit("/runs")
    with database.transaction(STAFF) as session:
        service.pull(session, "everything", WHY, service.COMMAND_LINE)
    page = visit("/runs", phone=phone)
    expect(bar(page)).to_contain_text("The server's command line")
    is_calm(page)


def test_the_bell_leads_to_the_thing_and_is_read_then(visit: Visit) -> None:
    page = visit("/")
    with database.transaction(STAFF) as session:
        dave = session.execute(text("SELECT id FROM users WHERE name = 'Dave'")).scalar_one()
        for n in range(2):
            notifications.notify(
                session, users=[dave], kind="reply", key=str(n), title=f"Brian replied {n}", body="Look.", href="/runs"
            )
    page.reload()
    bell = page.get_by_role("link", name="Notifications, 2 unread")
    bell.click()
    expect(page.get_by_role("heading", name="Notifications")).to_be_visible()
    shot(page, "bell-1-notifications")
    page.get_by_role("link", name="Brian replied 1").click()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    expect(page.get_by_role("link", name="Notifications, 1 unread")).to_be_visible()
