"""People, accounts and approved actions for the parts of this benchmark, worked off in this process against the fake world."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions import service
from core.runtime.actions.models import ActionState, Decided
from core.runtime.actions.service import Proposal
from core.runtime.runs import execute
from tests.cast import Cast, make_cast
from tests.fakeworld.world import World
from tests.faults.cases import SAMPLES, Case, cases
from tests.faults.stage import connect, sql
from tests.gates import open_to_all, set_numbers


@dataclass
class Scene:
    """On an empty database, with settings that point at `world`."""

    world: World
    cast: Cast
    made: int = 0

    @classmethod
    def set(cls, world: World) -> "Scene":
        with database.transaction(STAFF) as session:
            cast = make_cast(session)
            session.execute(text("UPDATE users SET role = 'admin' WHERE name <> 'Tony'"))
            open_to_all(session, approvals=True)
            kinds = [c.kind for c in cases()]
            set_numbers(session, "approval_kinds", outside=True, kinds=kinds)
            set_numbers(session, "rate_limit", kinds={}, others=1_000_000)
            set_numbers(session, "agent_kinds", may={"Sales AI": kinds})
            connect(session, cast.actor("Dave"), world.keys, world.smtp.config)
        return cls(world, cast)

    def waiting(self, case: Case, undoes: int | None = None) -> tuple[int, str]:
        """(id, hash) of an action that waits for approval. `undoes` is a done one, for a kind that takes back."""
        self.made += 1
        with database.transaction(STAFF) as session:
            payload = SAMPLES[case.kind](self.made) if undoes is None else _undo_payload(session, undoes)
            proposed = service.propose(
                session,
                Proposal(
                    case.kind, payload, self.cast.actor("Robert"), org_id=case.org_id, agent="Sales AI", reason="It is Monday."
                ),
            )  # fmt: skip
            assert proposed.state == ActionState.AWAITING, proposed
            sha = session.execute(text("SELECT payload_sha256 FROM actions WHERE id = :id"), {"id": proposed.id}).scalar_one()
        return proposed.id, sha

    def approved(self, case: Case, undoes: int | None = None) -> int:
        """An action that Dave has approved and that is about to be carried out."""
        action_id, sha = self.waiting(case, undoes)
        with database.transaction(STAFF) as session:
            service.decide(session, action_id, Decided.APPROVE, self.cast.actor("Dave"), payload_sha256=sha, via="web")
        return action_id

    def carry_out(self, action_id: int) -> str:
        """Work its run off here. Returns the action's state."""
        run_id = sql("SELECT execute_run_id FROM actions WHERE id = :id", id=action_id)[0][0]
        execute.execute(run_id, "bench")
        return str(sql("SELECT state FROM actions WHERE id = :id", id=action_id)[0][0])

    def done(self, case: Case) -> int:
        """An action that was sent."""
        made = self.approved(case)
        state = self.carry_out(made)
        assert state == "done", (case, state, sql("SELECT error FROM actions WHERE id = :id", id=made))
        return made

    def happened(self) -> int:
        """How much was done so far: at vendors, and inside."""
        inside = sql("SELECT (SELECT count(*) FROM effects WHERE vendor IS NULL AND state = 'done' AND NOT dry_run)")[0][0]
        return len(self.world.applied()) + int(inside)


def _undo_payload(session: Any, action_id: int) -> dict[str, Any]:
    from core.runtime.actions import kinds
    from core.runtime.actions.kinds import Receipt

    row = session.execute(
        text(
            "SELECT a.kind, a.payload, e.external_ref, e.external_url, e.receipt FROM actions a "
            "JOIN effects e ON e.action_id = a.id WHERE a.id = :id"
        ),
        {"id": action_id},
    ).one()
    make = kinds.get(row.kind).undo_payload
    assert make is not None
    return make(row.payload, Receipt(row.external_ref, row.external_url, row.receipt))
