"""A kind of action that calls nobody, and what the tests of the core need around it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from core.kit import clock
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions import kinds, service
from core.runtime.actions.binding import binding
from core.runtime.actions.kinds import Account, ActionKind, Field, Outgoing, Receipt, Rendered, Rendering
from core.runtime.actions.models import Action, Audience, Decided
from core.runtime.connections import service as connections
from core.runtime.runs import execute
from tests.cast import Cast, make_cast
from tests.gates import open_to_all, set_numbers
from tests.tools.database import sql


class Note(BaseModel):
    """`cost` in minor units."""

    text: str
    to: str = "team"
    cost: int = 0


@dataclass
class Desk:
    """What "the vendor" got, and how it answers: `send` and `look_up` may be replaced."""

    sent: list[Outgoing] = field(default_factory=list)
    looked: list[Outgoing] = field(default_factory=list)
    send: Callable[[Outgoing, Account], Receipt] | None = None
    look_up: Callable[[Outgoing, Account], Receipt | None] | None = None

    def on_send(self, out: Outgoing, account: Account) -> Receipt:
        self.sent.append(out)
        return self.send(out, account) if self.send else Receipt(f"note-{len(self.sent)}", None, {"n": len(self.sent)})

    def on_look_up(self, out: Outgoing, account: Account) -> Receipt | None:
        self.looked.append(out)
        return self.look_up(out, account) if self.look_up else None


def _render(asked: Note, on: Rendering) -> Rendered:
    wire = f"{on.effect_key} {asked.to}: {asked.text}".encode()
    return Rendered(wire, f"Note: {asked.text}", asked.to, Audience.INTERNAL, (), False, asked.cost, "USD")


def make_kinds(desk: Desk) -> tuple[ActionKind, ...]:
    """test.note can be looked up and taken back, test.keyed has a vendor's key instead, test.blind has neither."""
    common: dict[str, Any] = {
        "word": "note", "verb": "Leave the note", "icon": "note", "schema": Note, "render": _render, "vendors": ("slack",),
        "send": desk.on_send, "fields": (Field("text", "Text"), Field("to", "To"), Field("cost", "Cost", "money")),
        "protected": ("to",),
    }  # fmt: skip
    undo = {"undo_kind": "test.blind", "undo_payload": lambda payload, receipt: {"text": f"no {receipt.ref}"}}
    return (
        ActionKind(name="test.note", look_up=desk.on_look_up, **undo, **common),
        ActionKind(name="test.keyed", key_valid_for={"slack": timedelta(hours=1)}, **common),
        ActionKind(name="test.blind", **common),
    )


@dataclass
class House:
    """People, policies and an account; commands each in a transaction of its own."""

    desk: Desk
    cast: Cast

    def who(self, name: str) -> Actor:
        return self.cast.actor(name)

    def propose(self, kind: str = "test.note", by: str = "Robert", payload: dict[str, Any] | None = None, **more: Any) -> Any:
        with database.transaction(STAFF) as session:
            asked = service.Proposal(kind, payload or {"text": "Hello."}, self.who(by), **more)
            return service.propose(session, asked)

    def row(self, action_id: int) -> Action:
        with database.transaction(STAFF) as session:
            found = session.get(Action, action_id)
            assert found is not None
            return found

    def decide(
        self, action_id: int, by: str = "Dave", decision: Decided = Decided.APPROVE, sha: str | None = None, **more: Any
    ) -> Any:
        with database.transaction(STAFF) as session:
            sha = sha or self.row(action_id).payload_sha256
            return service.decide(session, action_id, decision, self.who(by), payload_sha256=sha, via="web", **more)

    def do(self, command: Callable[..., Any], *args: Any, **more: Any) -> Any:
        """A command of the service."""
        with database.transaction(STAFF) as session:
            return command(session, *args, **more)

    def approved(self, kind: str = "test.note", **more: Any) -> int:
        made = self.propose(kind, **more)
        if made.state == "awaiting_approval":
            self.decide(made.id)
        return int(made.id)

    def carry_out(self, action_id: int) -> str:
        """Work its run off here, now; again while it waits to be tried again. Returns the action's state."""
        run_id = self.row(action_id).execute_run_id
        assert run_id is not None
        sql("UPDATE runs SET run_after = now() WHERE id = :id AND state IN ('queued', 'waiting')", id=run_id)
        execute.execute(run_id, "test")
        return str(self.row(action_id).state)

    def expire(self, action_id: int) -> None:
        """Let the time of something approved be over, as if that time had been approved."""
        with database.transaction(STAFF) as session:
            action = session.get(Action, action_id)
            assert action is not None
            action.expires_at = clock.now() - timedelta(seconds=1)
            action.payload_sha256 = action.approved_sha256 = binding(action)

    def done(self, kind: str = "test.note", **more: Any) -> int:
        made = self.approved(kind, **more)
        assert self.carry_out(made) == "done", self.row(made).error
        return made


def set_house(desk: Desk) -> House:
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        open_to_all(session, approvals=True)
        set_numbers(session, "approval_kinds", kinds=["test.note", "test.keyed", "test.blind"])
        connections.save(session, "slack", "main", {}, "xoxb-a-token-for-tests", cast.actor("Dave"))
    return House(desk, cast)


@pytest.fixture
def house(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    from core.config import get_settings

    monkeypatch.setenv("OPS_EFFECT_SETTLE_S", "30")
    monkeypatch.setenv("OPS_EFFECT_RETRY_S", "0.01")
    get_settings.cache_clear()
    before, desk = dict(kinds._kinds), Desk()
    for kind in make_kinds(desk):
        kinds.register(kind)
    yield set_house(desk)
    kinds._kinds.clear()
    kinds._kinds.update(before)
    monkeypatch.undo()
    get_settings.cache_clear()
