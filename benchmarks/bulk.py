"""Fills a migrated, otherwise empty database with an agency far larger than any of ours, in a few seconds."""

import psycopg

AGENCY_ID = "00000000-0000-4000-8000-000000000001"

_STAGES = """
    INSERT INTO stages (org_id, name, position, status, probability_percent)
    SELECT %(org)s, name, position, status, probability FROM (VALUES ('Lead in', 1, 'open', 10), ('Qualified', 2, 'open', 25),
        ('Proposal', 3, 'open', 50), ('Negotiation', 4, 'open', 75), ('Won', 5, 'won', 100), ('Lost', 6, 'lost', 0))
        AS s (name, position, status, probability)
"""
_ACCOUNTS = (
    "INSERT INTO accounts (org_id, name, industry) SELECT %(org)s, 'Account ' || n, 'retail' FROM generate_series(1, 2000) n"
)
_OWNERS = "INSERT INTO owners (org_id, name) SELECT %(org)s, 'Owner ' || n FROM generate_series(1, 30) n"
# four in five deals are closed, as in a CRM that has been in use for years; hashes stand in for chance, so a fill repeats
_DEALS = """
    INSERT INTO deals (org_id, source, external_id, title, account_id, owner_id, stage_id, furthest_stage_id, status, product,
        value_minor, opened_at, stage_since, last_activity_at, expected_close_on, closed_at, created_at, updated_at)
    SELECT %(org)s, 'csv', 'B' || n, 'Automation for account ' || n, a.lo + h %% 2000, o.lo + (h / 7) %% 30, s.id,
        CASE WHEN s.status = 'open' THEN s.id ELSE t.lo + (h / 11) %% 4 END, s.status, 'Product ' || h %% 7,
        CASE WHEN h %% 50 = 0 THEN 0 ELSE (h %% 20000 + 500) * 100 END, opened,
        CASE WHEN s.status = 'open' THEN opened + ((h / 3) %% 20) * interval '1 day' ELSE closed END,
        CASE WHEN s.status = 'open' THEN now() - ((h / 13) %% 40) * interval '1 day' ELSE closed END,
        CASE WHEN s.status = 'open' THEN current_date + ((h / 17) %% 90 - 30)::int END,
        CASE WHEN s.status <> 'open' THEN closed END, opened, now()
    FROM (SELECT n, abs(hashint8(n)::bigint) AS h, now() - (n %% 900) * interval '1 day' - interval '1 hour' AS opened,
            now() - (n %% 900) * interval '0.9 day' AS closed FROM generate_series(1, %(deals)s) n) AS d
    CROSS JOIN (SELECT min(id) AS lo FROM accounts) a CROSS JOIN (SELECT min(id) AS lo FROM owners) o
    CROSS JOIN (SELECT min(id) AS lo FROM stages) t
    JOIN stages s ON s.id = t.lo + CASE WHEN h %% 10 < 2 THEN (h / 5) %% 4 WHEN h %% 10 < 7 THEN 4 ELSE 5 END
"""
_CHANGES = """
    INSERT INTO stage_changes (org_id, deal_id, from_stage_id, from_since, to_stage_id, at, actor)
    SELECT d.org_id, d.id, NULL::bigint, NULL::timestamptz, t.lo, d.opened_at, 'import'
    FROM deals d CROSS JOIN (SELECT min(id) AS lo FROM stages) t
    UNION ALL
    SELECT d.org_id, d.id, t.lo, d.opened_at, d.stage_id, d.stage_since, 'import'
    FROM deals d CROSS JOIN (SELECT min(id) AS lo FROM stages) t
    WHERE d.stage_id <> t.lo
"""
_RUNS = """
    INSERT INTO runs (org_id, kind, name, queue, state, reason, attempts, cause_kind, cause_label, schedule_id, due_at,
        created_at, started_at, finished_at, run_after, cost_microusd, tokens, output)
    SELECT s.org_id, s.kind, s.name, 'agents',
        CASE WHEN n %% 25 = 0 THEN 'failed' WHEN n %% 60 = 1 THEN 'cancelled' ELSE 'succeeded' END,
        CASE WHEN n %% 25 = 0 THEN 'error' WHEN n %% 60 = 1 THEN 'missed' END, 1, 'schedule', 'schedule', s.id, at, at, at,
        at + (n %% 90) * interval '1 second', at, (n %% 40) * 1000, (n %% 40) * 200, '{"text": "", "composer": "template"}'::jsonb
    FROM generate_series(1, %(runs)s) n
    CROSS JOIN LATERAL (SELECT now() - (%(runs)s - n) * interval '90 seconds' AS at) t
    JOIN (SELECT *, row_number() OVER (ORDER BY id) - 1 AS i, count(*) OVER () AS many FROM schedules) s ON s.i = n %% s.many
"""
_STEPS = """
    INSERT INTO run_steps (org_id, run_id, name, label, state, attempt, started_at, finished_at)
    SELECT r.org_id, r.id, step, initcap(step), 'succeeded', 1, r.started_at, r.finished_at FROM runs r
    CROSS JOIN unnest(ARRAY['collect', 'compose', 'verify', 'act', 'report']) step WHERE r.id %% 10 = 0
"""
_EVENTS = """
    INSERT INTO events (org_id, type, summary, actor, subject_type, subject_id, cause_run_id, created_at)
    SELECT org_id, 'morning_brief', name || ' reported.', 'Executive AI', 'run', id, id, finished_at FROM runs
"""


def fill(owner_url: str, deals: int = 100_000, runs: int = 50_000) -> None:
    """Insert that many deals (with accounts, owners, stages and history) and runs (with steps and events).

    Needs the schedules to be there: call `schedules.service.sync_builtin` first.
    """
    numbers = {"org": AGENCY_ID, "deals": deals, "runs": runs}
    with psycopg.connect(owner_url) as connection:
        connection.execute("SELECT set_config('app.scope', 'staff', true)")
        for statement in (_STAGES, _ACCOUNTS, _OWNERS, _DEALS, _CHANGES, _RUNS, _STEPS, _EVENTS):
            connection.execute(statement, numbers)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
