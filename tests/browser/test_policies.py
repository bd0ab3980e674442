"""Policies in a real browser: read what decided, try a number, save it, and let a second admin confirm."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.policies import engine
from core.runtime.policies.models import Stage
from tests.browser.conftest import SIZES, is_calm, shot
from tests.core.runtime.policies import making
from tests.gates import set_numbers

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Visit = Callable[..., Page]


def history() -> None:
    """Some weeks of judged actions, with the real policies."""
    with database.transaction(STAFF) as session:
        northwind, cornerstone = making.client(session, "Northwind West"), making.client(session, "Cornerstone East")
        set_numbers(session, "contact_ceiling", quiet=False)
        for n in range(120):
            set_numbers(session, "send_mode", mode="live" if n % 4 else "internal_only")
            agent = ("Sales AI", "Delivery AI", "Marketing AI", None)[n % 4]
            kind = ("mail.send", "slack.post", "mail.send", "pipedrive.deal.create")[n % 4]
            inside = kind != "mail.send"
            action = making.action(
                session, org_id=(northwind, cornerstone)[n % 2], kind=kind, agent=agent, title=f"{kind.split('.')[0]} no. {n}",
                requested_by_kind="run" if agent else "user", audience="internal" if inside else "outside",
                recipients=[] if inside else [f"person{n % 5}@northwind.example"],
                payload={"text": "Please send the password by wire transfer." if n % 11 == 0 else "Good morning."},
            )  # fmt: skip
            engine.judge(session, action, Stage.PROPOSE)
            if n % 3:
                engine.judge(session, action, Stage.SEND, lock=True)
                making.effect(session, action)
        session.execute(text("UPDATE policy_verdicts SET at = at - make_interval(hours => (120 - action_id::int) / 8 * 60)"))
        session.execute(text("DELETE FROM policy_settings WHERE policy = 'send_mode'"))


def saved(page: Page, sentence: str) -> None:
    expect(page.get_by_text(sentence).first).to_be_visible()


def test_a_number_is_tried_and_saved(visit: Visit) -> None:
    history()
    page = visit("/policies")
    expect(page.locator(".pol")).to_have_count(15)
    shot(page, "policies")
    page.locator(".pol", has_text="How many in an hour").click()
    expect(page.locator(".pg h1")).to_have_text("How many in an hour")
    field = page.get_by_role("spinbutton", name="mail (mail.send)")
    expect(field).to_have_value("50")
    field.fill("1")
    field.press("Enter")
    expect(page.locator(".pdiff ins")).to_contain_text("1 mail")
    page.get_by_role("button", name="Try on the last 90 days").click()
    expect(page.locator(".btest .lead")).to_contain_text("would have been decided differently")
    expect(page.locator(".flip").first).to_contain_text("the most allowed is 1")
    shot(page, "policy-tried")
    page.get_by_role("button", name="Save").click()
    saved(page, "It holds from the next action on.")
    expect(page.locator(".rows li", has_text="Dave changed").first).to_be_visible()
    shot(page, "policy-saved")


def test_it_fits_a_phone_and_the_dark(visit: Visit) -> None:
    history()
    page = visit("/policies", phone=True)
    base = page.url.removesuffix("/policies")
    for path, name in (
        ("/policies", "policies"),
        ("/policy?policy=contact_ceiling", "policy"),
        ("/policy?policy=agent_kinds", "agents"),
    ):
        page.goto(base + path)
        page.locator(".pol, .pweek").first.wait_for()
        is_calm(page, jumped=1.0)  # its parts come one after the other on a busy machine
        for size, dark in (("phone", False), ("phone", True), ("wide", True)):
            page.set_viewport_size(SIZES[size])
            page.emulate_media(color_scheme="dark" if dark else "light")
            shot(page, f"{name}-{size}{'-dark' if dark else ''}")
            is_calm(page, jumped=1.0)  # its parts come one after the other on a busy machine
        page.set_viewport_size(SIZES["phone"])


def test_a_change_that_takes_two_waits_for_a_second_admin(visit: Visit) -> None:
    with database.transaction(STAFF) as session:
        session.execute(text("UPDATE users SET role = 'admin' WHERE name = 'Brian'"))
    page = visit("/policy?policy=two_people")
    field = page.get_by_label("Two people from, USD")
    field.fill("250")
    field.press("Enter")
    page.get_by_role("button", name="Ask a second admin").click()
    expect(page.get_by_role("button", name="Take it back")).to_be_visible()
    expect(page.get_by_role("button", name="Confirm the change")).to_have_count(0)
    shot(page, "policy-waits")
    other = visit("/policy?policy=two_people", who="brian")
    other.get_by_role("button", name="Confirm the change").click()
    expect(other.locator(".note", has_text="wants to change it")).to_have_count(0)
    field = other.get_by_label("Two people from, USD")
    expect(field).to_have_count(1)  # while it is drawn anew, the old one still stands there
    expect(field).to_have_value("250.00")


def test_everybody_reads_and_only_admins_edit(visit: Visit) -> None:
    page = visit("/policy?policy=rate_limit", who="tony")
    expect(page.locator(".kv")).to_contain_text("50 mails")
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
