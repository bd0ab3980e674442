"""Import of deals from a file, as Tony does it: choose, look, correct, import; and what a broken file shows."""

import re

import pytest
from playwright.sync_api import expect

from core.domains.crm import queries
from core.domains.crm.queries import DealFilter
from core.kit import db as database
from core.kit.db import STAFF
from tests.pages.deals import HEADER, SCRIPT, day, six_deals

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def deals():
    with database.transaction(STAFF) as session:
        return queries.deals_page(session, DealFilter(), sort="newest").deals


def choose(page, data, name="export.csv"):
    if "import=deals" not in page.url:
        page.get_by_role("button", name="Import deals").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/csv", "buffer": data})
    return dialog


def tile(dialog, label):
    return dialog.locator(".tile", has_text=label).locator("b")


def test_a_file_is_looked_at_corrected_and_imported(visit):
    page = visit("/pipeline", who="tony")
    expect(page.get_by_text("No deals yet")).to_be_visible()
    head = "Deal id,Title,Account,Owner,Stage,Value,Real worth,Created\n"
    dialog = choose(page, (head + f'A1,"{SCRIPT}",Cornerstone,Tony,Proposal,1,900,{day(9)}\nA2,Second,Northwind,Dave,Lead,2,800,{day(3)}\n').encode())  # fmt: skip # noqa: E501
    expect(tile(dialog, "New")).to_have_text("2")
    assert deals() == []
    dialog.get_by_text(re.compile("^Columns: ")).click()
    value = dialog.get_by_role("combobox", name="Value", exact=True)
    # the list closes when the box moves under it
    page.locator("[data-testid=stExpander]").evaluate("e=>Promise.all(e.getAnimations({subtree:true}).map(a=>a.finished))")
    value.press("ArrowDown")
    page.get_by_role("option", name="Real worth").click()
    expect(dialog.get_by_text("$900")).to_be_visible()
    dialog.get_by_role("button", name="Import 2 deals").click()
    expect(dialog.get_by_text("2 new, 0 changed, 0 unchanged, 0 rejected.")).to_be_visible()
    assert [d.value_minor for d in deals()] == [800_00, 900_00]
    dialog.get_by_role("link", name="See the pipeline").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("tr[data-id]")).to_have_count(2)
    expect(page.get_by_text(SCRIPT).first).to_be_visible()
    # the same file again changes nothing
    page.goto(page.url.partition("?")[0] + "?import=deals")
    dialog = choose(page, (head + f"A2,Second,Northwind,Dave,Lead,800,800,{day(3)}\n").encode())
    expect(tile(dialog, "New")).to_have_text("0")
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("import="))


def test_rejected_rows_can_be_downloaded_and_the_good_ones_kept(visit):
    page = visit("/pipeline", who="tony")
    dialog = choose(page, (HEADER + f"D1,Good,Cornerstone,Tony,Lead,100,{day(9)},,,\nD2,Bad,Cornerstone,Tony,Lead,a lot,{day(9)},,,\n").encode())  # fmt: skip # noqa: E501
    expect(tile(dialog, "Rejected")).to_have_text("1")
    expect(dialog.get_by_role("button", name="Import 1 deal")).to_be_disabled()
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Download rejected rows").click()
    saved = download.value.path().read_text(encoding="utf-8-sig")
    assert "Bad" in saved
    assert "Good" not in saved
    dialog.get_by_text("Import the 1 good row anyway").click()
    dialog.get_by_role("button", name="Import 1 deal").click()
    expect(dialog.get_by_text("1 new, 0 changed, 0 unchanged, 1 rejected.")).to_be_visible()
    assert [d.title for d in deals()] == ["Good"]


@pytest.mark.parametrize("data", [b"\x00\x01\x02\xff" * 400, b"colour,taste\nred,sweet\n"], ids=["binary", "no known column"])
def test_a_broken_file_shows_one_sentence_and_another_can_be_chosen(visit, data):
    page = visit("/pipeline", who="tony")
    dialog = choose(page, data)
    expect(dialog.locator(".note.c-red")).to_have_count(1)
    expect(dialog.get_by_role("button", name=re.compile("^Import"))).to_have_count(0)
    choose(page, (HEADER + f"D1,Good,Cornerstone,Tony,Lead,100,{day(9)},,,\n").encode(), "good.csv")
    expect(tile(dialog, "New")).to_have_text("1")
    expect(dialog.locator(".note.c-red")).to_have_count(0)
    # a third with other columns is read by its own
    choose(page, b"opportunity_id,name,deal_stage,close_value\nX1,One,Lead,7\nX2,Two,Lead,8\n", "other.csv")
    expect(tile(dialog, "New")).to_have_text("2")


def test_filters_and_links_work_without_a_reload(visit):
    six_deals()
    page = visit("/pipeline", who="tony")
    page.evaluate("window.__same = true")
    expect(page.locator("tr[data-id]")).to_have_count(6)
    owner = page.get_by_role("combobox", name="Owner")
    owner.click()
    page.get_by_role("option", name="Dave").click()
    expect(page.locator("tr[data-id]")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"owner=\d+"))
    page.get_by_role("searchbox").fill("blueprint")
    expect(page.locator("tr[data-id]")).to_have_count(1)
    page.get_by_role("searchbox").fill("")
    expect(page.locator("tr[data-id]")).to_have_count(2)
    page.locator(".tile", has_text="Open pipeline").click()
    expect(page.locator("tr[data-id]")).to_have_count(1)
    page.locator("tr[data-id]").first.click()
    page.wait_for_url(re.compile(r"/deal\?deal=\d+"))
    expect(page.locator(".pg h1").first).to_contain_text("Northwind: AI blueprint")
    assert page.evaluate("window.__same")


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize("path", ["/pipeline", "/deal?deal=1", "/activity", "/system"])
def test_nothing_jumps_and_nothing_is_wider_than_the_screen(visit, path, phone):
    six_deals()
    page = visit(path, phone=phone)
    page.wait_for_load_state("networkidle")
    expect(page.locator("[data-testid=stSkeleton]")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= (390 if phone else 1440)
    assert page.evaluate("__shift") < 0.05
