import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from core.domains.crm import service as crm
from core.domains.demo import clearing, service
from core.domains.demo.words import CLIENTS
from core.domains.reports import queries as reports
from core.domains.users import service as users
from core.kit import clock
from core.kit import db as database
from core.kit.actor import SYSTEM
from core.kit.db import STAFF
from core.models import metadata
from core.runtime.agents import prose, specs, store, verify
from core.runtime.runs import dispatch
from core.runtime.runs import service as runs
from core.runtime.schedules.rules import slots
from tests.cast import make_cast
from tests.core.domains.jobs import run_job

PAST = (("deals", "opened_at"), ("tickets", "created_at"), ("events", "created_at"), ("runs", "finished_at"))
MARKED = sorted(t.name for t in metadata.sorted_tables if "demo" in t.c)


def load(now=None):
    with database.transaction(STAFF) as session:
        return service.load(session, now)


def rows(session, table, where="true"):
    """A table's rows as text, so that a change of any column is seen."""
    return sorted(session.scalars(text(f"SELECT t::text FROM {table} t WHERE {where}")))


def own(session):
    return {t: rows(session, t, "NOT demo") for t in MARKED}


def demo_counts(session):
    return {t: session.scalar(text(f"SELECT count(*) FROM {t} WHERE demo")) for t in MARKED}


def one(session, statement, **params):
    return session.scalar(text(statement), params)


def test_it_looks_alive(db):
    made = load().made
    assert 150 <= made["deals"] <= 200
    assert made["clients"] == len(CLIENTS) == 13
    assert 55 <= made["tickets"] <= 75
    assert 30 <= made["automations"] <= 40
    with database.transaction(STAFF) as session:
        assert one(session, "SELECT count(DISTINCT status) FROM tickets") == 8
        assert one(session, "SELECT count(*) FROM deployments WHERE status = 'failed' AND at > now() - interval '1 day'") >= 1
        assert one(session, "SELECT count(*) FROM deals WHERE coalesce(value_minor, 0) = 0") >= 5
        assert one(session, "SELECT count(*) FROM deals WHERE status = 'open'") >= 50
        assert one(session, "SELECT count(*) FROM deals WHERE status = 'won'") >= 20
        assert one(session, "SELECT max(errors) FROM automation_days") > 0
        assert one(session, "SELECT count(*) FROM client_reports WHERE status = 'pending_review'") >= 1
        words = set(session.execute(text("SELECT state, reason, late FROM runs")).all())
        assert {("failed", "error", False), ("failed", "timed_out", False), ("succeeded", None, True)} <= words
        assert {("cancelled", "missed", False), ("cancelled", "coalesced", False)} <= words
        assert one(session, "SELECT count(*) FROM runs WHERE cost_microusd > 0") > 20
        span = one(session, "SELECT max(due_at) - min(due_at) FROM runs")
        assert timedelta(days=50) < span <= timedelta(weeks=8)
        for table, column in PAST:
            assert one(session, f"SELECT count(*) FROM {table} WHERE {column} > clock_timestamp()") == 0
        assert one(session, "SELECT count(*) FROM users WHERE password_hash IS NOT NULL") == 0
        assert one(session, "SELECT count(*) FROM users WHERE email NOT LIKE '%@manageai.example'") == 0


@pytest.mark.parametrize("table", ["tickets", "deals"])
def test_histories_are_in_order_and_end_where_the_record_stands(db, table):
    load()
    history, key, status, step = {
        "tickets": ("ticket_status_changes", "ticket_id", "r.status", "to_status"),
        "deals": ("stage_changes", "deal_id", "r.stage_id", "to_stage_id"),
    }[table]
    with database.transaction(STAFF) as session:
        last = f"SELECT DISTINCT ON ({key}) {key}, {step} AS step, at FROM {history} ORDER BY {key}, at DESC, id DESC"
        assert one(session, f"SELECT count(*) FROM {table} r LEFT JOIN ({last}) l ON l.{key} = r.id "
                            f"WHERE l.step IS DISTINCT FROM {status}") == 0  # fmt: skip
        out_of_order = f"SELECT count(*) FROM (SELECT at < lag(at) OVER (PARTITION BY {key} ORDER BY id) AS bad FROM {history}) h"
        assert one(session, f"{out_of_order} WHERE bad") == 0


def test_every_row_is_marked_and_the_schedules_are_not(db):
    load()
    with database.transaction(STAFF) as session:
        left = {t: len(r) for t, r in own(session).items() if r}
        assert left.pop("schedules") == 7
        assert left == {"organisations": 1, "users": 1, "events": 8}  # the agency, its admin, and that they were set up


def test_the_latest_reports_are_real_and_every_number_opens_its_rows(db):
    load()
    with database.transaction(STAFF) as session:
        for spec in specs.specs():
            run = session.execute(
                text("SELECT id, state, output ->> 'text' AS said FROM runs WHERE name = :n "
                     "ORDER BY created_at DESC LIMIT 1"), {"n": spec.name},
            ).one()  # fmt: skip
            assert run.state == "succeeded", spec.name
            found = store.load_facts(session, run.id)
            cited = prose.cited_keys(run.said)
            assert cited, spec.name
            assert set(cited) <= set(found)
            assert verify.check(run.said, found.values()) == []
            assert all(found[k].rows or found[k].value in (0, None) or found[k].row_count == 0 for k in cited)


def test_past_runs_lie_on_the_slots_of_their_schedules(db):
    now = clock.now()
    load(now)
    with database.transaction(STAFF) as session:
        for spec in specs.specs():
            due = set(session.scalars(text("SELECT due_at FROM runs WHERE name = :n AND due_at IS NOT NULL"), {"n": spec.name}))
            assert due == set(slots(spec.cron, "America/Chicago", now - timedelta(weeks=8), now - timedelta(minutes=5), 999))


def test_no_worker_ever_picks_up_a_demo_run(db):
    load()
    with database.transaction(STAFF) as session:
        assert one(session, "SELECT count(*) FROM runs WHERE state NOT IN ('succeeded', 'failed', 'cancelled')") == 0
    before = _runs()
    assert dispatch.dispatch() == 0
    assert dispatch.rescue() == 0
    assert _runs() == before


def _runs():
    with database.transaction(STAFF) as session:
        return rows(session, "runs")


def test_loading_twice_leaves_one_agency(db):
    now = clock.now()
    first = load(now)
    second = load(now)
    assert (first.made, second.kept) == (second.made, {})
    with database.transaction(STAFF) as session:
        assert demo_counts(session)["clients"] == 13


def test_the_same_day_gives_the_same_agency(db):
    now = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
    load(now)
    with database.transaction(STAFF) as session:
        first = [tuple(r) for r in session.execute(text("SELECT title, value_minor, opened_at FROM deals ORDER BY external_id"))]
    load(now)
    with database.transaction(STAFF) as session:
        again = [tuple(r) for r in session.execute(text("SELECT title, value_minor, opened_at FROM deals ORDER BY external_id"))]
    assert first == again


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 1, 1, 7, 0, tzinfo=UTC),  # new year's night
        datetime(2026, 3, 1, 15, 1, tzinfo=UTC),  # the monthly reports are a minute old
        datetime(2026, 3, 8, 8, 0, tzinfo=UTC),  # the clocks go forward
        datetime(2024, 2, 29, 12, 0, tzinfo=UTC),
        datetime(2026, 11, 16, 13, 59, 59, tzinfo=UTC),  # a second before Monday's report
    ],
    ids=str,
)
def test_it_loads_on_any_day(db, now):
    made = load(now).made
    assert made["deals"] == 180
    with database.transaction(STAFF) as session:
        assert one(session, "SELECT count(*) FROM events WHERE demo AND created_at > :now", now=now) == 0
        assert one(session, "SELECT count(*) FROM run_facts") > 100


def test_clearing_an_untouched_demo_leaves_nothing_of_it(db):
    load()
    with database.transaction(STAFF) as session:
        kept_rows = own(session)
        done = service.clear(session)
    assert done.kept == {}
    with database.transaction(STAFF) as session:
        assert not any(demo_counts(session).values())
        assert own(session) == kept_rows
        assert not service.is_loaded(session)
        assert service.clear(session) == clearing.Cleared({}, {})


@pytest.mark.slow
def test_what_real_jobs_do_to_the_demo_goes_with_it(db):
    load()
    for spec in specs.specs():
        run_job(spec.name)
    with database.transaction(STAFF) as session:
        done = service.clear(session)
        assert done.kept == {}
        assert one(session, "SELECT count(*) FROM runs WHERE state = 'succeeded'") == 7
        assert one(session, "SELECT count(*) FROM run_facts") > 100
        assert one(session, "SELECT count(*) FROM drafts") == one(session, "SELECT count(*) FROM client_reports") == 0


def test_a_demo_person_somebody_signed_in_as_stays_and_stays_signed_in(db):
    load()
    with database.transaction(STAFF) as session:
        _, brian = users.redeem_link(session, users.create_login_link(session, "brian@manageai.example"), "a browser")
        users.create_login_link(session, "tony@manageai.example")
        users.set_password(session, "dan@manageai.example", "correct horse battery staple", by=SYSTEM)
    with database.transaction(STAFF) as session:
        assert service.clear(session).kept == {"users": 2, "user_sessions": 1}
        assert set(session.scalars(text("SELECT name FROM users"))) == {"Dave", "Brian", "Dan"}
        assert users.resolve_session(session, brian).name == "Brian"
    assert load().made["users"] == 2
    with database.transaction(STAFF) as session:
        assert one(session, "SELECT count(*) FROM users") == 5
        assert users.resolve_session(session, brian).name == "Brian"


def test_the_first_admin_is_no_part_of_the_demo(db):
    load()
    with database.transaction(STAFF) as session:
        dave = users.ensure_first_admin(session)
        assert service.clear(session).kept == {}
        assert session.scalars(text("SELECT id FROM users WHERE role = 'admin'")).all() == [dave]


def test_it_loads_beside_real_people_clients_and_stages(db):
    with database.transaction(STAFF) as session:
        make_cast(session)
        session.execute(text("INSERT INTO stages (org_id, name, position, status) SELECT id, 'Won', 3, 'won' FROM organisations "
                             "WHERE kind = 'agency'"))  # fmt: skip
        before = own(session)
    made = load().made
    assert made["users"] == 0
    assert made["clients"] == len(CLIENTS) - 2  # Cornerstone and Northwind are real
    with database.transaction(STAFF) as session:
        for table in ("users", "clients", "stages", "organisations"):
            assert rows(session, table, "NOT demo") == before[table]
        assert service.clear(session).kept == {}
        for table in ("users", "clients", "stages", "organisations"):
            assert rows(session, table) == before[table]


def test_reports_of_the_demo_are_real_work(db):
    load()
    with database.transaction(STAFF) as session:
        report = reports.pending(session)[0]
        assert "was not measured" in report.content
        assert report.metrics["hours_saved_basis"] == "assumed"
        assert "[[" not in report.content


# ---- the property: whatever people did around the demo, clearing it changes no row of theirs

_INTO = {
    "account": "accounts (org_id, name) VALUES (:org, :name)",
    "owner of a demo person": "owners (org_id, name, user_id) VALUES (:org, :name, (SELECT id FROM users WHERE demo {pick}))",
    "deal in demo stage": """deals (org_id, source, external_id, title, account_id, owner_id, stage_id, status)
        VALUES (:org, 'csv', :name, :name, (SELECT id FROM accounts {pick}), (SELECT id FROM owners {pick}),
        (SELECT id FROM stages {pick}), 'open')""",
    "move of a demo deal": """stage_changes (org_id, deal_id, to_stage_id, at, actor)
        VALUES (:org, (SELECT id FROM deals {pick}), (SELECT id FROM stages {pick}), now(), 'Tony')""",
    "client of the agency": "clients (org_id, name, owner_user_id) VALUES (:org, :name, (SELECT id FROM users {pick}))",
    "client in a demo organisation": """clients (org_id, name)
        VALUES ((SELECT id FROM organisations WHERE demo {pick}), :name)""",
    "ticket for a demo client": """tickets (org_id, title, platform, client_id, deal_id, assignee_user_id)
        SELECT c.org_id, :name, 'n8n', c.id, (SELECT id FROM deals {pick}), (SELECT id FROM users {pick})
        FROM (SELECT * FROM clients {pick}) c""",
    "deployment of a demo ticket": """deployments (org_id, ticket_id, client_id, platform, status)
        SELECT t.org_id, t.id, t.client_id, 'n8n', 'succeeded' FROM (SELECT * FROM tickets {pick}) t""",
    "automation": """automations (org_id, client_id, name, platform)
        SELECT c.org_id, c.id, :name, 'n8n' FROM (SELECT * FROM clients {pick}) c""",
    "day of a demo automation": """automation_days (org_id, automation_id, day)
        SELECT a.org_id, a.id, current_date + 1 FROM (SELECT * FROM automations {pick}) a ON CONFLICT DO NOTHING""",
    "report on a demo client": """client_reports (org_id, client_id, report_type, period_start, period_end, content)
        SELECT c.org_id, c.id, :name, current_date, current_date, 'text' FROM (SELECT * FROM clients {pick}) c""",
    "event in a demo organisation": """events (org_id, type, summary, actor)
        VALUES ((SELECT id FROM organisations {pick}), 'note', :name, 'Dan')""",
    "draft": "drafts (org_id, kind, key, title, body) VALUES (:org, 'follow_up', :name, :name, 'text')",
    "run": "runs (org_id, kind, name, queue, state) VALUES (:org, 'probe.noop', :name, 'agents', 'succeeded')",
    "session of a demo person": """user_sessions (org_id, user_id, token_hash, expires_at)
        VALUES (:org, (SELECT id FROM users {pick}), :name, now())""",
}


@pytest.mark.slow
def test_clearing_changes_no_row_of_a_persons_whatever_it_refers_to(db):
    load()

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.lists(st.tuples(st.sampled_from(sorted(_INTO)), st.integers(0, 10_000)), min_size=1, max_size=12))
    def check(deeds):
        with pytest.raises(_Undo):
            _clear_after(deeds)

    check()


def _clear_after(deeds):
    with database.transaction(STAFF) as session:
        _do(session, deeds)
        before = own(session)
        done = service.clear(session)
        assert own(session) == before
        left = demo_counts(session)
        assert done.kept == {table: count for table, count in left.items() if count}
        raise _Undo  # the next example finds the demo as it was loaded


class _Undo(Exception):
    pass


def _do(session, deeds):
    org = one(session, "SELECT id FROM organisations WHERE kind = 'agency'")
    for number, (deed, dice) in enumerate(deeds):
        pick = f"ORDER BY md5(id::text || '{random.Random(dice).random()}') LIMIT 1"
        session.execute(text("INSERT INTO " + _INTO[deed].replace("{pick}", pick)), {"org": org, "name": f"mine {number}"})


def test_every_table_that_can_hold_demo_rows_is_cleared(db):
    with database.transaction(STAFF) as session:
        found = set(session.scalars(clearing._TABLES))
    assert found == set(MARKED)


def test_a_replay_of_a_demo_run_outlives_it(db):
    load()
    with database.transaction(STAFF) as session:
        old = one(session, "SELECT id FROM runs WHERE state = 'failed' LIMIT 1")
        fresh = runs.replay(session, old, SYSTEM)
        service.clear(session)
        assert one(session, "SELECT replay_of FROM runs WHERE id = :id", id=fresh) is None
        assert one(session, "SELECT count(*) FROM runs") == 1


def test_what_people_do_to_demo_deals_goes_with_the_demo(db):
    load()
    with database.transaction(STAFF) as session:
        deal_id, stage_id = session.execute(
            text(
                "SELECT d.id, s.id FROM deals d JOIN stages s ON s.id <> d.stage_id AND s.status = 'open' "
                "WHERE d.status = 'open' ORDER BY d.id, s.id LIMIT 1"
            )
        ).one()
        crm.move_stage(session, deal_id, stage_id, SYSTEM)
        crm.note_activity(session, deal_id, "called", SYSTEM)
        crm.set_value(session, deal_id, 12_345, SYSTEM)
    with database.transaction(STAFF) as session:
        kept = service.clear(session).kept
        assert not {"deals", "accounts", "owners", "stages"} & kept.keys()
        assert one(session, "SELECT count(*) FROM events WHERE type LIKE 'deal.%'") == 0
