# ruff: noqa: E501  (tables of cases and of expected rows read best with one case a line)
import csv
import io
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from core.domains.crm import importer
from core.domains.crm.importer import Rejected, rejected_csv, safe_cell
from core.errors import BadInput
from core.kit import db as database
from core.kit.db import STAFF
from tests.core.domains.crm.conftest import NOON, TONY, import_text, preview_text
from tests.tools.database import sql

HEADER = "deal_id,owner,account,product,stage,created,close_date,amount\n"
SMALL = (
    HEADER
    + "D1,Tony,Cornerstone,GTX Pro,Won,2026-09-01,2026-09-21,\"$1,200.50\"\n"
    + "D2,Tony,Northwind,GTXPro,Proposal,2026-10-05,2026-12-01,800\n"
    + "D3,Dave,,GTX Pro,Lead in,2026-11-01,,\n"
    + "D4,Dave,cornerstone,gtx pro,Lost,2026-09-05,2026-10-05,0\n"
    + "D5,,Northwind,,Lead in,,,\n"
)  # fmt: skip


def counts(result: importer.ImportResult) -> tuple[int, int, int, int]:
    return result.created, result.updated, result.unchanged, result.rejected_total


def midnight(*day: int) -> datetime:
    from zoneinfo import ZoneInfo

    return datetime(*day, tzinfo=ZoneInfo("America/Chicago")).astimezone(UTC)


def test_a_file_becomes_deals_with_stages_accounts_owners_and_history(db, noon):
    assert counts(import_text(SMALL, file_name="small.csv")) == (5, 0, 0, 0)
    assert sql("SELECT name, position, status FROM stages ORDER BY position") == [
        ("Lead in", 0, "open"), ("Proposal", 1, "open"), ("Won", 2, "won"), ("Lost", 3, "lost"),
    ]  # fmt: skip
    assert sql("SELECT name FROM accounts ORDER BY name") == [("Cornerstone",), ("Northwind",)]
    assert sql("SELECT name FROM owners ORDER BY name") == [("Dave",), ("Tony",)]
    found = sql(
        "SELECT external_id, title, status, value_minor, product, opened_at, closed_at, expected_close_on, last_activity_at "
        "FROM deals ORDER BY external_id"
    )
    assert found == [
        ("D1", "Cornerstone · GTX Pro", "won", 120050, "GTX Pro", midnight(2026, 9, 1), midnight(2026, 9, 21), None, midnight(2026, 9, 21)),
        ("D2", "Northwind · GTX Pro", "open", 80000, "GTX Pro", midnight(2026, 10, 5), None, date(2026, 12, 1), midnight(2026, 10, 5)),
        ("D3", "GTX Pro · D3", "open", None, "GTX Pro", midnight(2026, 11, 1), None, None, midnight(2026, 11, 1)),
        ("D4", "Cornerstone · GTX Pro", "lost", 0, "GTX Pro", midnight(2026, 9, 5), midnight(2026, 10, 5), None, midnight(2026, 10, 5)),
        ("D5", "Northwind", "open", None, None, None, None, None, None),
    ]  # fmt: skip
    history = sql(
        "SELECT d.external_id, f.name, t.name, c.at, c.from_since, c.actor FROM stage_changes c JOIN deals d ON d.id = c.deal_id "
        "LEFT JOIN stages f ON f.id = c.from_stage_id JOIN stages t ON t.id = c.to_stage_id ORDER BY d.external_id, c.at"
    )
    assert history == [
        ("D1", None, "Lead in", midnight(2026, 9, 1), None, "Tony"),
        ("D1", "Lead in", "Won", midnight(2026, 9, 21), midnight(2026, 9, 1), "Tony"),
        ("D2", None, "Lead in", midnight(2026, 10, 5), None, "Tony"),
        ("D3", None, "Lead in", midnight(2026, 11, 1), None, "Tony"),
        ("D4", None, "Lead in", midnight(2026, 9, 5), None, "Tony"),
        ("D4", "Lead in", "Lost", midnight(2026, 10, 5), midnight(2026, 9, 5), "Tony"),
    ]  # fmt: skip


def test_a_second_import_of_the_same_file_changes_nothing(db):
    import_text(SMALL)
    before = (
        sql("SELECT * FROM deals ORDER BY id"),
        sql("SELECT * FROM stage_changes ORDER BY id"),
        sql("SELECT * FROM stages ORDER BY id"),
    )
    assert counts(import_text(SMALL)) == (0, 0, 5, 0)
    after = (
        sql("SELECT * FROM deals ORDER BY id"),
        sql("SELECT * FROM stage_changes ORDER BY id"),
        sql("SELECT * FROM stages ORDER BY id"),
    )
    assert after == before


def test_a_third_import_updates_just_the_changed_row_and_records_its_move(db, noon):
    import_text(SMALL)
    before = sql("SELECT * FROM deals WHERE external_id <> 'D2' ORDER BY id")
    changed = SMALL.replace("GTXPro,Proposal,2026-10-05,2026-12-01,800", "GTXPro,Won,2026-10-05,2026-11-18,950")
    assert counts(import_text(changed)) == (0, 1, 4, 0)
    assert sql("SELECT * FROM deals WHERE external_id <> 'D2' ORDER BY id") == before
    assert sql(
        "SELECT d.status, d.value_minor, d.closed_at, d.expected_close_on, s.name, d.last_activity_at, d.stage_since, f.name "
        "FROM deals d JOIN stages s ON s.id = d.stage_id JOIN stages f ON f.id = d.furthest_stage_id WHERE external_id = 'D2'"
    ) == [("won", 95000, midnight(2026, 11, 18), None, "Won", midnight(2026, 11, 18), midnight(2026, 11, 18), "Proposal")]
    assert sql(
        "SELECT f.name, t.name, c.at FROM stage_changes c JOIN deals d ON d.id = c.deal_id JOIN stages f ON f.id = c.from_stage_id "
        "JOIN stages t ON t.id = c.to_stage_id WHERE d.external_id = 'D2'"
    ) == [("Proposal", "Won", midnight(2026, 11, 18))]
    assert counts(import_text(changed)) == (0, 0, 5, 0)


def test_a_move_without_a_date_happened_when_it_was_seen_and_reopening_clears_the_close(db, noon):
    import_text("id,stage,created\n1,Lead in,2026-10-01\n2,Won,2026-10-01\n")
    import_text("id,stage,created\n1,Proposal,2026-10-01\n2,Proposal,2026-10-01\n")
    assert sql("SELECT external_id, status, stage_since, closed_at, last_activity_at FROM deals ORDER BY 1") == [
        ("1", "open", NOON, None, NOON), ("2", "open", NOON, None, NOON),
    ]  # fmt: skip


def test_columns_a_file_does_not_have_are_left_as_they_are(db):
    import_text(SMALL)
    import_text("deal_id,stage,amount\nD1,Won,77\n")
    assert sql("SELECT value_minor, product, o.name, opened_at IS NOT NULL FROM deals d JOIN owners o ON o.id = d.owner_id "
                "WHERE external_id = 'D1'") == [(7700, "GTX Pro", "Tony", True)]  # fmt: skip


def test_a_person_who_changed_a_deal_here_is_not_overruled_by_an_unchanged_row(db, noon):
    from core.domains.crm import service

    import_text(SMALL)
    ((deal_id,),) = sql("SELECT id FROM deals WHERE external_id = 'D3'")
    ((stage_id,),) = sql("SELECT id FROM stages WHERE name = 'Proposal'")
    with database.transaction(STAFF) as session:
        service.move_stage(session, deal_id, stage_id, TONY)
    assert counts(import_text(SMALL)) == (0, 0, 5, 0)
    assert sql("SELECT stage_id FROM deals WHERE id = :id", id=deal_id) == [(stage_id,)]


BROKEN = SMALL + "D6,Tony,Northwind,GTX Pro,Proposal,notadate,,5\nD7,Tony,,,,,,\nD1,Tony,,,Won,,,\n,Tony,,,Won,,,\nD8,x\n"


def test_rejected_rows_stop_everything_and_say_why_with_their_line(db):
    result = import_text(BROKEN)
    assert not result.imported
    assert counts(result) == (0, 0, 0, 5)
    assert [(r.line, r.reason) for r in result.rejected] == [
        (7, "“notadate” in “created” is not a date."),
        (8, "The row has no “stage”."),
        (9, "The id “D1” stands in line 2 already."),
        (10, "The row has no “deal_id”."),
        (11, "The row has only 2 of 8 cells."),
    ]
    for table in ("deals", "accounts", "owners", "stages", "stage_changes", "events"):
        assert sql(f"SELECT count(*) FROM {table}") == [(0,)]
    assert sql("SELECT row_count, created, jsonb_array_length(rejected) FROM deal_imports") == [(10, 0, 5)]


def test_keep_good_imports_the_rest(db):
    result = import_text(BROKEN, keep_good=True)
    assert result.imported
    assert counts(result) == (5, 0, 0, 5)
    assert sql("SELECT external_id, status FROM deals WHERE external_id = 'D1'") == [("D1", "won")]


def test_keep_good_with_nothing_good_imports_nothing(db):
    result = import_text("id,stage\n,Won\n,Lost\n", keep_good=True)
    assert (result.imported, result.rejected_total) == (False, 2)


def test_a_preview_writes_nothing_and_counts_what_the_import_then_does(db):
    seen = preview_text(BROKEN)
    for table in ("deals", "accounts", "owners", "stages", "deal_imports", "events"):
        assert sql(f"SELECT count(*) FROM {table}") == [(0,)]
    assert (seen.rows, seen.created, seen.rejected_total, seen.new_accounts, seen.new_owners) == (10, 5, 5, 2, 2)
    assert [(s.name, s.status, s.deals, s.value_minor) for s in seen.stages] == [
        ("Lead in", "open", 2, 0), ("Proposal", "open", 1, 80000), ("Won", "won", 1, 120050), ("Lost", "lost", 1, 0),
    ]  # fmt: skip
    assert seen.first_rows[0]["Opened"] == "1 Sep 2026"
    assert next(c for c in seen.columns if c.field == "stage").column == "stage"
    assert "The product “GTXPro” is stored as “GTX Pro”." in seen.notes
    import_text(SMALL)
    again = preview_text(SMALL.replace("800", "801"))
    assert (again.created, again.updated, again.unchanged) == (0, 1, 4)
    assert (again.new_accounts, again.new_owners) == (0, 0)


def test_a_known_spelling_beats_the_files_own(db):
    import_text("id,stage,product\n1,Won,GTX Pro\n")
    import_text("id,stage,product\n1,Won,GTX Pro\n2,Won,GTXPro\n3,Won,GTXPro\n4,Won,gtx-pro\n")
    assert sql("SELECT DISTINCT product FROM deals") == [("GTX Pro",)]


def test_ambiguous_dates_are_decided_for_the_column_and_said_in_the_preview(db):
    us = preview_text("id,stage,created\n1,Lead,3/4/2026\n2,Lead,3/25/2026\n")
    assert us.first_rows[0]["Opened"] == "4 Mar 2026"
    assert not [n for n in us.notes if "could be" in n]
    open_ = preview_text("id,stage,created\n1,Lead,3/4/2026\n")
    assert open_.first_rows[0]["Opened"] == "4 Mar 2026"
    assert any("could be day/month or month/day; they are read as month/day/year" in n for n in open_.notes)
    european = preview_text("id;stage;created;amount\n1;Lead;3/4/2026;1.234,50\n")
    assert (european.first_rows[0]["Opened"], european.first_rows[0]["Value"]) == ("3 Apr 2026", "$1,234.50")
    told = preview_text("id,stage,created\n1,Lead,3/4/2026\n", date_order="dmy")
    assert told.first_rows[0]["Opened"] == "3 Apr 2026"
    others = preview_text("id,stage,created,closed\n1,Won,3/4/2026,25/4/2026\n")
    assert others.first_rows[0]["Opened"] == "3 Apr 2026"


def test_dates_that_fit_no_reading_are_rejected_not_bent(db):
    result = import_text("id,stage,created\n1,Lead,3/25/2026\n2,Lead,4/25/2026\n3,Lead,25/3/2026\n")
    assert [(r.line, r.reason) for r in result.rejected] == [(4, "“25/3/2026” in “created” is not a date.")]


def test_currencies_come_from_the_cell_or_their_own_column(db):
    import_text("id,stage,amount,currency\n1,Lead,€5,\n2,Lead,7,GBP\n3,Lead,1500,JPY\n4,Lead,9,\n")
    assert sql("SELECT external_id, value_minor, currency FROM deals ORDER BY 1") == [
        ("1", 500, "EUR"), ("2", 700, "GBP"), ("3", 1500, "JPY"), ("4", 900, "USD"),
    ]  # fmt: skip
    assert any("in EUR; totals count USD only" in n for n in preview_text("id,stage,amount\n1,Lead,€5\n").notes)


def test_a_status_column_closes_a_deal_in_any_stage_and_remembers_how_far_it_came(db):
    import_text("id,stage,status,won time,lost time,created\n1,Proposal,won,2026-02-01,,2026-01-01\n2,Demo,lost,,2026-03-01,2026-01-01\n"
                "3,Demo,open,,,2026-01-01\n")  # fmt: skip
    assert sql(
        "SELECT d.external_id, s.name, d.status, f.name, d.closed_at FROM deals d JOIN stages s ON s.id = d.stage_id "
        "JOIN stages f ON f.id = d.furthest_stage_id ORDER BY 1"
    ) == [
        ("1", "Won", "won", "Proposal", midnight(2026, 2, 1)), ("2", "Lost", "lost", "Demo", midnight(2026, 3, 1)),
        ("3", "Demo", "open", "Demo", None),
    ]  # fmt: skip


def test_formula_cells_are_stored_as_given_and_made_harmless_when_downloaded(db):
    evil = '=HYPERLINK("http://x")'
    import_text(f'id,stage,title\n1,Lead,"{evil.replace(chr(34), chr(34) * 2)}"\n')
    assert sql("SELECT title FROM deals") == [(evil,)]
    made = rejected_csv([Rejected(2, "The row has no “stage”.", {"id": "+1+1", "title": evil, "amount": "-500", "=x": "@a"})])
    read = list(csv.reader(io.StringIO(made)))
    assert read == [["line", "reason", "id", "title", "amount", "'=x"], ["2", "The row has no “stage”.", "'+1+1", "'" + evil, "-500", "'@a"]]  # fmt: skip
    assert [safe_cell(c) for c in ("\tx", "-2+3", "-5", "plain", "")] == ["'\tx", "'-2+3", "-5", "plain", ""]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("id,stage\n", "no rows under it"),
        ("name,colour\nx,y\n", "looks like the deal id or the stage"),
        ("id,stage,stage\n1,Won,Won\n", "more than once"),
    ],
)
def test_a_file_without_deals_is_one_sentence_and_no_change(db, data, message):
    for read in (preview_text, import_text):
        with pytest.raises(BadInput) as caught:
            read(data)
        assert message in caught.value.message
    assert sql("SELECT count(*) FROM deal_imports") == [(0,)]


@pytest.mark.parametrize("options", [{"date_order": "ymd"}, {"stage_status": {"Lead": "maybe"}}])
def test_wrong_options_are_sentences(db, options):
    with pytest.raises(BadInput):
        preview_text(SMALL, **options)


def test_a_person_says_what_a_stage_counts_as(db):
    import_text("id,stage\n1,Closed\n2,Lead\n", stage_status={"closed": "won"})
    assert sql("SELECT external_id, status FROM deals ORDER BY 1") == [("1", "won"), ("2", "open")]


def test_values_no_database_could_hold_are_rejected(db):
    result = import_text(f"id,stage,amount\n1,Lead,{'9' * 30}\n{'x' * 300},Lead,1\n")
    assert result.rejected[0].reason.endswith("is too large to be a deal's value.")
    assert "longer than 200 characters" in result.rejected[1].reason


def test_one_event_tells_of_an_import(db):
    import_text(SMALL, file_name="small.csv")
    assert sql("SELECT type, summary, actor, subject_type FROM events") == [
        ("deals.imported", "Tony imported small.csv: 5 new, 0 changed, 0 unchanged.", "Tony", "deal_import")
    ]


def test_what_the_demo_made_becomes_real_when_a_real_deal_uses_it(db):
    import_text(SMALL)
    for table in ("accounts", "owners", "stages"):
        with database.transaction(STAFF) as session:
            from sqlalchemy import text

            session.execute(text(f"UPDATE {table} SET demo = true"))
    import_text(SMALL.replace("800", "801"))
    assert sql("SELECT name FROM accounts WHERE NOT demo") == [("Northwind",)]
    assert sql("SELECT count(*) FROM stages WHERE demo") == [(0,)]


def test_accounts_and_owners_enrich_by_name_and_typos_are_mended(db):
    accounts = b'account,sector,employees,office_location\nCornerstone,technolgy,"1,200",Philipines\nNew Co,retail,5,\n'
    import_text(SMALL, accounts=accounts, owners=b"sales_agent,manager\nTony,Dave\nRobert,Dave\n")
    assert sql("SELECT name, industry, employees, country FROM accounts ORDER BY name") == [
        ("Cornerstone", "technology", 1200, "Philippines"), ("New Co", "retail", 5, None), ("Northwind", None, None, None),
    ]  # fmt: skip
    assert sql("SELECT name FROM owners ORDER BY 1") == [("Dave",), ("Robert",), ("Tony",)]
    import_text(SMALL, accounts=b"account,sector\nCornerstone,\n")
    assert sql("SELECT industry FROM accounts WHERE name = 'Cornerstone'") == [("technology",)]


def test_a_broken_accounts_file_stops_the_import_before_anything_is_written(db):
    with pytest.raises(BadInput, match="no column for the name"):
        import_text(SMALL, accounts=b"foo,bar\n1,2\n")
    assert sql("SELECT count(*) FROM deals") == [(0,)]


def test_two_sources_may_use_the_same_ids(db):
    import_text("id,stage\n1,Lead\n")
    import_text("id,stage\n1,Won\n", source="hubspot")
    assert sql("SELECT source, status FROM deals ORDER BY 1") == [("csv", "open"), ("hubspot", "won")]


@pytest.mark.slow
def test_progress_reaches_the_end(db):
    seen = []
    data = ("id,stage\n" + "".join(f"{n},Lead\n" for n in range(4500))).encode()
    with database.transaction(STAFF) as session:
        importer.run_import(session, data, importer.Options(), by=TONY, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2000, 4500), (4000, 4500), (4500, 4500)]


def sample_folder() -> Path | None:
    import os

    places = [Path(os.environ["OPS_TEST_CRM_SAMPLE"])] if "OPS_TEST_CRM_SAMPLE" in os.environ else []
    places.append(Path(__file__).parents[5] / "shared" / "data" / "crm")
    return next((p for p in places if (p / "sales_pipeline.csv").exists()), None)


@pytest.mark.slow
@pytest.mark.skipif(sample_folder() is None, reason="the public sample of 8,800 opportunities is not on this machine")
def test_the_public_sample_of_8800_opportunities_comes_out_exactly(db):
    folder = sample_folder()
    source = folder / "sales_pipeline.csv"
    options = importer.Options(accounts=folder / "accounts.csv", owners=folder / "sales_teams.csv")
    for expected in ((8800, 0, 0, 0), (0, 0, 8800, 0)):
        with database.transaction(STAFF) as session:
            assert counts(importer.run_import(session, source, options, by=TONY)) == expected
    assert sql("SELECT s.name, count(*), sum(value_minor) FROM deals d JOIN stages s ON s.id = d.stage_id GROUP BY 1 ORDER BY 1") == [
        ("Engaging", 1589, None), ("Lost", 2473, 0), ("Prospecting", 500, None), ("Won", 4238, 1000553400),
    ]  # fmt: skip
    assert sql("SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM owners)") == [(85, 35)]
    assert sql("SELECT count(*) FILTER (WHERE account_id IS NULL), count(*) FILTER (WHERE opened_at IS NULL), "
                "count(DISTINCT owner_id) FROM deals") == [(1425, 500, 30)]  # fmt: skip
    assert sql("SELECT count(*) FROM accounts WHERE industry = 'technology'") == [(12,)]
