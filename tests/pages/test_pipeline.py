"""The pipeline, its filters in the address, and the import of a file."""

import json

import pytest

from core.domains.crm import queries
from core.domains.crm.queries import DealFilter
from core.kit import db as database
from core.kit.db import STAFF
from tests.pages.conftest import mounted, said
from tests.pages.deals import HEADER, LINKS, SCRIPT, asked, day, import_deals, many_deals, raw, six_deals


def titles(at):
    return [row["c"][0]["t"] if isinstance(row["c"][0], dict) else row["c"][0] for row in mounted(at, "table_deals")["rows"]]


def stage_id(name):
    with database.transaction(STAFF) as session:
        return str(next(s.id for s in queries.stages(session) if s.name == name))


def owner_id(name):
    with database.transaction(STAFF) as session:
        return str(next(o.id for o in queries.owners(session) if o.name == name))


def deals_there_are():
    with database.transaction(STAFF) as session:
        return len(queries.deals_page(session, DealFilter()).deals)


def buttons(at):
    return [b.label for b in at.button]


def test_an_empty_pipeline_says_what_to_do(open_page):
    at = open_page("pipeline", who="tony")
    assert "No deals yet" in said(at)
    assert "Import deals" in buttons(at)
    assert not at.get("plotly_chart")


def test_a_full_pipeline(open_page):
    six_deals()
    at = open_page("pipeline", who="tony")
    text = said(at)
    assert '<span class="l">Open pipeline</span><b>$60.5k</b>' in text
    assert '<span class="l">Won, last 90 d</span><b>$30.0k</b>' in text
    assert "Past their close date</span><b>1</b>" in text
    assert "Northwind: AI teammate" in text.partition("Stuck: somebody has to move")[2].partition("Best chances")[0]
    assert len(at.get("plotly_chart")) == 4
    assert titles(at) == [
        "Cornerstone: Assessment", "Cornerstone: Workflow automation", "Northwind: AI blueprint",
        "Cornerstone: Managed automations", "Northwind: Support desk", "Northwind: AI teammate",
    ]  # fmt: skip
    assert [r.get("tone") for r in mounted(at, "table_deals")["rows"]][-1] == "amber"


def test_the_import_is_for_sales(open_page):
    assert "Import deals" not in buttons(open_page("pipeline", who="dan"))
    at = open_page("pipeline", who="dan", **{"import": "deals"})
    assert "This is for" in said(at)
    assert not at.get("file_uploader")


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({"q": "northwind"}, {"Northwind: AI blueprint", "Northwind: AI teammate", "Northwind: Support desk"}),
        ({"q": "D5"}, {"Cornerstone: Managed automations"}),
        ({"status": "won"}, {"Cornerstone: Managed automations"}),
        ({"show": "overdue"}, {"Northwind: AI teammate"}),
        ({"show": "zero"}, {"Cornerstone: Assessment"}),
        ({"show": "quiet"}, {"Northwind: AI teammate"}),
        ({"q": "' OR 1=1 --"}, set()),
    ],
)
def test_filters_stand_in_the_address(open_page, params, wanted):
    six_deals()
    assert set(titles(open_page("pipeline", **params))) == wanted


def test_stage_and_owner_stand_in_the_address(open_page):
    six_deals()
    at = open_page("pipeline", stage=stage_id("Lead"), owner=owner_id("Dave"))
    assert titles(at) == ["Northwind: AI blueprint"]
    assert [b.value for b in at.selectbox] == ["Dave"]
    stages = said(at).partition('aria-label="Filter by stage"')[2].partition("</nav>")[0]
    on = [part.partition("</a>")[0] for part in stages.split('aria-current="true">')[1:]]
    assert on == ["<i></i>Lead <b>1</b>"]


def test_choosing_an_owner_writes_the_address_and_starts_at_the_first_page(open_page):
    six_deals()
    at = open_page("pipeline", after="2026-01-01~5")
    at.selectbox[0].select("Dave").run()
    assert at.query_params["owner"] == owner_id("Dave")
    assert "after" not in at.query_params
    assert set(titles(at)) == {"Northwind: AI blueprint", "Northwind: Support desk"}
    at.selectbox[0].select("All owners").run()
    assert "owner" not in at.query_params
    assert len(titles(at)) == 6


@pytest.mark.parametrize(
    "params",
    [
        {"status": "maybe", "stage": "x,-1", "owner": "99999999999999999999", "show": "all", "period": "ever", "sort": "luck"},
        {"after": "~"}, {"after": "x~y"}, {"q": "a\x00b" * 5000}, {"opened": "yesterday..never"},
    ],
)  # fmt: skip
def test_an_address_that_makes_no_sense_shows_the_page(open_page, params):
    six_deals()
    assert "Pipeline" in said(open_page("pipeline", **params))


@pytest.mark.parametrize(("sort", "first"), [("value", "Northwind: AI teammate"), ("newest", "Northwind: Support desk")])
def test_order(open_page, sort, first):
    six_deals()
    assert titles(open_page("pipeline", sort=sort))[0] == first


def test_paging(open_page, filled):
    filled(120)
    at = open_page("pipeline", sort="value")
    seen, pages = titles(at), 1
    while following := dict(mounted(at, "table_deals")["more"]).get("Next 50"):
        at = open_page("pipeline", **dict(p.split("=", 1) for p in following.partition("?")[2].replace("%7E", "~").split("&")))
        seen += titles(at)
        pages += 1
    assert pages == 3
    assert len(set(seen)) == 120


def test_hostile_texts_are_shown_as_text(open_page):
    import_deals(
        f'D1,"{SCRIPT}","{SCRIPT} & Sons","{LINKS}","<b>Stage</b>",100,{day(80)},{day(70)},{day(10)},\n'
        f'D2,"{LINKS}",Northwind,Tony,Lead,100,{day(80)},{day(70)},{day(10)},\n'
    )
    at = open_page("pipeline")
    assert "<img" not in raw(at).replace('<img src="/app/static/mark.svg"', "")
    assert "&lt;img src=x onerror=alert(1)&gt;" in raw(at)
    assert "<b>Stage</b>" not in raw(at)
    assert set(titles(at)) == {SCRIPT, LINKS}
    # Plotly reads tags in its texts
    drawn = [str(json.loads(chart.proto.spec)) for chart in at.get("plotly_chart")]
    assert any("&lt;b&gt;Stage" in text for text in drawn)
    assert not any("<b>Stage" in text for text in drawn)
    assert not [m for m in at.markdown if "evil" in m.value]


def test_the_number_of_statements_does_not_grow(open_page):
    many_deals(10)
    few = asked(open_page("pipeline"))
    many_deals(500)
    assert asked(open_page("pipeline")) == few
    assert few <= 8


def importing(open_page, data, name="deals.csv"):
    at = open_page("pipeline", who="tony", **{"import": "deals"})
    at.file_uploader[0].set_value((name, data, "text/csv")).run()
    assert not at.exception
    return at


def test_import_shows_what_it_would_do_then_does_it_once(open_page):
    data = (HEADER + f"D1,Cornerstone: One,Cornerstone,Tony,Lead,100,{day(9)},{day(2)},,\n").encode()
    at = importing(open_page, data)
    assert '<span class="l">New</span><b>1</b>' in said(at)
    assert deals_there_are() == 0
    go = next(b for b in at.button if b.label == "Import 1 deal")
    at = go.click().run()
    assert "1 new, 0 changed, 0 unchanged, 0 rejected." in said(at)
    assert deals_there_are() == 1


def test_rejected_rows_hold_the_import_back_unless_the_good_ones_are_wanted(open_page):
    data = (HEADER + f"D1,Good,Cornerstone,Tony,Lead,100,{day(9)},,,\nD2,Bad,Cornerstone,Tony,Lead,a lot,{day(9)},,,\n").encode()
    at = importing(open_page, data)
    assert "line 3" in said(at)
    assert next(b for b in at.button if b.label == "Import 1 deal").disabled
    assert at.get("download_button")
    at.checkbox[0].check().run()
    at = next(b for b in at.button if b.label == "Import 1 deal").click().run()
    assert "1 new, 0 changed, 0 unchanged, 1 rejected." in said(at)
    assert deals_there_are() == 1


def test_a_column_can_be_corrected(open_page):
    data = f"Deal id,Title,Stage,Budget,Real worth\nD1,One,Lead,1,{day(1)}\n".replace(day(1), "900").encode()
    at = importing(open_page, data)
    value = next(s for s in at.selectbox if s.key == "import_map_value")
    at = value.select("Real worth").run()
    next(b for b in at.button if b.label == "Import 1 deal").click().run()
    with database.transaction(STAFF) as session:
        assert [d.value_minor for d in queries.deals_page(session, DealFilter()).deals] == [900_00]


@pytest.mark.parametrize("data", [b"\x00\x01\x02\xff" * 400, b"just,some\nthing,else\n", b"", b"PK\x03\x04" + b"\x00" * 200])
def test_a_broken_file_gets_one_sentence(open_page, data):
    at = importing(open_page, data)
    assert raw(at).count('class="note c-red"') == 1
    assert not [b for b in at.button if b.label.startswith("Import ") and b.label != "Import deals"]
    assert deals_there_are() == 0


def test_another_file_starts_from_its_own_columns(open_page):
    at = importing(open_page, b"Deal id,Title,Stage,Value,Other\nD1,One,Lead,1,2\n")
    next(s for s in at.selectbox if s.key == "import_map_value").select("Other").run()
    at.file_uploader[0].set_value(("b.csv", b"opportunity_id,name,deal_stage,close_value\nX1,One,Lead,7\n", "text/csv")).run()
    assert 'class="note c-red"' not in raw(at)
    assert '<td class="n">$7</td>' in raw(at)


def test_a_choice_that_makes_no_sense_can_be_taken_back(open_page):
    at = importing(open_page, b"Deal id,Title,Stage,Value\nD1,One,Lead,1\n")
    next(s for s in at.selectbox if s.key == "import_map_stage").select("Not in this file").run()
    assert 'class="note c-red"' in raw(at)
    at.button(key="import_guess").click().run()
    assert 'class="note c-red"' not in raw(at)


def test_hostile_columns_are_text_in_tooltips_too(open_page):
    name = "Value ![a](http://evil.example/a.png)"
    at = importing(open_page, f'Deal id,Title,Stage,"{name}"\nD1,"{SCRIPT}",Lead,"{SCRIPT}"\n'.encode())
    assert "<img src=x" not in raw(at)
    assert not [s.help for s in at.selectbox if s.help and "![a](" in s.help]
