"""Run now, the switch, the run page, the drawer, the palette and the phone, in a real browser against running processes."""

import re

import pytest
from playwright.sync_api import expect

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.runs import service
from core.runtime.runs.models import Run
from core.runtime.schedules.models import Schedule
from tests.browser.conftest import is_calm

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BRIEF = "CEO Morning Brief"


def test_run_now_opens_the_run_and_shows_its_report(visit):
    page = visit("/agent-jobs")
    page.get_by_role("button", name=f"Run now: {BRIEF}").click()
    page.wait_for_url(re.compile(r"/run\?run=\d+"))
    expect(page.locator(".pg h1 .tag").first).to_have_text("Succeeded", timeout=20_000)
    expect(page.locator(".g .row")).to_have_count(5)
    page.locator("a.fact").first.click()
    expect(page.locator(".factbox")).to_be_visible()
    assert "fact=" in page.url
    page.keyboard.press("Escape")
    expect(page.locator(".factbox")).to_have_count(0)
    expect(page).not_to_have_url(re.compile("fact="))


def test_the_switch_reaches_the_database_and_other_browsers(visit):
    page, other = visit("/agent-jobs"), visit("/agent-jobs", who="brian")
    switch = page.get_by_role("switch", name=BRIEF)
    expect(switch).to_have_attribute("aria-checked", "true")
    switch.click()
    expect(other.get_by_role("switch", name=BRIEF)).to_have_attribute("aria-checked", "false")
    with database.transaction(STAFF) as session:
        assert session.query(Schedule).filter_by(name="ceo-morning-brief").one().enabled is False


def test_two_quick_clicks_make_one_run(visit):
    page = visit("/job?name=ceo-morning-brief")
    page.get_by_role("button", name="Run now").dblclick()
    page.wait_for_url(re.compile(r"/run\?run="))
    with database.transaction(STAFF) as session:
        # the clock beside it may have started a job of its own
        assert [r.cause_kind for r in session.query(Run).filter(Run.cause_kind != "schedule")] == ["user"]


def test_a_new_run_shows_by_itself_and_the_keyboard_reaches_it(visit):
    page = visit("/runs")
    expect(page.get_by_text("Live")).to_be_visible()
    for number in range(3):
        with database.transaction(STAFF) as session:
            service.enqueue(session, "probe.noop", f"probe {number}")
    expect(page.locator("tr[data-id]")).to_have_count(3)  # nobody reloaded
    page.locator("tr[data-id]").first.focus()
    page.keyboard.press("j")
    focused = page.evaluate("document.activeElement.shadowRoot.activeElement.dataset.id")
    with database.transaction(STAFF) as session:
        service.enqueue(session, "probe.noop", "probe 4")
    expect(page.locator("tr[data-id]")).to_have_count(4)
    # the row moved down, the focus stayed on the same run
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.dataset.id") == focused
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_text(f"Run #{focused}")).to_be_visible()
    expect(page).to_have_url(re.compile(f"run={focused}"))
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("run="))


def test_a_drawers_link_and_back(visit):
    with database.transaction(STAFF) as session:
        run_id = service.enqueue(session, "probe.nap", "nap", payload={"seconds": 1}).run_id
    page = visit(f"/runs?run={run_id}")
    expect(page.get_by_role("dialog").get_by_text(f"Run #{run_id}")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator(f"tr[data-id='{run_id}'] td.k-state").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_palette_by_keyboard_alone(visit):
    page = visit("/")
    is_calm(page)
    page.keyboard.press("Control+k")
    page.keyboard.type("build queue")
    expect(page.get_by_role("option", name="Build Queue Check")).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/job\?name=build-queue-check"))


@pytest.mark.parametrize("path", ["/", "/agent-jobs", "/runs", "/job?name=ceo-morning-brief"])
def test_nothing_jumps_and_the_phone_needs_no_sideways_scroll(visit, path):
    for phone in (False, True):
        page = visit(path, phone=phone)
        page.get_by_text("Live").first.wait_for(state="attached")
        is_calm(page)


def test_every_control_has_a_name(visit):
    page = visit("/agent-jobs")
    page.locator("tr[data-id]").first.wait_for()
    unnamed = page.evaluate("""() => {const out=[];const walk=r=>{for(const e of r.querySelectorAll('*')){
        if(e.matches('button,a[href],input,select,textarea')&&e.getBoundingClientRect().width>0){
          const n=e.getAttribute('aria-label')||e.title||e.innerText||e.placeholder||(e.labels&&e.labels.length)
            ||e.querySelector('img[alt],[aria-label]');
          if(!n)out.push(e.outerHTML.slice(0,120))}
        if(e.shadowRoot)walk(e.shadowRoot)}};walk(document);return out}""")
    assert unnamed == []
