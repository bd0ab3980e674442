"""Each invariant can turn red: a violation is planted, and the check names it."""

import hashlib
import time
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from core.config import get_settings
from core.kit import clock
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions.models import Action
from core.runtime.audit import service as audit
from core.runtime.events import service as events
from core.runtime.orgs.models import AGENCY_ID
from tests import acts
from tests.cast import CORNERSTONE_ORG, NORTHWIND_ORG, make_cast
from tests.faults.world_check import check_world, most_within
from tests.gates import set_numbers

DAVE, ROBERT = 1, 5


def sent(action: Action, **over: Any) -> dict[str, Any]:
    """The call of a mail as Resend's log has it."""
    body = bytes(action.wire)
    return {
        "endpoint": "resend.emails", "vendor": "resend", "key": str(action.effect_key), "applied": True, "at": time.time(),
        "body": body.decode(), "body_sha256": hashlib.sha256(body).hexdigest(), "recipients": [], **over,
    }  # fmt: skip


def done(session: Any, **over: Any) -> Action:
    """A mail that Robert asked for, Dave approved and that was sent, with everything that belongs to it."""
    values = {
        "kind": "mail.send", "state": "done", "account": "resend:1", "requested_by": "Robert", "requested_by_kind": "user",
        "requested_by_id": ROBERT, "agent": None, "audience": "outside", "recipients": ["ann@northwind.example"],
        "decided_by": "Dave", "mode": "live",
    }  # fmt: skip
    made = acts.put(session, **(values | over))
    acts.decided(session, made, "approve", "Dave", DAVE)
    acts.judged(session, made, "approval_kinds", "allow", "Fine.", stage="send")
    acts.effect(session, made, "done", vendor="resend", first_sent_at=clock.now(), finished_at=clock.now())
    audit.write(session, "effect.done", ("action", made.id), Actor("Effects"), {"sha256": made.payload_sha256})
    return made


@pytest.fixture
def session(db: None) -> Any:
    with database.transaction(STAFF) as opened:
        make_cast(opened)
        yield opened


def pull(session: Any) -> None:
    """Everything has been stopped for five seconds."""
    session.execute(
        text(
            "INSERT INTO kill_switches (org_id, reach, reason, pulled_by, pulled_at) "
            "VALUES (:org, 'everything', 'Stop.', 'Dave', now() - interval '5 seconds')"
        ),
        {"org": AGENCY_ID},
    )


def wrong(session: Any, calls: list[dict[str, Any]], **more: Any) -> str:
    session.commit()
    return " | ".join(check_world(calls, **more))


def test_an_honest_world_is_clean(session: Any) -> None:
    made = done(session)
    assert wrong(session, [sent(made)], secrets={"a token": "xoxb-nowhere-at-all"}, canaries={NORTHWIND_ORG: "tern"}) == ""


@pytest.mark.parametrize("state", ["approved", "executing", "proposed", "deferred"])
def test_i1_an_action_that_nothing_carries_on(session: Any, state: str) -> None:
    later = {"deferred_until": clock.now()} if state == "deferred" else {}
    made = acts.put(session, "mail.send", state, **later)
    assert wrong(session, []) == f"I1: action {made.id} (mail.send) is {state}, and nothing carries it on"


LONG_AGO = timedelta(minutes=2)
LOST: dict[str, tuple[str, dict[str, Any], str | None, str]] = {
    "held without a switch": ("deferred", {}, None, "is held, and no switch holds it"),
    "waits past its deadline": (
        "awaiting_approval", {"deadline_at": clock.now() - LONG_AGO}, None, "waits for a decision, and its time is long over",
    ),
    "done without an effect": ("done", {}, None, "is done, its effect not there"),
    "done, its effect under way": ("done", {}, "intent", "is done, its effect intent"),
    "taken back, its effect failed": ("undone", {}, "failed", "is undone, its effect failed"),
    "failed, its effect done": ("failed", {"error": {"message": "No."}}, "done", "is failed, its effect done"),
    "failed, its effect unknown": ("failed", {"error": {"message": "No."}}, "unknown", "is failed, its effect unknown"),
    "failed without a reason": ("failed", {}, None, "is failed and tells nobody why"),
    "denied without a reason": ("denied", {}, None, "is denied and tells nobody why"),
}  # fmt: skip
"""State of an action, columns that differ, its effect's state, and what the check says of it."""


@pytest.mark.parametrize(("state", "over", "effect", "said"), LOST.values(), ids=LOST)
def test_i1_an_action_that_stands_wrongly(session: Any, state: str, over: dict[str, Any], effect: str | None, said: str) -> None:
    made = acts.put(session, "mail.send", state, **over)
    if effect is not None:
        acts.effect(session, made, effect, dry_run=True)
    assert f"I1: action {made.id} {said}" in wrong(session, [], only="I1").split(" | ")


UNKNOWN = {"error": {"message": "No answer came."}}


@pytest.mark.parametrize(
    ("effect", "told", "over", "said"),
    [
        ("unknown", True, UNKNOWN, ""),
        ("unknown", False, UNKNOWN, "I1: nobody was told that action 1 is unknown"),
        ("unknown", True, {}, "I1: action 1 is unknown and tells nobody why"),
        ("failed", True, UNKNOWN, "I1: action 1 is unknown, its effect failed"),
    ],
    ids=["as it should be", "nobody was told", "without a reason", "its effect failed"],
)
def test_i1_an_unknown(session: Any, effect: str, told: bool, over: dict[str, Any], said: str) -> None:
    made = acts.put(session, "mail.send", "unknown", **over)
    acts.effect(session, made, effect)
    if told:
        events.publish(session, "action.unknown", "It is unclear.", actor=Actor("Effects"), subject=("action", made.id))
    assert wrong(session, []) == said


def test_i1_what_a_switch_holds_is_not_lost(session: Any) -> None:
    pull(session)
    acts.put(session, "mail.send", "deferred")
    assert wrong(session, []) == ""


def test_i1_a_run_whose_worker_is_gone(session: Any) -> None:
    from core.runtime.runs import service

    service.enqueue(session, "probe.noop", "Probe")
    session.execute(text("UPDATE runs SET state = 'running', lease_until = now() - interval '31 seconds'"))
    assert wrong(session, []) == "I1: run 1 (probe.noop) runs, and its lease is over"


def test_i1_done_and_no_vendor_has_seen_it(session: Any) -> None:
    done(session)
    assert "I1: action 1 (mail.send) says it is done, and no vendor has seen it" in wrong(session, [])


def test_i1_denied_although_it_may_have_been_sent(session: Any) -> None:
    made = acts.put(session, "mail.send", "denied", error={"message": "No."})
    acts.effect(session, made, "intent", first_sent_at=clock.now())
    assert wrong(session, []) == "I1: action 1 may have been sent, and it is denied"


def test_i1_a_due_run_that_nobody_works_off(session: Any) -> None:
    from core.runtime.runs import service

    service.enqueue(session, "probe.noop", "Probe", run_after=clock.now() - timedelta(minutes=2))
    assert "I1: run 1 (probe.noop) has been due for more than a minute | I8: the oldest run" in wrong(session, [])


def test_i2_applied_twice(session: Any) -> None:
    made = done(session)
    assert wrong(session, [sent(made), sent(made)], only="I2").startswith("I2: resend.emails")


def test_i3_sent_and_no_effect_knows(session: Any) -> None:
    made = done(session)
    assert "no effect knows of it" in wrong(session, [sent(made), sent(made, key="other")])


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("UPDATE actions SET recipients = '{eve@evil.example}'", "it was not approved as it is"),
        ("UPDATE actions SET wire = 'other'", "the bytes that were sent are not the ones it was bound to"),
        ("DELETE FROM policy_verdicts", "no policy was asked when it was sent"),
        ("DELETE FROM action_decisions", "it needs 1 approvals and has 0"),
        ("UPDATE effects SET dry_run = true", "it was a dry run, and something was sent"),
    ],
)
def test_i3_without_authority(session: Any, broken: str, said: str) -> None:
    made = done(session)
    session.execute(text(broken))
    assert said in wrong(session, [sent(made)], only="I3")


def test_i3_other_bytes(session: Any) -> None:
    made = done(session)
    call = sent(made, body_sha256=hashlib.sha256(b"other").hexdigest())
    assert "the bytes that were sent are not the ones it was bound to" in wrong(session, [call])


def test_i3_money_approved_by_whoever_asked(session: Any) -> None:
    made = done(session, cost_minor=5_000, requested_by_id=DAVE)
    assert "nobody but who asked for it approved it" in wrong(session, [sent(made)])


def test_i3_the_switch_was_on(session: Any) -> None:
    made = done(session)
    pull(session)
    assert "I3: action 1 began although the kill switch had been on for 5" in wrong(session, [sent(made)])
    assert wrong(session, [sent(made, at=time.time() - 4.5)]) == ""


def test_i4_over_the_rate(session: Any) -> None:
    set_numbers(session, "rate_limit", kinds={"mail.send": 2}, others=30, window_s=60)
    mails = [done(session, recipients=[f"p{n}@client.example"]) for n in range(3)]
    now = time.time()
    over = [sent(m, at=now - 60 + 29.9 * n) for n, m in enumerate(mails)]
    assert "I4: 3 of mail.send within 60 s, the cap is 2" in wrong(session, over)
    apart = [sent(m, at=now - 60 + 30 * n) for n, m in enumerate(mails)]
    assert wrong(session, apart) == ""


def test_i4_one_person_too_often(session: Any) -> None:
    set_numbers(session, "contact_ceiling", week=2)
    mails = [done(session) for _ in range(3)]
    assert "I4: ann@northwind.example was written to 3 times in 7 days, the ceiling is 2" in wrong(
        session, [sent(m) for m in mails]
    )


def test_i4_money(session: Any) -> None:
    mails = [done(session, cost_minor=200_000, recipients=[f"p{n}@client.example"]) for n in range(2)]
    assert "I4: 400000 USD spent in 7 days, the ceiling is 300000" in wrong(session, [sent(m) for m in mails])


def test_most_within_is_a_sliding_window() -> None:
    assert most_within([(0, 1), (59, 1), (61, 1), (119, 1)], 60) == 2
    assert most_within([(0, 1), (60, 1)], 60) == 1
    assert most_within([], 60) == 0


def test_i5_another_organisations_words(session: Any) -> None:
    made = done(session, org_id=CORNERSTONE_ORG, wire=b"the tern flies")
    said = wrong(session, [sent(made)], canaries={NORTHWIND_ORG: "tern", CORNERSTONE_ORG: "no such bird"})
    assert "I5: resend.emails got “tern” for another organisation" in said


def test_i5_another_organisations_row(session: Any) -> None:
    made = done(session, org_id=CORNERSTONE_ORG, reason="The tern told us.")
    assert "I5: actions has “tern” in 1 rows of another organisation" in wrong(
        session, [sent(made)], canaries={NORTHWIND_ORG: "tern"}
    )


@pytest.mark.parametrize("where", ["database", "bytes", "log", "vendor"])
def test_i6_a_secret_outside_its_place(session: Any, where: str, tmp_path: Any) -> None:
    secret, log = "xoxb-canary-77", tmp_path / "worker.log"
    log.write_text(f"using {secret}\n" if where == "log" else "all is well\n")
    over: dict[str, Any] = {"database": {"reason": f"with {secret}"}, "bytes": {"wire": secret.encode()}}.get(where, {})
    made = done(session, **over)
    call = sent(made, body=f"Hello {secret}" if where == "vendor" else "Hello")
    places = {"database": "actions", "bytes": "actions", "log": "worker.log", "vendor": "the vendors' log"}
    said = wrong(session, [call], secrets={"the token": secret}, logs=[log], only="I6")
    assert said == f"I6: the token stands in {places[where]}"


def test_i7_an_effect_without_an_entry(session: Any) -> None:
    made = done(session)
    acts.effect(session, acts.put(session, "mail.send", "done", account="none"), "done", dry_run=True)
    assert wrong(session, [sent(made)]) == "I7: the effect of action 2 has no entry"


def test_i7_a_changed_entry(session: Any) -> None:
    made = done(session)
    session.commit()
    with psycopg.connect(str(get_settings().database_admin_url), autocommit=True) as owner:
        owner.execute("SET row_security = off")
        owner.execute("UPDATE audit_entries SET actor = 'Eve'")
    assert f"I7: the chain of {AGENCY_ID} is broken at 1" in wrong(session, [sent(made)])


def test_i7_the_app_may_change_the_audit(session: Any) -> None:
    session.commit()
    with psycopg.connect(str(get_settings().database_admin_url), autocommit=True) as owner:
        owner.execute("GRANT UPDATE, DELETE ON audit_entries TO ops_app")
        try:
            assert "I7: the app may UPDATE audit_entries | I7: the app may DELETE audit_entries" in wrong(session, [])
        finally:
            owner.execute("REVOKE UPDATE, DELETE ON audit_entries FROM ops_app")
