"""Read models of policies: what each decided lately, without reading all that was ever decided."""

import pytest
from sqlalchemy import text

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.policies import queries, registry
from core.runtime.policies.models import Verdict
from tests.cast import make_cast
from tests.core.runtime.policies import making
from tests.tools import plans

pytestmark = pytest.mark.usefixtures("db")

_FILL = text("""
    INSERT INTO policy_verdicts (org_id, action_id, policy, stage, verdict, reason, inputs, values, at)
    SELECT org_id, id, p, 'send', CASE WHEN n % 2 = 0 THEN 'deny' ELSE 'allow' END, 'It may.', '{}', '{}',
        statement_timestamp() - n * interval '2 hours'
    FROM actions, unnest(CAST(:policies AS text[])) p, generate_series(1, 2000) n
""")


def test_what_was_decided_this_week_is_read_by_its_index() -> None:
    keys = [p.key for p in registry.policies()]
    with database.transaction(STAFF) as session:
        make_cast(session)
        made = making.action(session)
        session.execute(_FILL, {"policies": keys})
        other = making.action(session)
        session.execute(
            text("UPDATE policy_verdicts SET action_id = :other WHERE at > statement_timestamp() - interval '3 hours'"),
            {"other": other.id},
        )
    plans.learn("policy_verdicts")
    with database.transaction(STAFF) as session, plans.statements() as asked:
        lines = {line.key: line.decided for line in queries.every(session)}
        found = {r.action_id: r.verdict for r in queries.verdicts(session, keys[0])}
        queries.one(session, keys[0])
        shown = [p for p in plans.plans(session, asked) if "policy_verdicts" in p]
    assert set(lines) == set(keys)
    assert len(shown) == 3
    for plan in shown:
        assert "Seq Scan on policy_verdicts" not in plan, plan
        assert any("Index Cond" in line and "(at >" in line for line in plan.splitlines()), plan
    assert found[other.id] == Verdict.ALLOW
    assert set(found) == {made.id, other.id}
    assert all(sum(n.values()) == 2 for n in lines.values()), "each action counts once, with its last word"
