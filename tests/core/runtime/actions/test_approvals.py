"""Many people decide about one item at the same moment."""

import pytest

from benchmarks.authority.approvals import race
from benchmarks.authority.scene import Scene
from core.runtime.actions.models import Decided
from tests.fakeworld.world import World
from tests.faults.cases import cases

SLACK = next(c for c in cases() if c.kind == "slack.post")


@pytest.fixture
def scene(db: None, world: World) -> Scene:
    return Scene.set(world)


def test_a_hundred_presses_are_one_transition_and_everybody_else_sees_who_won(scene: Scene) -> None:
    action_id, sha = scene.waiting(SLACK)
    people = [scene.cast.actor(n) for n in ("Dave", "Brian", "Dan", "Robert")]
    told = race(action_id, sha, [(people[n % 4], Decided.APPROVE) for n in range(100)])
    assert told.other == []
    assert len(told.won) == 1
    assert told.losers == [f"{told.won[0]} was first: it is approved."] * 99
    assert told.transitions == (1, 1, 1, 1)  # decisions, events, runs, audit entries


def test_approve_and_reject_at_once_is_one_of_the_two(scene: Scene) -> None:
    for _ in range(5):
        action_id, sha = scene.waiting(SLACK)
        dave, brian = scene.cast.actor("Dave"), scene.cast.actor("Brian")
        told = race(action_id, sha, [(dave, Decided.APPROVE), (brian, Decided.REJECT)] * 5)
        fate = "approved" if told.won == ["Dave"] else "dismissed"
        assert told.losers == [f"{told.won[0]} was first: it is {fate}."] * 9
        assert (told.transitions[0], told.transitions[1], told.transitions[3]) == (1, 1, 1)
        assert told.transitions[2] == (1 if fate == "approved" else 0)


def test_a_batch_and_single_decisions_at_once_do_not_lock_each_other(scene: Scene) -> None:
    import threading

    from core.kit import db as database
    from core.kit.db import STAFF
    from core.runtime.actions import service

    items = [scene.waiting(SLACK) for _ in range(8)]
    dave, brian = scene.cast.actor("Dave"), scene.cast.actor("Brian")
    gate, wrong, won = threading.Barrier(9), [], []

    def batch() -> None:
        gate.wait()
        with database.transaction(STAFF) as session:
            won.extend(r.id for r in service.approve_many(session, items, dave, "web") if r.ok)

    def single(action_id: int, sha: str) -> None:
        gate.wait()
        try:
            with database.transaction(STAFF) as session:
                service.decide(session, action_id, Decided.APPROVE, brian, payload_sha256=sha, via="web")
            won.append(action_id)
        except service.Conflict:
            pass
        except Exception as error:  # a deadlock, for one
            wrong.append(error)

    threads = [threading.Thread(target=batch), *(threading.Thread(target=single, args=i) for i in items)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sorted(won) == sorted(i for i, _ in items)
