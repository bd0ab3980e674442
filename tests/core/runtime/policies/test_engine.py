"""Judging real actions against a real database: what is read, what is stored, how verdicts combine."""

from typing import Any

import psycopg
import pytest
from sqlalchemy import select, text

from core.config import get_settings
from core.kit import db as database
from core.kit.db import APP_ROLE, STAFF
from core.runtime.actions.models import Decided
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.policies import engine, look
from core.runtime.policies.models import PolicyVerdict, Stage, Verdict
from tests.cast import make_cast
from tests.core.runtime.policies import making
from tests.gates import open_to_all, set_numbers
from tests.tools import plans
from tests.tools.counting import queries

pytestmark = pytest.mark.usefixtures("db")


def said(judgement: engine.Judgement, key: str) -> str | None:
    return next((s.verdict.value for k, s in judgement.said if k == key), None)


def test_a_mail_outside_waits_until_somebody_opens_the_mode() -> None:
    with database.transaction(STAFF) as session:
        make_cast(session)
        action = making.action(session)
        set_numbers(session, "contact_ceiling", quiet=False)
        set_numbers(session, "approval_kinds", outside=False)
        judgement = engine.judge(session, action, Stage.SEND)
        assert judgement.verdict == Verdict.DEFER
        assert "an admin can change the send mode" in judgement.reason
        set_numbers(session, "send_mode", mode="live")
        set_numbers(session, "approval_kinds", outside=True)
        judgement = engine.judge(session, action, Stage.PROPOSE)
        assert (judgement.verdict, judgement.approvals) == (Verdict.APPROVAL, 1)


def test_every_answer_is_stored_with_all_it_rests_on() -> None:
    with database.transaction(STAFF) as session:
        make_cast(session)
        open_to_all(session)
        action = making.action(session)
        judgement = engine.judge(session, action, Stage.SEND, lock=True)
        rows = session.execute(select(PolicyVerdict).order_by(PolicyVerdict.id)).scalars().all()
    assert judgement.verdict == Verdict.ALLOW, judgement.reason
    assert [r.policy for r in rows] == [k for k, _ in judgement.said]
    texts = next(r for r in rows if r.policy == "sensitive_patterns")
    assert texts.inputs == {"letters": 39, "secrets": [], "card": False}, "the message itself is not stored a second time"
    rate = next(r for r in rows if r.policy == "rate_limit")
    assert rate.inputs["sent"] == 0
    assert rate.values["kinds"]["mail.send"] == 50


def test_an_approval_counts_only_for_exactly_this_version() -> None:
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        open_to_all(session, approvals=True)
        action = making.action(session)
        assert engine.judge(session, action, Stage.SEND, lock=True).verdict == Verdict.APPROVAL
        insert = text(
            "INSERT INTO action_decisions (org_id, action_id, version, payload_sha256, decision, user_id, by, via)"
            " VALUES (:org, :id, :version, :sha, :decision, :user, 'Dave', 'web')"
        )
        approve = {"org": action.org_id, "id": action.id, "decision": Decided.APPROVE, "user": cast.users["Dave"]}
        session.execute(insert, approve | {"version": 1, "sha": "another"})
        assert engine.judge(session, action, Stage.SEND, lock=True).verdict == Verdict.APPROVAL
        session.execute(insert, approve | {"version": 1, "sha": action.payload_sha256, "user": cast.users["Dan"]})
        assert engine.judge(session, action, Stage.SEND, lock=True).verdict == Verdict.ALLOW


def test_the_switch_stops_what_is_about_to_be_sent() -> None:
    from core.runtime.switches import service as switches

    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        open_to_all(session)
        action = making.action(session)
        assert engine.judge(session, action, Stage.SEND, lock=True).verdict == Verdict.ALLOW
        switches.pull(session, "everything", "Something is wrong.", cast.actor("Dave"))
        judgement = engine.judge(session, action, Stage.SEND, lock=True)
        assert judgement.verdict == Verdict.DENY
        assert "Something is wrong." in judgement.reason


@pytest.mark.parametrize(
    ("table", "policy"), [("kill_switches", "kill_switch"), ("suppressions", "suppression")], ids=["switch", "suppression"]
)
def test_what_cannot_be_read_denies_and_the_verdict_is_stored(table: str, policy: str) -> None:
    with database.transaction(STAFF) as session:
        make_cast(session)
        open_to_all(session)
        action = making.action(session)
        assert engine.judge(session, action, Stage.SEND, lock=True).verdict == Verdict.ALLOW
    owner = str(get_settings().database_admin_url)
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"REVOKE SELECT ON {table} FROM {APP_ROLE}")  # type: ignore[arg-type]
        try:
            with database.transaction(STAFF) as session:
                judgement = engine.judge(session, session.merge(action), Stage.SEND, lock=True)
        finally:
            connection.execute(f"GRANT SELECT ON {table} TO {APP_ROLE}")  # type: ignore[arg-type]
    assert judgement.verdict == Verdict.DENY
    assert said(judgement, policy) == "deny"
    with database.transaction(STAFF) as session:
        last = select(PolicyVerdict.verdict).where(PolicyVerdict.policy == policy).order_by(PolicyVerdict.id.desc())
        assert session.execute(last).scalars().first() == "deny"


@pytest.mark.parametrize(
    ("policy", "values"),
    [
        ("rate_limit", {"kinds": {"mail.send": "many"}}),
        ("rate_limit", {"window_s": None}),
        ("contact_ceiling", {"quiet": True, "quiet_from": "late"}),
        ("contact_ceiling", {"week": "few"}),
        ("send_mode", {"mode": "live", "our_domains": None}),
        ("agent_kinds", {"may": 3}),
        ("sensitive_patterns", {"words": ["re:("]}),
    ],
)
def test_a_policy_whose_numbers_are_broken_denies(policy: str, values: dict[str, Any]) -> None:
    with database.transaction(STAFF) as session:
        make_cast(session)
        open_to_all(session)
        set_numbers(session, policy, **values)
        action = making.action(session, agent="Sales AI" if policy == "agent_kinds" else None)
        making.effect(session, making.action(session))
        judgement = engine.judge(session, action, Stage.SEND, lock=True)
    assert judgement.verdict == Verdict.DENY
    assert "could not be applied" in judgement.reason


def test_outside_the_staff_scope_nothing_is_judged() -> None:
    with database.transaction(STAFF) as session:
        make_cast(session)
        action = making.action(session)
    with pytest.raises(RuntimeError, match="scope"), database.transaction(AGENCY_ID) as session:
        engine.judge(session, session.merge(action), Stage.SEND, lock=True)


def test_who_waits_too_long_for_a_limit_is_deferred_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "PATIENCE_MS", 100)
    with database.transaction(STAFF) as session:
        make_cast(session)
        open_to_all(session)
        first, second = making.action(session), making.action(session, recipients=["bob@northwind.example"])
        other = making.action(session, kind="slack.post", recipients=["cy@northwind.example"])
    with database.transaction(STAFF) as holding, database.transaction(STAFF) as waiting:
        assert engine.judge(holding, holding.merge(first), Stage.SEND, lock=True).verdict == Verdict.ALLOW
        judgement = engine.judge(waiting, waiting.merge(second), Stage.SEND, lock=True)
        assert judgement.verdict == Verdict.DEFER
        assert "Many others" in judgement.reason
        assert engine.judge(waiting, waiting.merge(other), Stage.SEND, lock=True).said
    with database.transaction(STAFF) as session:
        assert session.execute(text("SHOW lock_timeout")).scalar_one() == "10s"
        assert engine.judge(session, session.merge(second), Stage.SEND, lock=True).verdict == Verdict.ALLOW


def test_the_number_of_questions_is_fixed() -> None:
    with database.transaction(STAFF) as session:
        make_cast(session)
        open_to_all(session)
        action = making.action(session, recipients=[f"p{n}@northwind.example" for n in range(40)], cost_minor=100)
        for _ in range(3):
            making.effect(session, making.action(session))
        session.flush()
        with queries() as asked:
            engine.judge(session, action, Stage.SEND, lock=True)
        with queries() as proposed:
            engine.judge(session, action, Stage.PROPOSE)
    # numbers, context, people, locks, switches, suppression, window, money, contacts, verdicts; a savepoint
    assert len(asked) == 10 + 1, asked
    assert len(proposed) == 8 + 1, proposed


_HISTORY = text("""
    WITH old AS (
        INSERT INTO actions SELECT (jsonb_populate_record(a, jsonb_build_object(
            'id', a.id + n, 'key', 'old ' || n, 'effect_key', gen_random_uuid(),
            'state', CASE WHEN n % 10 = 0 THEN 'approved' ELSE 'done' END
        ))).* FROM actions a, generate_series(1, :many) n WHERE a.id = :like RETURNING id, org_id, kind, effect_key
    )
    INSERT INTO effects (org_id, action_id, effect_key, kind, state, dry_run, wire_sha256, audience, recipients, cost_minor,
        currency, intent_at, first_sent_at, finished_at, receipt)
    SELECT org_id, id, effect_key, kind, 'done', false, 'x', 'outside', ARRAY['p' || id || '@old.example'], 100, 'USD', long_ago,
        long_ago, long_ago, '{}' FROM old, LATERAL (SELECT now() - interval '40 days' AS long_ago) t
""")
_READ = text("""
    SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables WHERE relname IN ('actions', 'effects')
""")


def test_what_was_sent_long_ago_is_not_read_again_for_each_mail() -> None:
    with database.transaction(STAFF) as session:
        make_cast(session)
        open_to_all(session)
        set_numbers(session, "send_mode", mode="limited_live")
        action = making.action(session, recipients=["ann@northwind.example"], cost_minor=100)
        session.flush()
        session.execute(_HISTORY, {"many": 3000, "like": action.id})
    plans.learn("actions", "effects")
    with database.transaction(STAFF) as session:
        before = session.execute(_READ).scalar_one() or 0
        engine.judge(session, session.merge(action), Stage.SEND, lock=True)
        read = session.execute(_READ).scalar_one() - before
    assert read < 50, f"{read} rows of 3000 old mails were read"
