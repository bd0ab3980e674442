"""Actions of the demo: all there is to see, nothing that could leave, and gone with the demo."""

from sqlalchemy import select, text

from core.domains.demo import service
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions import service as actions
from core.runtime.actions.binding import binding
from core.runtime.actions.models import Action, Decided
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs import execute
from tests.core.domains.demo.test_demo import load, one


def test_actions_stand_in_every_state_and_wait_for_each_of_them(db):
    load()
    with database.transaction(STAFF) as session:
        states = set(session.scalars(text("SELECT DISTINCT state FROM actions")))
        assert states == {
            "awaiting_approval", "done", "unknown", "deferred", "denied", "failed", "undone", "dismissed",
        }  # fmt: skip
        waiting = set(session.scalars(text("SELECT DISTINCT owner_role FROM actions WHERE state = 'awaiting_approval'")))
        assert {"admin", "delivery", "engineering", "sales"} <= waiting
        assert one(session, "SELECT count(*) FROM actions WHERE NOT demo") == 0
        assert "slack.com/archives" in one(session, "SELECT max(external_url) FROM actions WHERE state = 'done'")
        for action in session.scalars(select(Action)):
            assert binding(action) == action.payload_sha256, action.key
        assert one(session, "SELECT count(*) FROM policy_verdicts WHERE verdict = 'needs_approval'") >= 4


def test_a_demo_action_is_a_dry_run_and_goes_with_the_demo(db):
    load()
    with database.transaction(STAFF) as session:
        # quiet hours would put it off at night
        session.execute(
            text("INSERT INTO policy_settings (org_id, policy, values, edited_by) "
                 "VALUES (:org, 'contact_ceiling', '{\"quiet\": false}', 'test')"), {"org": AGENCY_ID},
        )  # fmt: skip
        found = session.execute(
            text("SELECT id, payload_sha256 FROM actions WHERE state = 'awaiting_approval' AND owner_role = 'delivery' LIMIT 1")
        ).one()
        dan = one(session, "SELECT id FROM users WHERE name = 'Dan'")
        actions.decide(
            session, found.id, Decided.APPROVE, Actor("Dan", "user", dan), payload_sha256=found.payload_sha256, via="web"
        )
    with database.transaction(STAFF) as session:
        run_id = one(session, "SELECT execute_run_id FROM actions WHERE id = :id", id=found.id)
    execute.execute(run_id, "w1")
    with database.transaction(STAFF) as session:
        action = session.get(Action, found.id)
        assert (action.state, action.mode) == ("done", "dry_run")
        assert one(session, "SELECT status FROM client_reports WHERE id = :id", id=int(action.key.split(":")[1])) == "approved"
    with database.transaction(STAFF) as session:
        service.clear(session)
        assert one(session, "SELECT count(*) FROM actions") == one(session, "SELECT count(*) FROM effects") == 0
