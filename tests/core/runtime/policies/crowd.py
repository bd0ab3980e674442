"""Many workers at one window: each process takes actions one by one through the gate and logs what its "vendor" got.

Run as `python -m tests.core.runtime.policies.crowd LOG THREADS SECONDS lock|no`; it ends when every action has its end, or after
so many seconds. A line of the log: action, organisation, cost, people, and when it arrived by the clock of system and database.
"""

import os
import random
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import OperationalError

from core import registry
from core.errors import Unavailable
from core.kit import db
from core.kit.db import STAFF
from core.runtime.actions.models import Action, ActionState, Effect
from core.runtime.policies import engine
from core.runtime.policies.models import Stage, Verdict


def take() -> int | None:
    """The next action that is due, as a worker's claim takes it."""
    with db.transaction(STAFF) as session:
        due = (
            select(Action.id)
            .where(
                (Action.state == ActionState.APPROVED)
                | ((Action.state == ActionState.DEFERRED) & (Action.deferred_until <= func.clock_timestamp()))
            )
            .order_by(Action.deferred_until.nulls_last(), Action.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        return session.execute(
            update(Action).where(Action.id.in_(due)).values(state=ActionState.EXECUTING).returning(Action.id)
        ).scalar_one_or_none()


def left(end: float) -> bool:
    """Whether any action may still come to its end before then: neither has one, nor waits for longer."""
    with db.transaction(STAFF) as session:
        open_ = select(Action.id).where(
            Action.state.not_in((ActionState.DONE, ActionState.DENIED)),
            Action.deferred_until.is_(None) | (Action.deferred_until < func.to_timestamp(end)),
        )
        return session.execute(open_.limit(1)).first() is not None


def carry_out(action_id: int, log: int, lock: bool) -> str:
    """One time through the gate: judged under its locks, the intent in the same transaction; then sent, then recorded."""
    with db.transaction(STAFF) as session:
        action = session.execute(select(Action).where(Action.id == action_id).with_for_update()).scalar_one()
        said = engine.judge(session, action, Stage.SEND, lock=lock)
        if said.verdict == Verdict.DEFER:
            action.state, action.deferred_until = ActionState.DEFERRED, said.until
            return "deferred"
        if said.verdict == Verdict.DENY:
            action.state = ActionState.DENIED
            return "denied"
        if not lock:
            time.sleep(0.1)  # also on a machine that lets few run at once, somebody counts between this one's count and record
        now = func.clock_timestamp()
        session.execute(
            insert(Effect).values(
                org_id=action.org_id, action_id=action.id, effect_key=action.effect_key, kind=action.kind, wire_sha256="x",
                audience=action.audience, recipients=action.recipients, cost_minor=action.cost_minor, currency=action.currency,
                state="intent", intent_at=now, first_sent_at=now, receipt={},
            )
        )  # fmt: skip
        people, cost, org = ",".join(action.recipients), action.cost_minor, action.org_id
    time.sleep(random.uniform(0, 0.05))
    os.write(log, f"{action_id} {org} {cost} {people or '-'} {time.time():.6f}\n".encode())
    time.sleep(random.uniform(0, 0.05))
    with db.transaction(STAFF) as session:
        done = update(Effect).where(Effect.action_id == action_id)
        session.execute(done.values(state="done", finished_at=func.clock_timestamp()))
        session.execute(update(Action).where(Action.id == action_id).values(state=ActionState.DONE))
    return "done"


def work(log: int, end: float, lock: bool) -> None:
    """One worker: until nothing is left."""
    while time.time() < end:
        try:
            action_id = take()
            if action_id is not None:
                carry_out(action_id, log, lock)
            elif not left(end):
                return
            else:
                time.sleep(0.02)
        except (Unavailable, OperationalError) as error:
            print(datetime.now(), repr(error)[:200], file=sys.stderr)
            raise


def main(path: Path, threads: int, seconds: float, *, lock: bool = True) -> None:
    """So many workers in this process."""
    registry.load()
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    crowd = [threading.Thread(target=work, args=(log, time.time() + seconds, lock)) for _ in range(threads)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), lock=sys.argv[4] == "lock")
