import json

import pytest
from sqlalchemy import func, select

from core.config import get_settings
from core.domains.users import service as users
from core.domains.users.models import ApiKey
from core.domains.users.rules import SCOPES
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.runs import service as runs
from core.runtime.runs.execute import execute
from core.runtime.runs.models import Run
from tests.app.gateway.conftest import JOB, bearer, make_key

ENDPOINTS = [
    ("GET", "/api/v1/jobs", "jobs:read"),
    ("GET", f"/api/v1/jobs/{JOB}", "jobs:read"),
    ("POST", f"/api/v1/jobs/{JOB}/run", "jobs:run"),
    ("POST", f"/api/v1/jobs/{JOB}/enable", "jobs:write"),
    ("POST", f"/api/v1/jobs/{JOB}/disable", "jobs:write"),
    ("GET", "/api/v1/runs", "runs:read"),
    ("GET", "/api/v1/runs/1", "runs:read"),
    ("POST", "/api/v1/runs/1/cancel", "runs:write"),
    ("POST", "/api/v1/runs/1/retry", "runs:write"),
    ("GET", "/api/v1/actions", "actions:read"),
    ("GET", "/api/v1/actions/1", "actions:read"),
    ("POST", "/api/v1/actions", "actions:propose"),
    ("POST", "/api/v1/actions/1/approve", "actions:decide"),
    ("POST", "/api/v1/actions/1/reject", "actions:decide"),
    ("POST", "/api/v1/actions/1/undo", "actions:decide"),
    ("GET", "/api/v1/kill", "control:write"),
    ("POST", "/api/v1/kill", "control:write"),
    ("GET", "/api/v1/deals", "deals:read"),
    ("GET", "/api/v1/deals/1", "deals:read"),
    ("GET", "/api/v1/facts", "facts:read"),
    ("GET", "/api/v1/facts/clients.alerts", "facts:read"),
]


def queue_a_run():
    with database.transaction(STAFF) as session:
        return runs.enqueue(session, "probe.noop", "noop").run_id


@pytest.mark.parametrize(("method", "path", "scope"), ENDPOINTS)
def test_each_endpoint_wants_its_own_scope(client, method, path, scope):
    queue_a_run()
    others = bearer(make_key("others", [s for s in SCOPES if s != scope]))
    refused = client.request(method, path, headers=others)
    assert refused.status_code == 403
    assert refused.headers["content-type"] == "application/problem+json"
    assert scope in refused.json()["detail"]
    assert f"--scope {scope}" in refused.json()["next_step"]
    allowed = client.request(method, path, headers=bearer(make_key("just", [scope])))
    assert allowed.status_code not in (401, 403)
    assert allowed.status_code < 500


def test_every_endpoint_of_the_description_is_listed_above(client):
    described = {
        (method.upper(), path)
        for path, methods in client.get("/api/v1/openapi.json").json()["paths"].items()
        for method in methods
    }
    known = {
        (
            m,
            p.replace(JOB, "{name}")
            .replace("clients.alerts", "{section}")
            .replace("deals/1", "deals/{deal_id}")
            .replace("runs/1", "runs/{run_id}")
            .replace("actions/1", "actions/{action_id}"),
        )
        for m, p, _ in ENDPOINTS
    }
    assert described == known


@pytest.mark.parametrize(
    "given",
    [None, "", "Bearer", "Bearer ", "Bearer ops_x", "Basic Zm9v", "Bearer ops_aaaaaaaa_" + "A" * 43, "Bearer " + "x" * 9000],
)
def test_no_key_and_a_wrong_key_get_one_answer(client, given):
    answer = client.get("/api/v1/jobs", headers={"Authorization": given} if given is not None else {"Authorization": ""})
    assert answer.status_code == 401
    body = answer.json()
    body.pop("request_id")
    assert body == {
        "title": "Not authenticated", "status": 401, "detail": "This needs a valid API key.",
        "next_step": "Send `Authorization: Bearer ops_…`.",
    }  # fmt: skip
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_revoked_key_is_no_key(client):
    key = make_key("short-lived", ["jobs:read"])
    assert client.get("/api/v1/jobs", headers=bearer(key)).status_code == 200
    with database.transaction(STAFF) as session:
        users.revoke_key(session, "short-lived")
    assert client.get("/api/v1/jobs", headers=bearer(key)).status_code == 401
    with database.transaction(STAFF) as session:
        assert session.scalar(select(ApiKey.last_used_at).where(ApiKey.name == "short-lived")) is not None


def test_a_job_is_listed_shown_and_switched(client):
    jobs = {j["name"]: j for j in client.get("/api/v1/jobs").json()["jobs"]}
    assert len(jobs) >= 3
    job = client.get(f"/api/v1/jobs/{JOB}").json()
    assert job["task"]
    assert len(job["next_times"]) == 3
    assert client.post(f"/api/v1/jobs/{JOB}/disable").json() == {"name": JOB, "enabled": False, "next_due_at": None}
    assert client.get(f"/api/v1/jobs/{JOB}").json()["next_times"] == []
    assert client.post(f"/api/v1/jobs/{JOB}/enable").json()["enabled"] is True
    assert client.get("/api/v1/jobs/sales-pipeline").json()["detail"].startswith("There is no job")
    assert client.get("/api/v1/jobs/sales-pipeline").status_code == 404


def test_a_job_runs_once_for_one_idempotency_key(client):
    first = client.post(f"/api/v1/jobs/{JOB}/run", headers={"Idempotency-Key": "order-17"}, json={"payload": {"note": "a"}})
    assert first.status_code == 202
    assert first.json()["href"] == first.headers["location"] == f"/api/v1/runs/{first.json()['run_id']}"
    again = client.post(f"/api/v1/jobs/{JOB}/run", headers={"Idempotency-Key": "order-17"}, json={"payload": {"note": "a"}})
    assert again.json() == first.json()
    other = client.post(f"/api/v1/jobs/{JOB}/run", headers={"Idempotency-Key": "order-17"}, json={"payload": {"note": "b"}})
    assert other.status_code == 409
    assert client.post(f"/api/v1/jobs/{JOB}/run", headers={"Idempotency-Key": " "}).status_code == 422
    free = {client.post(f"/api/v1/jobs/{JOB}/run").json()["run_id"] for _ in range(2)}
    assert len(free | {first.json()["run_id"]}) == 3
    with database.transaction(STAFF) as session:
        assert session.scalar(select(func.count()).select_from(Run)) == 3
        made = session.get(Run, first.json()["run_id"])
        assert (made.cause_kind, made.cause_label, made.queue) == ("api", "API key test", "interactive")
    # another caller's same key is another request
    mine = bearer(make_key("other", ["jobs:run"]))
    assert client.post(f"/api/v1/jobs/{JOB}/run", headers={**mine, "Idempotency-Key": "order-17"}).json()["run_id"] not in free


def test_runs_are_paged_shown_cancelled_and_retried(client):
    ids = [queue_a_run() for _ in range(5)]
    seen, before = [], None
    while True:
        page = client.get("/api/v1/runs", params={"limit": 2, **({"before": before} if before else {})}).json()
        seen += [r["id"] for r in page["runs"]]
        before = page["next"]
        if before is None:
            break
    assert seen == sorted(ids, reverse=True)
    assert client.post(f"/api/v1/runs/{ids[0]}/cancel").json() == {"run_id": ids[0], "state": "cancelled"}
    assert client.post(f"/api/v1/runs/{ids[0]}/cancel").status_code == 409
    assert [r["id"] for r in client.get("/api/v1/runs", params={"state": "cancelled"}).json()["runs"]] == [ids[0]]
    retried = client.post(f"/api/v1/runs/{ids[0]}/retry")
    assert (retried.status_code, retried.json()["state"]) == (202, "queued")
    full = client.get(f"/api/v1/runs/{ids[0]}").json()
    assert full["word"] == "Queued"
    assert full["steps"] == []
    assert "error" not in full  # its trace is for engineers, on the run's page
    assert full["report"] is None


def test_a_run_carries_its_report_with_the_figures(client):
    run_id = client.post(f"/api/v1/jobs/{JOB}/run").json()["run_id"]
    execute(run_id, "w1")
    full = client.get(f"/api/v1/runs/{run_id}").json()
    assert "[[" in full["output"]["text"]
    assert "[[" not in full["report"]
    assert "There is no open deal." in full["report"]
    assert "0 deals without a value, for Tony to fill in." in full["report"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/runs?limit=0", "/api/v1/runs?limit=9999", "/api/v1/runs?state=asleep", "/api/v1/runs/0", "/api/v1/runs/x",
        "/api/v1/runs/99999999999999999999", "/api/v1/runs?since=yesterday", "/api/v1/deals?sort=luck", "/api/v1/deals?show=all",
        "/api/v1/deals?opened=spring", "/api/v1/deals?status=maybe", "/api/v1/runs/5", "/api/v1/deals/5", "/api/v1/facts/no.such",
        "/api/v1/jobs/%00", "/api/v1/nothing", "/api/v1/runs?q=%00", "/api/v1/facts/%00",
    ],
)  # fmt: skip
def test_nonsense_gets_a_sentence_and_a_next_step(client, path):
    answer = client.get(path)
    if path == "/api/v1/runs?q=%00":
        assert answer.status_code == 200
        return
    assert answer.status_code in (404, 422)
    problem = answer.json()
    assert problem["detail"]
    assert problem["next_step"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "body", ["{", "[]", '"x"', '{"payload": 1}', '{"other": 1}', json.dumps({"payload": {"x": "y" * 30_000}})]
)
def test_a_bad_body_starts_nothing(client, body):
    answer = client.post(f"/api/v1/jobs/{JOB}/run", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    with database.transaction(STAFF) as session:
        assert session.scalar(select(func.count()).select_from(Run)) == 0


def test_facts_are_collected_now(client):
    sections = {s["key"] for s in client.get("/api/v1/facts").json()["sections"]}
    assert "clients.alerts" in sections
    for key in sorted(sections):
        found = client.get(f"/api/v1/facts/{key}")
        assert found.status_code == 200, key
        assert found.json()["key"] == key


def test_the_database_being_away_is_503_and_never_2xx(client, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:x@127.0.0.1:9/none")
    get_settings.cache_clear()
    try:
        for method, path, _ in ENDPOINTS:
            answer = client.request(method, path)
            assert answer.status_code == 503, path
            assert answer.headers["retry-after"] == "5"
            assert answer.json()["detail"] == "The database does not answer."
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["checks"]["database"] == {"ok": False, "detail": "The database does not answer."}
        assert ready.json()["checks"]["redis"]["ok"] is True
        assert client.get("/healthz").status_code == 200
        assert "ops_database_up 0.0" in client.get("/metrics").text
    finally:
        get_settings.cache_clear()


def test_an_error_of_ours_shows_nothing_of_its_inside(client, monkeypatch):
    from core.runtime.schedules import queries

    def broken(session):
        raise RuntimeError("the secret is swordfish")

    monkeypatch.setattr(queries, "list_schedules", broken)
    answer = client.get("/api/v1/jobs")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "swordfish" not in answer.text
    assert "RuntimeError" not in answer.text
    assert answer.json()["request_id"]


def test_every_answer_has_security_headers_and_a_request_id(client):
    for path in ("/healthz", "/api/v1/jobs", "/nothing"):
        answer = client.get(path, headers={"x-request-id": "order-17"})
        assert answer.headers["x-request-id"] == "order-17"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert client.get("/healthz", headers={"x-request-id": "a b<script>"}).headers["x-request-id"] != "a b<script>"


def test_the_description_is_complete(client):
    described = client.get("/api/v1/openapi.json").json()
    for path, methods in described["paths"].items():
        for operation in methods.values():
            assert operation["description"], path
            assert {"401", "403", "503"} <= set(operation["responses"]), path
    assert "404" in described["paths"]["/api/v1/runs/{run_id}"]["get"]["responses"]


@pytest.mark.parametrize(
    "query",
    [
        "opened=9999-12-31..9999-12-31", "closed=0001-01-01..0001-01-01", "sort=value&after=99999999999999999999~1",
        "sort=value&after=1~99999999999999999999", "sort=value&after=%D9%A1~1", "sort=activity&after=2026-W01-1~1",
    ],
)  # fmt: skip
def test_hand_made_ranges_and_cursors_of_deals_are_never_an_error_of_ours(client, query):
    assert client.get(f"/api/v1/deals?{query}").status_code in (200, 422)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_number_json_cannot_say_starts_nothing(client, number):
    answer = client.post(f"/api/v1/jobs/{JOB}/run", content=f'{{"payload": {{"n": {number}}}}}')
    assert answer.status_code == 422
    assert answer.json()["next_step"]
    with database.transaction(STAFF) as session:
        assert session.scalar(select(func.count()).select_from(Run)) == 0


def test_text_the_database_cannot_hold_does_not_look_like_another_request(client):
    given = {"payload": {"note": "a\x00b"}}
    answers = [client.post(f"/api/v1/jobs/{JOB}/run", json=given, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [a.status_code for a in answers] == [202, 202]
    assert answers[0].json()["run_id"] == answers[1].json()["run_id"]
