from fastapi.testclient import TestClient

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.runs import heartbeats
from core.runtime.runs import service as runs
from tests.app.gateway.conftest import bearer, make_key


def test_the_ledger_in_numbers(client, monkeypatch):
    from app.gateway import metrics

    monkeypatch.setattr(metrics, "FRESH_S", -1)
    with database.transaction(STAFF) as session:
        for _ in range(3):
            runs.enqueue(session, "probe.noop", "noop")
        heartbeats.beat(session, "clock")
    client.get("/api/v1/runs/17")
    text = client.get("/metrics").text
    assert 'ops_runs{state="queued"} 3.0' in text
    assert 'ops_runs{state="quarantined"} 0.0' in text
    assert 'ops_queue_depth{queue="background"} 3.0' in text
    assert 'ops_heartbeat_age_seconds{process="clock"}' in text
    assert "ops_oldest_runnable_seconds" in text
    assert "ops_model_cost_today_usd 0.0" in text
    # by route, not by path: numbers in addresses must not become series
    assert 'route="/api/v1/runs/{run_id}"' in text
    assert "/api/v1/runs/17" not in text


def test_durations_of_the_last_hour(client, monkeypatch):
    from app.gateway import metrics
    from core.runtime.runs import execute

    monkeypatch.setattr(metrics, "FRESH_S", -1)
    with database.transaction(STAFF) as session:
        made = runs.enqueue(session, "probe.noop", "noop")
    execute.execute(made.run_id, "w1")
    text = client.get("/metrics").text
    assert 'ops_run_duration_seconds{kind="probe.noop",quantile="0.95"}' in text
    assert 'ops_runs_ended_last_hour{kind="probe.noop"} 1.0' in text


def test_from_elsewhere_metrics_need_a_key(client, app):
    far = TestClient(app, client=("203.0.113.9", 4711))
    assert far.get("/metrics").status_code == 401
    assert far.get("/metrics", headers=bearer(make_key("narrow", ["jobs:read"]))).status_code == 403
    assert far.get("/metrics", headers=bearer(make_key("wide", ["metrics:read"]))).status_code == 200
    through_a_proxy = TestClient(app)
    assert through_a_proxy.get("/metrics", headers={"x-forwarded-for": "203.0.113.9"}).status_code == 401
    assert through_a_proxy.get("/metrics", headers={"host": "rebound.evil.example"}).status_code == 401


def test_a_wrong_schema_is_not_ready(client, monkeypatch):
    from core.kit import schema

    assert client.get("/readyz").status_code == 200
    monkeypatch.setattr(schema, "wanted", lambda: "9999")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "`ops migrate`" in answer.json()["checks"]["migrations"]["detail"]
