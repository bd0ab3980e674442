from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.domains.crm import facts, follow_ups, queries
from core.domains.crm import rules as crm_rules
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.agents import facts as registry
from core.runtime.agents import prose, sheet, specs, verify
from core.runtime.agents.facts import FactContext
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs import execute, service
from core.runtime.runs.models import RunState
from tests.core.domains.crm.conftest import NOON, TONY, import_text
from tests.tools.database import sql

KEYS = ("crm.pipeline_summary", "crm.quiet_deals", "crm.overdue_close", "crm.zero_value", "crm.top_to_close", "crm.week")
WHEN = FactContext(NOON, ZoneInfo("America/Chicago"), AGENCY_ID)


def file_of(deals: int) -> str:
    """Deals of every sort, told by their number alone."""
    lines = ["id,title,owner,stage,created,last activity,close date,amount"]
    for n in range(deals):
        stage = ("Lead in", "Proposal", "Won", "Lost")[n % 4 if n % 3 else n % 2]
        opened = date(2026, 11, 19) - timedelta(days=n % 200)
        active = min(date(2026, 11, 19), opened + timedelta(days=n % 30))
        close = active if stage in ("Won", "Lost") else date(2026, 11, 1) + timedelta(days=n % 45)
        amount = "" if n % 5 == 0 else str(100 + n)
        lines.append(
            f"{n},Automation {n} for Northwind 24/7,{('Tony', 'Dave')[n % 2]},{stage},{opened},{active},{close},{amount}"
        )
    return "\n".join(lines) + "\n"


def collect(key: str) -> registry.Section:
    with database.transaction(STAFF) as session:
        return registry.get_section(key).collect(session, WHEN)


@pytest.mark.parametrize("deals", [0, 1, 2, 400])
@pytest.mark.parametrize("key", KEYS)
def test_every_line_passes_the_check_of_numbers_at_every_size(db, noon, key, deals):
    if deals:
        import_text(file_of(deals))
    found = collect(key)
    text = "\n".join(found.lines)
    assert found.lines
    assert verify.check(text, found.facts) == []
    assert {k for line in found.lines for k in prose.cited_keys(line)} <= {f.key for f in found.facts}


def test_facts_carry_their_rows_and_open_the_right_list(db, noon):
    import_text(file_of(400))
    quiet = {f.key: f for f in collect("crm.quiet_deals").facts}
    count = quiet["crm.quiet_deals.count"]
    with database.transaction(STAFF) as session:
        known = queries.quiet(session, limit=1000, now=NOON)
    assert (count.value, count.row_count, len(count.rows), count.href) == (known.total, known.total, 50, "/pipeline?show=quiet")
    assert quiet["crm.quiet_deals.value"].value == known.value_minor
    first = quiet["crm.quiet_deals.deal1"]
    assert (first.value, first.href) == (known.deals[0].title, f"/deal?id={known.deals[0].id}")
    assert quiet["crm.quiet_deals.deal1.quiet"].value >= crm_rules.QUIET_DAYS
    for key in KEYS:
        for fact in collect(key).facts:
            assert fact.href.startswith(("/pipeline", "/deal?id=", "/activity")), fact.key


@pytest.mark.slow
def test_the_sections_stay_small_whatever_the_size_of_the_pipeline(db, noon):
    import_text(file_of(3000))
    sections = [collect(key) for key in KEYS]
    lines = [sheet.line(f) for s in sections for f in s.facts]
    assert sum(sheet.tokens(line) for line in lines) < 4000
    assert all(len(s.facts) <= 40 for s in sections)


def test_the_summary_names_yesterdays_moves_and_last_weeks_figures(db, noon):
    import_text("id,title,stage,created,closed,amount\n1,A,Won,2026-10-01,2026-11-19,500\n2,B,Lead in,2026-11-10,,70\n"
                "3,C,Won,2026-11-01,2026-11-12,900\n")  # fmt: skip
    summary = {f.key.rpartition(".")[2]: f for f in collect("crm.pipeline_summary").facts}
    assert (summary["open"].shown, summary["value"].shown, summary["moved"].value) == ("1 open deal", "$70", 1)
    assert summary["moved"].rows[0]["deal"] == "A"
    week = {f.key.rpartition(".")[2]: f.value for f in collect("crm.week").facts}
    assert (week["new"], week["won"], week["won_value"], week["lost"]) == (1, 1, 90000, 0)
    assert week["value_change"] == abs(7000 - 140000)


def run_review() -> dict:
    with database.transaction(STAFF) as session:
        run_id = service.enqueue(session, specs.AGENT_JOB, "sales-pipeline-review", by=TONY).run_id
    state = execute.execute(run_id, "w1")
    ((output, error),) = sql("SELECT output, error FROM runs WHERE id = :id", id=run_id)
    assert state == RunState.SUCCEEDED, error
    return output | {"run_id": run_id}


@pytest.mark.slow
def test_the_review_does_every_item_of_its_task(db, noon):
    import_text(file_of(400))
    with database.transaction(STAFF) as session:
        quiet = queries.quiet(session, limit=follow_ups.MAX_NOTES, now=NOON)
        overdue = queries.overdue_close(session, now=NOON)
    output = run_review()
    spec = specs.find("sales-pipeline-review")
    assert (spec.cron, spec.department, spec.agent, spec.event_type) == ("0 8 * * 1-5", "sales", "Sales AI", "pipeline_review")
    assert output["produced"] == {
        "notes": follow_ups.MAX_NOTES, "without_note": quiet.total - follow_ups.MAX_NOTES, "overdue": overdue.total, "actions": 2,
    }  # fmt: skip
    # 1: a note for each of the most valuable quiet deals
    notes = sql("SELECT subject_id, status, for_role, kind, body FROM drafts ORDER BY id")
    assert {n[0] for n in notes} == {d.id for d in quiet.deals}
    assert {n[1:4] for n in notes} == {("pending_review", "sales", "follow_up")}
    assert all("[[" not in n[4] and "Is it still something" in n[4] for n in notes)
    # 2: overdue deals are flagged for Tony
    ((summary, payload),) = sql("SELECT summary, payload FROM events WHERE type = 'deals.overdue'")
    assert "for Tony" in summary
    assert (payload["total"], len(payload["deals"])) == (overdue.total, min(50, overdue.total))
    # 3 and 4: in the report, in the event and in the message to the channel
    assert "[[crm.zero_value.count]]" in output["text"]
    assert "[[crm.top_to_close.deal1]]" in output["text"]
    assert sql("SELECT count(*) FROM events WHERE type = 'pipeline_review'") == [(1,)]
    sent = sql("SELECT payload ->> 'channel', payload ->> 'text' FROM actions ORDER BY id")
    assert [target for target, _ in sent] == ["#sales", "#sales"]
    assert "10 follow-up notes are ready" in sent[1][1]


@pytest.mark.slow
def test_the_next_review_writes_notes_for_the_next_deals_and_none_twice(db, noon):
    import_text(file_of(120))
    first, second = run_review(), run_review()
    assert first["produced"]["notes"] == second["produced"]["notes"] == follow_ups.MAX_NOTES
    assert second["produced"]["without_note"] == first["produced"]["without_note"] - follow_ups.MAX_NOTES
    assert sql("SELECT count(*), count(DISTINCT subject_id) FROM drafts") == [(20, 20)]


def test_an_empty_pipeline_is_reviewed_too(db, noon):
    output = run_review()
    assert output["produced"] == {"notes": 0, "without_note": 0, "overdue": 0, "actions": 2}
    assert sql("SELECT count(*) FROM events WHERE type IN ('deals.overdue', 'drafts.ready')") == [(0,)]


def test_a_note_says_only_what_the_record_holds(db, noon):
    import_text(
        "id,title,stage,contact,owner,last activity\n1,Intake bot 24/7,Lead in,Nora,Tony,2026-10-01\n2,Other,Lead in,,,\n"
    )
    with database.transaction(STAFF) as session:
        page = queries.deals_page(session, queries.DealFilter(), sort="newest")
        bare, full = (follow_ups.note(queries.deal_detail(session, d.id), ZoneInfo("America/Chicago")) for d in page.deals)
    for note in (full, bare):
        assert verify.check(note.template, note.facts) == []
    text = prose.filled(full.template, {f.key: f for f in full.facts})
    for part in ("Hello Nora", "Intake bot 24/7", "1 Oct 2026", "Kind regards, Tony"):
        assert part in text
    text = prose.filled(bare.template, {f.key: f for f in bare.facts})
    assert text.startswith("Hello,")
    assert text.endswith("Kind regards")


def test_sections_are_registered_and_named_for_people():
    known = {s.key: s for s in registry.sections()}
    for key in KEYS:
        assert known[key].title
        assert known[key].description.endswith(".")
    assert facts.LISTED == 5


@pytest.mark.parametrize("key", ["crm.pipeline_summary", "crm.quiet_deals", "crm.overdue_close"])
def test_a_value_says_which_deals_it_leaves_out(db, noon, key):
    old = "Lead in,2026-10-01,2026-10-02,2026-10-03"
    header = "id,stage,created,last activity,close date,amount\n"
    import_text(f"{header}1,{old},$100\n")
    assert "another currency" not in " ".join(collect(key).lines)
    import_text(f"{header}1,{old},$100\n2,{old},€900\n3,{old},€50\n")
    found = collect(key)
    shown = prose.plain("\n".join(found.lines), found.facts)
    assert "not in that value: 2 deals in another currency than USD." in shown
    assert "$100" in shown.splitlines()[0]
    assert verify.check("\n".join(found.lines), found.facts) == []
