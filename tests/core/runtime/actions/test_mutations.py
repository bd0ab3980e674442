"""What was approved is what is sent: any change after it, and nothing is. All ways out are in `benchmarks.authority`."""

import pytest

from benchmarks.authority.mutations import CHANGES, cells
from benchmarks.authority.scene import Scene
from core.runtime.actions.binding import BOUND
from core.runtime.actions.models import Action
from tests.fakeworld.world import World
from tests.faults.cases import cases

NOT_BOUND = {
    "id", "state", "wire", "payload_sha256", "approved_sha256", "key", "run_id", "execute_run_id", "stale", "approvals_needed",
    "owner_role", "owner_user_id", "deadline_at", "remind_at", "reminded_at", "deferred_until", "outcome", "mode", "external_ref",
    "external_url", "error", "decided_by", "decided_at", "created_at", "finished_at",
}  # fmt: skip
"""Columns that say how it is going, not what it is. `wire` is bound by its hash; how many must approve is asked again."""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["slack.post by slack", "mail.send by resend", "task.create by inside"])
def test_nothing_that_was_changed_is_sent(db: None, world: World, way: str) -> None:
    told = cells(Scene.set(world), tuple(c for c in cases() if c.name == way))
    assert [(c.change, c.state) for c in told if c.change != "nothing" and c.sent] == []
    assert [(c.state, c.sent) for c in told if c.change == "nothing"] == [("done", 1)]


def test_there_are_thirty_changes() -> None:
    assert len(CHANGES) >= 30


def test_every_column_is_bound_or_known_not_to_be() -> None:
    """A new column of actions turns this red until somebody has decided."""
    assert {c.key for c in Action.__table__.columns} == set(BOUND) | NOT_BOUND
