"""Reports of bounces and complaints: only signed ones, each once, and what they lead to."""

import json
import time

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.contacts import queries
from core.runtime.orgs.models import AGENCY_ID
from tests.app.gateway.vendors import (
    MAIL_SECRET,
    OLD_MAIL_SECRET,
    deliver,
    enter,
    mail_headers,
    people,
    report,
)
from tests.cast import CORNERSTONE_ORG, NORTHWIND_ORG
from tests.core.runtime.policies import making
from tests.tools.database import sql

ANN = "ann@northwind.example"


@pytest.fixture
def cast(db):
    return people()


@pytest.fixture
def public(app, cast):
    enter("resend_webhook", MAIL_SECRET)
    return TestClient(app, raise_server_exceptions=False)


def reasons(*who):
    with database.transaction(STAFF) as session:
        return queries.suppressed(session, who)


def test_a_hard_bounce_and_a_complaint_suppress(public):
    assert deliver(public, report(to="Ann <Ann@Northwind.example>")).json() == {"status": "taken"}
    assert deliver(public, report("email.complained", to="bob@northwind.example"), message="msg_2").status_code == 200
    assert reasons(ANN, "bob@northwind.example") == {ANN: "bounce", "bob@northwind.example": "complaint"}
    types = [r.type for r in sql("SELECT type FROM events WHERE type LIKE 'mail.%' OR type LIKE 'contact.%' ORDER BY id")]
    assert types == ["mail.bounced", "contact.suppressed", "mail.complained", "contact.suppressed"]


def test_it_is_told_on_the_action_that_sent_it_and_in_its_organisation(public, cast):
    with database.transaction(STAFF) as session:
        mail = making.action(session, org_id=CORNERSTONE_ORG)
        making.effect(session, mail, external_ref="re-77")
        mail_id = mail.id
    deliver(public, report(ref="re-77"))
    told = sql("SELECT subject_type, subject_id, org_id, summary, payload FROM events WHERE type = 'mail.bounced'")[0]
    assert (told.subject_type, told.subject_id, told.org_id) == ("action", mail_id, CORNERSTONE_ORG)
    assert told.summary == f"Mail to {ANN} bounced for good: Mail to Ann."
    assert sql("SELECT org_id FROM suppressions")[0].org_id == CORNERSTONE_ORG


def test_three_soft_bounces_in_a_week_suppress_two_do_not(public):
    for n in range(2):
        deliver(public, report(bounce="Transient", said="Mailbox full"), message=f"soft_{n}")
    assert reasons(ANN) == {}
    with database.transaction(STAFF) as session:
        session.execute(text("UPDATE events SET created_at = created_at - interval '8 days' WHERE type = 'mail.bounced_soft'"))
    for n in range(2, 4):
        deliver(public, report(bounce="Undetermined"), message=f"soft_{n}")
    assert reasons(ANN) == {}
    deliver(public, report(bounce="Transient"), message="soft_4")
    assert reasons(ANN) == {ANN: "bounce"}


def test_of_several_recipients_only_the_one_that_is_named_is_gone(public):
    both = [ANN, "bob@northwind.example"]
    deliver(public, report(to=both, said=f"550 5.1.1 <{ANN.upper()}>: no such user"))
    assert reasons(*both) == {ANN: "bounce"}
    deliver(public, report("email.complained", to=both), message="msg_2")
    assert reasons(*both) == {ANN: "complaint", "bob@northwind.example": "complaint"}


def test_what_the_vendor_itself_suppressed_is_suppressed_here(public):
    for n, (who, origin) in enumerate((("c@x.example", "complaint"), ("b@x.example", "bounce"), ("m@x.example", "manual"))):
        body = json.dumps({"type": "suppression.added", "data": {"id": "s", "email": who, "origin": origin}}).encode()
        deliver(public, body, message=f"s_{n}")
    assert reasons("c@x.example", "b@x.example", "m@x.example") == {
        "c@x.example": "complaint", "b@x.example": "bounce", "m@x.example": "bounce",
    }  # fmt: skip


def test_a_report_again_is_answered_well_and_has_no_second_effect(public):
    body = report(bounce="Transient")
    answers = [deliver(public, body, at=time.time() + n) for n in range(5)]
    assert [a.status_code for a in answers] == [200] * 5
    assert [a.json()["status"] for a in answers] == ["taken"] + ["known"] * 4
    assert len(sql("SELECT 1 FROM events WHERE type = 'mail.bounced_soft'")) == 1


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"type": "email.delivered", "data": {"to": [ANN]}}).encode(),
        json.dumps({"type": "email.bounced"}).encode(),
        json.dumps({"type": "email.bounced", "data": {"to": "not an address"}}).encode(),
        json.dumps({"type": "email.bounced", "data": {"to": [None, 7, {"a": 1}], "email_id": ["x"], "bounce": "hard"}}).encode(),
        json.dumps({"type": "email.bounced", "data": {"to": ["a\u0000@x.example"], "email_id": "\u0000"}}).encode(),
        json.dumps({"type": "email.bounced", "data": {"to": ["\ud800@x.example"], "email_id": "\ud800"}}).encode(),
        b"[]", b"null", b"not json", b"[" * 20_000, b'{"type": 1e999}', b"",
    ],
)  # fmt: skip
def test_what_it_can_not_use_is_answered_well_and_ignored(public, body):
    assert deliver(public, body).status_code == 200
    assert sql("SELECT 1 FROM suppressions") == []


FORGED = {
    "another secret": lambda b: mail_headers(b, secret=OLD_MAIL_SECRET),
    "no headers": lambda b: {},
    "no signature": lambda b: mail_headers(b) | {"svix-signature": ""},
    "no id": lambda b: mail_headers(b) | {"svix-id": ""},
    "no timestamp": lambda b: mail_headers(b) | {"svix-timestamp": ""},
    "another id": lambda b: mail_headers(b) | {"svix-id": "msg_2"},
    "another time": lambda b: mail_headers(b) | {"svix-timestamp": str(int(time.time()) - 5)},
    "too old": lambda b: mail_headers(b, at=time.time() - 400),
    "too far ahead": lambda b: mail_headers(b, at=time.time() + 400),
    "another version": lambda b: {k: v.replace("v1,", "v2,") for k, v in mail_headers(b).items()},
    "unpadded": lambda b: {k: v.rstrip("=") for k, v in mail_headers(b).items()},
    "time with a fraction": lambda b: mail_headers(b) | {"svix-timestamp": f"{int(time.time())}.5"},
    "time in other digits": lambda b: (
        mail_headers(b) | {"svix-timestamp": "".join(chr(0x660 + int(d)) for d in str(int(time.time())))}
    ),
    "time without end": lambda b: mail_headers(b) | {"svix-timestamp": "nan"},
    "eleven signatures": lambda b: mail_headers(b) | {"svix-signature": " ".join(["v1," + "A" * 43 + "="] * 11)},
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED.keys())
def test_what_is_not_signed_now_by_resend_is_refused_and_leaves_no_row(public, headers):
    body = report()
    made = {k: v.encode() for k, v in headers(body).items()}
    answer = public.post("/webhooks/resend", content=body, headers=made)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert sql("SELECT 1 FROM signed_requests") == sql("SELECT 1 FROM suppressions") == []


def test_another_body_or_the_same_json_written_anew_is_refused(public):
    body = report()
    headers = mail_headers(body)
    for other in (body + b" ", body.replace(b": ", b":"), json.dumps(json.loads(body), sort_keys=True).encode(), b""):
        assert public.post("/webhooks/resend", content=other, headers=headers).status_code == 401


@pytest.mark.parametrize("seconds", [-200, 200])
def test_minutes_either_way_are_taken(public, seconds):
    assert deliver(public, report(), at=time.time() + seconds).status_code == 200


def test_the_other_spelling_of_the_headers_and_several_signatures_are_taken(public):
    body = report()
    assert deliver(public, body, prefix="webhook").status_code == 200
    headers = mail_headers(body, message="msg_2")
    headers["svix-signature"] = "v1a,abcd= v1," + "A" * 43 + "= " + headers["svix-signature"]
    assert public.post("/webhooks/resend", content=body, headers=headers).status_code == 200


def test_while_the_secret_changes_both_are_good_then_only_the_new_one(public):
    enter("resend_webhook", f"{MAIL_SECRET} {OLD_MAIL_SECRET}")
    assert deliver(public, report(), secret=OLD_MAIL_SECRET).status_code == 200
    assert deliver(public, report(), message="msg_2").status_code == 200
    enter("resend_webhook", MAIL_SECRET)
    assert deliver(public, report(), secret=OLD_MAIL_SECRET, message="msg_3").status_code == 401
    assert deliver(public, report(), message="msg_4").status_code == 200


def test_without_a_secret_it_is_closed(app, cast):
    public = TestClient(app, raise_server_exceptions=False)
    for path in ("/webhooks/resend", f"/webhooks/resend/{CORNERSTONE_ORG}"):
        answer = deliver(public, report(), path)
        assert answer.status_code == 503
        assert "closed" in answer.json()["detail"]
    assert sql("SELECT 1 FROM suppressions") == []


@pytest.mark.parametrize("secret", ["whsec_", "", " ", "whsec_AA=="])
def test_an_empty_secret_signs_nothing(secret):
    from core.integrations.resend.verify import verified

    body = report()
    headers = mail_headers(body)
    assert verified(body, headers, [secret]) is None


def test_a_client_account_is_proved_with_its_own_secret_only(public):
    enter("resend_webhook", OLD_MAIL_SECRET, CORNERSTONE_ORG)
    path = f"/webhooks/resend/{CORNERSTONE_ORG}"
    assert deliver(public, report(), path).status_code == 401, "the agency's secret opens no client's door"
    assert deliver(public, report(), path, secret=OLD_MAIL_SECRET).status_code == 200
    assert deliver(public, report(), secret=OLD_MAIL_SECRET).status_code == 401, "nor a client's the agency's"
    assert deliver(public, report(), f"/webhooks/resend/{NORTHWIND_ORG}", message="m").status_code == 503
    assert sql("SELECT org_id FROM suppressions")[0].org_id == CORNERSTONE_ORG
    assert deliver(public, report(), f"/webhooks/resend/{AGENCY_ID}", message="m").status_code == 200
    with database.transaction(STAFF) as session:
        making.effect(session, making.action(session, org_id=NORTHWIND_ORG), external_ref="re-of-another")
    about = report(to="cara@northwind.example", ref="re-of-another")
    assert deliver(public, about, path, secret=OLD_MAIL_SECRET, message="m2").status_code == 200
    told = sql("SELECT org_id, subject_id FROM events WHERE payload ->> 'ref' = 're-of-another'")
    assert [tuple(t) for t in told] == [(CORNERSTONE_ORG, None)], "nor does a client write into another one's rows"
    assert sql("SELECT 1 FROM suppressions WHERE org_id = :org", org=NORTHWIND_ORG) == []


def test_without_a_database_it_is_asked_to_come_again(public, monkeypatch):
    from core.config import get_settings

    monkeypatch.setenv("DATABASE_URL", "postgresql://ops_app:x@127.0.0.1:1/none")
    get_settings.cache_clear()
    try:
        answer = deliver(public, report())
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert deliver(public, report()).json() == {"status": "taken"}, "what was not taken comes again"


def test_a_forged_flood_writes_nothing_into_the_audit_chain(public):
    deliver(public, report())
    before = sql("SELECT count(*) FROM audit_entries")
    for _ in range(20):
        deliver(public, report(), secret=OLD_MAIL_SECRET)
    assert sql("SELECT count(*) FROM audit_entries") == before


def test_a_report_reads_the_secret_once_not_each_time(public):
    for n in range(5):
        deliver(public, report("email.delivered"), message=f"m{n}")
    assert sql("SELECT count(*) FROM audit_entries WHERE what = 'secret.read'")[0][0] <= 1
