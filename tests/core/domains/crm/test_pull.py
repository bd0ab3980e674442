import pytest

from core.domains.crm import pull
from core.errors import Unavailable
from core.integrations.pipedrive import Pipedrive
from core.integrations.pipedrive.errors import NotConnected
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.connections import service as connections
from core.runtime.runs import execute, service
from core.runtime.runs.models import RunState
from tests.core.domains.crm.conftest import TONY
from tests.fakeworld import pipedrive as fake
from tests.tools.database import sql


@pytest.fixture
def vendor(db, monkeypatch):
    from core.config import get_settings

    made = fake.world(7, page_size=3)
    monkeypatch.setenv("PIPEDRIVE_API_TOKEN", fake.TOKEN)
    monkeypatch.setenv("OPS_PIPEDRIVE_BASE_URL", made.url)
    get_settings.cache_clear()
    yield made
    made.close()
    monkeypatch.undo()
    get_settings.cache_clear()


def run_pull(vendor, **values) -> pull.PullResult:
    with Pipedrive(vendor.url, fake.TOKEN, backoff_s=0.01) as client:
        return pull.pull_pipedrive(by=TONY, client=client, **values)


@pytest.mark.slow
def test_every_deal_arrives_with_its_names_stage_and_history(vendor):
    vendor.deals[1] = fake.deal(2, stage_id=2, status="won", won_time="2026-11-01T10:00:00Z", person_id=5, value=250)
    vendor.deals[2] = fake.deal(3, status="lost", lost_time="2026-11-02T10:00:00Z", currency="EUR")
    result = run_pull(vendor)
    assert (result.rows, result.created, result.pages, result.resumed) == (7, 7, 3, False)
    assert sql("SELECT name, status FROM stages ORDER BY position") == [
        ("Qualified", "open"), ("Proposal Made", "open"), ("Won", "won"), ("Lost", "lost"),
    ]  # fmt: skip
    assert sql(
        "SELECT d.external_id, s.name, d.status, f.name, a.name, o.name, d.value_minor, d.currency, d.contact_email, d.source "
        "FROM deals d JOIN stages s ON s.id = d.stage_id JOIN stages f ON f.id = d.furthest_stage_id "
        "JOIN accounts a ON a.id = d.account_id JOIN owners o ON o.id = d.owner_id WHERE d.external_id <= '3' ORDER BY 1"
    ) == [
        ("1", "Qualified", "open", "Qualified", "Northwind", "Tony", 10050, "USD", None, "pipedrive"),
        ("2", "Won", "won", "Proposal Made", "Northwind", "Tony", 25000, "USD", "nora@northwind.example", "pipedrive"),
        ("3", "Lost", "lost", "Qualified", "Northwind", "Tony", 10050, "EUR", None, "pipedrive"),
    ]
    assert sql("SELECT count(*) FROM stage_changes WHERE deal_id = (SELECT id FROM deals WHERE external_id = '2')") == [(2,)]
    assert sql("SELECT summary FROM events WHERE type = 'deals.imported'") == [
        ("Tony pulled 7 deals from Pipedrive: 7 new, 0 changed, 0 unchanged.",)
    ]


@pytest.mark.slow
def test_pulling_again_changes_nothing_and_a_change_changes_one(vendor):
    run_pull(vendor)
    before = sql("SELECT * FROM deals ORDER BY id")
    again = run_pull(vendor)
    assert (again.created, again.updated, again.unchanged) == (0, 0, 7)
    assert sql("SELECT * FROM deals ORDER BY id") == before
    vendor.deals[4] |= {"stage_id": 2, "stage_change_time": "2026-11-10T10:00:00Z"}
    third = run_pull(vendor)
    assert (third.updated, third.unchanged) == (1, 6)
    moves = "SELECT f.name, t.name FROM stage_changes JOIN stages f ON f.id = from_stage_id JOIN stages t ON t.id = to_stage_id"
    assert sql(moves) == [("Qualified", "Proposal Made")]


@pytest.mark.slow
def test_a_pull_that_was_cut_off_goes_on_at_its_page(vendor):
    vendor.trouble = [None, *[500] * 5]
    with pytest.raises(Unavailable):
        run_pull(vendor)
    assert sql("SELECT count(*) FROM deals") == [(3,)]
    assert sql("SELECT finished_at IS NULL, cursor IS NOT NULL FROM deal_imports") == [(True, True)]
    assert sql("SELECT count(*) FROM events WHERE type = 'deals.imported'") == [(0,)]
    asked = vendor.asked("/api/v2/deals")
    result = run_pull(vendor)
    assert (result.rows, result.created, result.pages, result.resumed) == (7, 7, 2, True)
    assert vendor.asked("/api/v2/deals") - asked == 2
    assert sql("SELECT count(*), count(finished_at) FROM deal_imports") == [(1, 1)]


@pytest.mark.slow
def test_a_restart_and_a_forgotten_cursor_begin_at_the_first_page(vendor):
    for restart in (True, False):
        vendor.trouble = [None, *[500] * 5]
        with pytest.raises(Unavailable):
            run_pull(vendor)
        vendor.forget_cursors = not restart
        assert run_pull(vendor, restart=restart).pages == 3
        assert sql("SELECT count(*) FROM deals") == [(7,)]
        assert sql("SELECT count(*) FROM deal_imports WHERE finished_at IS NULL") == [(0,)]


@pytest.mark.slow
def test_an_account_with_only_the_old_api_works_too(vendor):
    vendor.only_v1 = True
    result = run_pull(vendor)
    assert (result.rows, result.created, result.pages) == (7, 7, 3)
    assert sql("SELECT DISTINCT a.name FROM deals d JOIN accounts a ON a.id = d.account_id") == [("Northwind",)]


@pytest.mark.slow
def test_deals_that_can_not_be_taken_are_written_down_and_the_others_kept(vendor):
    vendor.deals += [fake.deal(8, stage_id=99), fake.deal(9, value=1e300), {"id": "broken"}]
    result = run_pull(vendor)
    assert (result.rows, result.created, result.rejected_total) == (10, 7, 3)
    assert [r[0] for r in sql("SELECT jsonb_array_elements(rejected) ->> 'reason' FROM deal_imports")] == [
        "The deal's stage or status is not known.", "The deal's value is too large.", "Pipedrive sent a deal we can't read.",
    ]  # fmt: skip


@pytest.mark.slow
def test_it_runs_as_a_run_of_the_ledger(vendor):
    with database.transaction(STAFF) as session:
        run_id = service.enqueue(session, pull.PULL, "pipedrive-pull", by=TONY).run_id
    assert execute.execute(run_id, "w1") == RunState.SUCCEEDED
    assert sql("SELECT output ->> 'created' FROM runs WHERE id = :id", id=run_id) == [("7",)]


def test_without_a_token_it_says_where_to_enter_one(db):
    with pytest.raises(NotConnected, match="Settings → Connections, or set PIPEDRIVE_API_TOKEN"):
        pull.pull_pipedrive(by=TONY)


@pytest.mark.slow
def test_the_token_of_the_connection_is_used_and_its_reading_written_down(db, vendor, monkeypatch):
    from core.config import get_settings

    monkeypatch.delenv("PIPEDRIVE_API_TOKEN")
    get_settings.cache_clear()
    with database.transaction(STAFF) as session:
        connections.save(session, "pipedrive", "main", {}, fake.TOKEN, TONY)
    assert pull.pull_pipedrive(by=TONY).rows == 7
    assert sql("SELECT actor, detail ->> 'why' FROM audit_entries WHERE what = 'secret.read'") == [("Tony", "pull of deals")]
