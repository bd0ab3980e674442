"""Signing in with a real browser: by one-time link, by password, and out again."""

import pytest
from playwright.sync_api import expect

from core.domains.users import service as users
from core.kit import db as database
from core.kit.db import STAFF
from tests.cast import make_cast

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PASSWORD = "correct horse battery staple"


@pytest.fixture
def page(db, chromium):
    with database.transaction(STAFF) as session:
        make_cast(session)
        users.set_password(session, "tony@manageai.example", PASSWORD)
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


def test_a_link_signs_in_once_and_opening_it_decides_nothing(page, running):
    with database.transaction(STAFF) as session:
        token = users.create_login_link(session, "dave@manageai.example")
    address = f"{running.url}/auth/link?token={token}"
    page.goto(address)
    page.goto(address)  # a mail scanner was here before
    page.get_by_role("button").first.click()
    page.locator(".pg h1").first.wait_for()
    assert "Dave" in page.locator(".pg h1").first.inner_text()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("E-mail").wait_for()
    page.goto(address)
    if page.get_by_role("button").count():
        page.get_by_role("button").first.click()
    page.get_by_text("ops users link").first.wait_for()
    assert page.locator(".pg h1").count() == 0


def test_a_wrong_password_says_so_and_the_right_one_opens_the_page_asked_for(page, running):
    page.goto(f"{running.url}/pipeline")
    page.get_by_label("E-mail").fill("tony@manageai.example")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("don't fit together")).to_be_visible()
    expect(page.locator(".pg h1")).to_have_count(0)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator(".pg h1", has_text="Pipeline").wait_for()
