"""Each rule finds its trouble at its number and not below it, and what is over is resolved."""

from collections.abc import Callable
from datetime import timedelta
from threading import Event as Flag
from threading import Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from sqlalchemy import insert, select, text, update

from core.config import get_settings
from core.kit import clock
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions.models import Action, Effect, EffectCall
from core.runtime.agents.models import ModelCall
from core.runtime.alerts import checks, queries, rules
from core.runtime.alerts.models import Alert
from core.runtime.alerts.queries import AlertRow
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.policies import registry
from core.runtime.policies.models import PolicyVerdict
from core.runtime.runs.models import Run
from tests.cast import CORNERSTONE_ORG, Cast, make_cast
from tests.tools import counting

HOUR = timedelta(hours=1)


@pytest.fixture
def cast(db: None) -> Cast:
    with database.transaction(STAFF) as session:
        return make_cast(session)


def check() -> list[AlertRow]:
    with database.transaction(STAFF) as session:
        checks.check(session)
    with database.transaction(STAFF) as session:
        return queries.open_alerts(session)


def causes() -> list[str]:
    return [a.cause for a in check()]


def actions(n: int, **values: Any) -> list[int]:
    now = clock.now()
    with database.transaction(STAFF) as session:
        base = {
            "org_id": AGENCY_ID, "kind": "mail.send", "state": "done", "title": "Mail", "target": "dan@manageai.example",
            "payload": {}, "wire": b"", "payload_sha256": "", "account": "none", "origin": "trusted", "provenance": {},
            "audience": "internal", "requested_by": "Sales AI", "requested_by_kind": "run", "expires_at": now + 24 * HOUR,
        }  # fmt: skip
        rows = [base | {"effect_key": uuid4()} | values for _ in range(n)]
        return list(session.scalars(insert(Action).returning(Action.id), rows))


def effects(n: int, ago: timedelta, **values: Any) -> list[int]:
    now = clock.now()
    with database.transaction(STAFF) as session:
        base = {"org_id": AGENCY_ID, "kind": "mail.send", "wire_sha256": "", "audience": "internal", "state": "done"}
        rows = [
            base | {"action_id": a, "effect_key": uuid4(), "intent_at": now - ago} | values
            for a in actions(n)
        ]  # fmt: skip
        return list(session.scalars(insert(Effect).returning(Effect.id), rows))


def calls(n: int, ago: timedelta = timedelta(minutes=1), **values: Any) -> None:
    (effect,) = effects(1, 48 * HOUR)
    with database.transaction(STAFF) as session:
        base = {"org_id": AGENCY_ID, "effect_id": effect, "vendor": "resend", "what": "send", "at": clock.now() - ago}
        session.execute(insert(EffectCall), [base | values for _ in range(n)])


def model_calls(n: int, outcome: str) -> None:
    with database.transaction(STAFF) as session:
        row = {"org_id": AGENCY_ID, "purpose": "report", "model": "m", "prompt": "report@1", "outcome": outcome}
        session.execute(insert(ModelCall), [row] * n)


def runs(n: int, state: str, **values: Any) -> None:
    with database.transaction(STAFF) as session:
        row = {
            "org_id": AGENCY_ID, "kind": "agent.job", "name": "ceo-morning-brief", "state": state, "queue": "agents",
            "timeout_s": 60, "max_attempts": 3,
        }  # fmt: skip
        session.execute(insert(Run), [row | values for _ in range(n)])


def denied(n: int, policy: str, **values: Any) -> None:
    ids = actions(n)
    with database.transaction(STAFF) as session:
        row = {
            "org_id": AGENCY_ID,
            "policy": policy,
            "stage": "send",
            "verdict": "deny",
            "reason": "No.",
            "inputs": {},
            "values": {},
        }
        session.execute(insert(PolicyVerdict), [row | {"action_id": a} | values for a in ids])


def test_nothing_is_wrong_with_an_empty_house(cast: Cast) -> None:
    assert causes() == []


def history(per_day: int, days: int = 10) -> None:
    for day in range(1, days + 1):
        effects(per_day, timedelta(days=day, minutes=30))


def test_volume_from_twice_the_usual_of_this_hour(cast: Cast) -> None:
    history(15)
    effects(4, timedelta(hours=5))  # another hour of the day: not what is compared
    effects(29, timedelta(minutes=10))
    assert causes() == []
    effects(1, timedelta(minutes=5))
    (alert,) = check()
    assert alert.cause == "volume:mail.send"
    assert dict(alert.numbers) == {"kind": "mail.send", "last_hour": 30, "normal": 15.0}
    assert "30 effects" in alert.detail
    assert "normal at this hour is 15." in alert.detail


def test_volume_needs_a_least_number_and_something_usual(cast: Cast) -> None:
    effects(200, timedelta(minutes=10))
    assert causes() == [], "the first day has no usual"
    history(1)
    assert causes() == ["volume:mail.send"]


def test_volume_below_the_least_number_is_no_alarm(cast: Cast) -> None:
    history(1)
    effects(get_settings().alert_volume_least - 1, timedelta(minutes=10))
    assert causes() == []


def test_volume_counts_one_organisation_and_what_was_really_sent(cast: Cast) -> None:
    history(5)
    effects(15, timedelta(minutes=10), dry_run=True)
    effects(15, timedelta(minutes=10))
    effects(15, timedelta(minutes=10), org_id=CORNERSTONE_ORG)
    assert causes() == []


def test_a_provider_fails_from_five_in_fifteen_minutes(cast: Cast) -> None:
    calls(2, outcome="unclear")
    calls(1, outcome="refused", status=503)
    calls(1, outcome="refused", status=401)
    # a no to one message, a yes, too much, long ago, another vendor
    calls(9, outcome="refused", status=422)
    calls(9, outcome="applied", status=200)
    calls(2, outcome="refused", status=429)
    calls(9, timedelta(minutes=16), outcome="unclear")
    calls(4, outcome="unclear", vendor="slack")
    assert causes() == []
    calls(1, outcome="unclear")
    (alert,) = check()
    assert (alert.cause, alert.numbers["failures"]) == ("provider:resend", 5)


def test_the_model_is_a_provider_too(cast: Cast) -> None:
    model_calls(5, "ok")
    model_calls(4, "overloaded")
    assert causes() == []
    model_calls(1, "unreachable")
    assert causes() == ["provider:anthropic"]


def test_quota_errors(cast: Cast) -> None:
    calls(2, outcome="refused", status=429)
    model_calls(2, "rate_limited")
    assert causes() == []
    calls(1, outcome="refused", status=429)
    model_calls(1, "spend_cap")
    assert sorted(causes()) == ["quota:anthropic", "quota:resend"]


def test_a_policy_that_denies_ten_in_an_hour(cast: Cast) -> None:
    policies = [p.key for p in registry.policies()]
    assert "suppression" in policies
    denied(9, "suppression")
    denied(3, "suppression", at=clock.now() - 2 * HOUR)
    denied(30, "kill_switch")
    denied(30, "suppression", verdict="allow")
    assert causes() == []
    denied(1, "suppression")
    (alert,) = check()
    assert (alert.cause, dict(alert.numbers)) == ("blocks:suppression", {"policy": "suppression", "denied": 10})


def test_more_than_a_fifth_of_the_jobs_fail(cast: Cast) -> None:
    runs(4, "failed", kind="action.execute")
    runs(1, "failed")
    runs(3, "succeeded")
    assert causes() == [], "four runs are too few to judge"
    runs(1, "succeeded")
    assert causes() == [], "one of five is a fifth, not more"
    runs(1, "failed")
    (alert,) = check()
    assert dict(alert.numbers) == {"failed": 2, "of": 6, "worst": "ceo-morning-brief"}


def test_transactions_that_wait_for_another(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_settings(), "alert_lock_wait_s", 0.0)
    assert causes() == []
    waiting = Flag()

    def wait() -> None:
        with database.transaction(STAFF) as session:
            waiting.set()
            session.execute(text("SELECT pg_advisory_xact_lock(77)"))

    with database.transaction(STAFF) as session:
        session.execute(text("SELECT pg_advisory_xact_lock(77)"))
        other = Thread(target=wait)
        other.start()
        waiting.wait(5)
        until(lambda: session.execute(text(_WAITING)).scalar_one() >= 1)
        assert causes() == ["locks"]
    other.join(5)


_WAITING = """
    SELECT count(*) FROM pg_locks
    WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())
"""


def test_what_waits_in_another_database_is_none_of_ours(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_settings(), "alert_lock_wait_s", 0.0)
    elsewhere = make_conninfo(str(get_settings().database_admin_url), dbname="postgres")
    held, asking = psycopg.connect(elsewhere), psycopg.connect(elsewhere)
    with asking, held:
        held.execute("SELECT pg_advisory_xact_lock(78)")
        other = Thread(target=asking.execute, args=("SELECT pg_advisory_xact_lock(78)",))
        other.start()
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = %s"
        until(lambda: held.execute(waits, (asking.info.backend_pid,)).fetchone() == (1,))
        assert causes() == []
        held.rollback()
        other.join(5)


def until(true: Callable[[], bool]) -> None:
    import time

    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_effects_nobody_knows_about(cast: Cast) -> None:
    (first,) = actions(1, state="unknown")
    (alert,) = check()
    assert (alert.cause, alert.href) == ("unknown", f"/action?action={first}")
    actions(2, state="unknown")
    (alert,) = check()
    assert (alert.count, alert.numbers["waiting"], alert.href) == (2, 3, "/approvals?state=unknown")


def test_approvals_past_their_reminder_and_expired_ones(cast: Cast) -> None:
    now = clock.now()
    actions(3, state="awaiting_approval", remind_at=now + HOUR)
    actions(1, state="dismissed", outcome="expired", finished_at=now - 25 * HOUR)
    actions(1, state="dismissed", outcome="expired", finished_at=now, approved_sha256="x")
    actions(1, state="dismissed", outcome="rejected", finished_at=now)
    assert causes() == []
    actions(2, state="awaiting_approval", remind_at=now - HOUR)
    actions(1, state="dismissed", outcome="expired", finished_at=now - HOUR)
    (alert,) = check()
    assert dict(alert.numbers) == {"waiting": 2, "expired": 1}


def test_it_is_resolved_once_it_has_been_quiet_for_a_while(cast: Cast) -> None:
    (first,) = actions(1, state="unknown")
    assert causes() == ["unknown"]
    with database.transaction(STAFF) as session:
        session.execute(update(Action).where(Action.id == first).values(state="done"))
    assert causes() == ["unknown"], "one quiet look ends nothing"
    with database.transaction(STAFF) as session:
        session.execute(update(Alert).values(last_at=clock.now() - checks.QUIET - timedelta(seconds=1)))
    assert causes() == []
    with database.transaction(STAFF) as session:
        assert session.scalars(select(Alert.resolved_by)).all() == ["Alerts"]


def test_what_others_raise_is_left_to_them(cast: Cast) -> None:
    from core.runtime.alerts import service
    from core.runtime.alerts.models import Severity

    with database.transaction(STAFF) as session:
        service.raise_alert(session, "budget:day", "Most of the budget is spent", "…", severity=Severity.WARNING)
        session.execute(update(Alert).values(last_at=clock.now() - timedelta(days=2)))
    assert causes() == ["budget:day"]


def test_a_rule_that_breaks_stops_no_other_and_ends_no_alert(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    calls(5, outcome="unclear")
    assert causes() == ["provider:resend"]
    with database.transaction(STAFF) as session:
        session.execute(update(Alert).values(last_at=clock.now() - timedelta(days=2)))
    broken = rules.Rule("provider", "SELECT 1 / 0", lambda _: {}, lambda rows, _: [])
    monkeypatch.setattr(checks, "RULES", (broken, *(r for r in rules.RULES if r.key != "provider")))
    actions(1, state="unknown")
    assert sorted(causes()) == ["provider:resend", "unknown"]


def test_demo_data_rings_no_bell(cast: Cast) -> None:
    actions(3, state="unknown", demo=True)
    runs(9, "failed", demo=True)
    assert causes() == []


def test_one_query_a_rule(cast: Cast) -> None:
    with database.transaction(STAFF) as session, counting.queries() as asked:
        checks.check(session)
    asked = [a for a in asked if "SAVEPOINT" not in a]
    assert len(asked) == 2 + len(rules.RULES), "the lock, the rules, the alerts that are open"


def test_two_clocks_look_once(cast: Cast) -> None:
    actions(1, state="unknown")
    with database.transaction(STAFF) as one, database.transaction(STAFF) as other:
        assert checks.check(one) == 1
        assert checks.check(other) == 0
