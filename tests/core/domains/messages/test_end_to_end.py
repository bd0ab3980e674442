"""From a proposal to the vendor's own log and back: each kind that is sent, its lost answer, and its undo."""

import time

import pytest
from sqlalchemy import select

from core.kit import db as database
from core.kit import keyring
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions import service as actions
from core.runtime.actions.models import Action, ActionState, Effect
from core.runtime.actions.service import Decided, Proposal
from core.runtime.connections import service as accounts
from core.runtime.policies import settings
from core.runtime.runs.execute import execute
from tests.cast import make_cast
from tests.fakeworld.log import doubles

ENDS = (ActionState.DONE, ActionState.FAILED, ActionState.UNKNOWN, ActionState.DENIED, ActionState.UNDONE)
KINDS = {
    "slack.post": ({"channel": "#sales", "text": "Three deals moved."}, "slack.chat.postMessage", "slack.chat.delete"),
    "mail.send": ({"to": "nora@northwind.example", "subject": "Hi", "text": "It is live."}, "resend.emails", None),
    "pipedrive.deal.create": ({"title": "Invoices"}, "pipedrive.deals.create", "pipedrive.deals.delete"),
}


@pytest.fixture
def dave(db, world, monkeypatch):
    """Dave, with every vendor connected and mail to outside on."""
    from core.config import get_settings

    monkeypatch.setenv("OPS_EFFECT_SETTLE_S", "1.0")
    monkeypatch.setenv("OPS_EFFECT_RETRY_S", "0.01")
    get_settings.cache_clear()
    keyring.create()
    with database.transaction(STAFF) as session:
        dave = make_cast(session).actor("Dave")
        sender = {"from": "ManageAI <ops@manageai.example>"}
        accounts.save(session, "slack", "main", {}, world.slack.token, dave)
        accounts.save(session, "resend", "main", sender, world.resend.key, dave)
        accounts.save(session, "pipedrive", "main", {}, world.pipedrive.token, dave)
        settings.change(session, "send_mode", {"mode": "live"}, dave, 0)
        settings.change(session, "contact_ceiling", {"quiet": False}, dave, 0)
    return dave


def approve(action_id: int, by: Actor) -> None:
    with database.transaction(STAFF) as session:
        action = session.get_one(Action, action_id)
        if action.state == ActionState.AWAITING:
            actions.decide(session, action_id, Decided.APPROVE, by, payload_sha256=action.payload_sha256, via="web")


def carry_out(action_id: int) -> Action:
    """Let its runs run, each when it is due, until it has an end."""
    deadline = time.monotonic() + 60
    while True:
        with database.transaction(STAFF) as session:
            action = session.get_one(Action, action_id)
            session.expunge(action)
        if action.state in ENDS:
            return action
        assert time.monotonic() < deadline, (action.state, action.error)
        if action.execute_run_id is None or execute(action.execute_run_id, "test") is None:
            time.sleep(0.05)  # not due yet


@pytest.mark.parametrize("mode", ["ok", "apply_then_drop", "drop_before", "apply_then_500", "429:0"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_effect_with_the_approved_bytes_whatever_the_vendor_does_first(dave, world, kind, mode):
    payload, endpoint, undoes = KINDS[kind]
    world.mode(endpoint, mode, 1)
    with database.transaction(STAFF) as session:
        made = actions.propose(session, Proposal(kind, payload, dave))
    approve(made.id, dave)
    action = carry_out(made.id)
    assert (action.state, action.mode) == (ActionState.DONE, "live"), action.error
    with database.transaction(STAFF) as session:
        effect = session.scalars(select(Effect).where(Effect.action_id == made.id)).one()
    (call,) = world.applied(endpoint)
    assert call["body_sha256"] == effect.wire_sha256
    assert not doubles(world.calls)
    if undoes is None:
        assert not action.reversible
        return
    with database.transaction(STAFF) as session:
        undo = actions.undo(session, made.id, dave, "web")
    approve(undo.id, dave)
    assert carry_out(undo.id).state == ActionState.DONE
    assert len(world.applied(undoes)) == 1
    assert carry_out(made.id).state == ActionState.UNDONE
