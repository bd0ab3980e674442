"""A worker's own line to the ledger: one connection, every statement a transaction of its own, one round trip each.

A run costs a worker one statement when its queue is full: the one that ends the last run claims the next.

Ending a run is durable when the statement returns. A claim, a renewal and a beat are not waited for on disk
(synchronous_commit off): what a crash of the database forgets is that a run had been claimed, so it is claimed again,
with another token that shuts the first attempt out; its steps commit durably, and so flush the claim before them.
"""

import json
import os
import socket
from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.errors import LockNotAvailable

from core.config import get_settings, started_at_tick
from core.errors import Unavailable
from core.kit.db import APP_ROLE
from core.runtime.runs.lease import CLAIMED, END, FREE, HELD, TAKE, Claim, lost
from core.runtime.runs.outcome import Outcome

_TAKE = TAKE.format(lease_s="%(lease_s)s", worker="%(worker)s")
_NEXT = f"""next AS (SELECT id FROM runs WHERE queue = %(queue)s AND {FREE}
    ORDER BY priority, run_after, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)"""  # noqa: S608
# the state is checked again: the row may have changed between the snapshot and the lock
_TAKE_NEXT = f"UPDATE runs SET {_TAKE} FROM next WHERE runs.id = next.id AND {FREE} RETURNING {CLAIMED}"  # noqa: S608
_CLAIM_NEXT: Final = f"WITH {_NEXT} {_TAKE_NEXT}"
_ENDED = END.format(state="'succeeded'", reason="NULL", output="%(output)s::jsonb", error="NULL", progress="1")
_DONE = f"UPDATE runs SET {_ENDED} WHERE "  # noqa: S608
_DONE += HELD.format(id="%(id)s", held="%(token)s") + " RETURNING id"
_DONE_AND_NEXT: Final = f"""
    WITH done AS ({_DONE}), {_NEXT}, taken AS ({_TAKE_NEXT})
    SELECT (SELECT count(*) FROM done), taken.* FROM (VALUES (1)) AS one LEFT JOIN taken ON true"""  # noqa: S608
_RENEW: Final = f"""
    UPDATE runs SET lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
    WHERE {HELD.format(id="%(id)s", held="%(token)s")} RETURNING cancel_requested_at IS NOT NULL"""  # noqa: S608
_BEAT: Final = """
    INSERT INTO heartbeats (process, at, pid, host, detail) VALUES (%s, clock_timestamp(), %s, %s, %s::jsonb)
    ON CONFLICT (process) DO UPDATE SET at = excluded.at, pid = excluded.pid, host = excluded.host, detail = excluded.detail"""
_HOLDS_LOCK_S = 1


class Line:
    """Not for threads. After a lost connection the next call connects anew; every call may raise Unavailable."""

    def __init__(self, worker: str, queue: str) -> None:
        self.worker = worker
        self.queue = queue
        self._durable: psycopg.Connection[Any] | None = None
        self._soft: psycopg.Connection[Any] | None = None
        self._tick = started_at_tick(os.getpid())

    def claim_next(self) -> Claim | None:
        """Take the most urgent run of this queue that is due. None when there is none that nobody else is taking."""
        rows = self._ask(False, _CLAIM_NEXT, self._claiming())
        return Claim(*rows[0]) if rows else None

    def finish_and_claim(self, held: Claim, ended: Outcome) -> tuple[bool, Claim | None]:
        """Write down that a run succeeded and take the next one. The first answer is False when it was no longer ours."""
        params = {**self._claiming(), "id": held.id, "token": held.token, "output": ended.output}
        try:
            (many, *taken), *_ = self._ask(True, _DONE_AND_NEXT, params)
        except LockNotAvailable as error:  # somebody's cancel is being committed: nothing was written, ask again
            raise Unavailable("The run is being changed at this moment.", "It is tried again by itself.") from error
        return bool(many), None if taken[0] is None else Claim(*taken)

    def renew(self, held: Claim) -> bool:
        """Hold on to a run. Returns whether a person asked to cancel it. Raises LeaseLost when it is no longer ours."""
        params = {"id": held.id, "token": held.token, "lease_s": get_settings().lease_s}
        try:
            rows = self._ask(False, _RENEW, params)
        except LockNotAvailable:
            return False  # a step of the run itself is writing to its row; nobody can take it back meanwhile
        if not rows:
            raise lost(held)
        return bool(rows[0][0])

    def beat(self, **detail: Any) -> None:
        """Say that this worker is alive."""
        detail["tick"] = self._tick
        self._ask(False, _BEAT, (self.worker, os.getpid(), socket.gethostname(), json.dumps(detail)))

    def close(self) -> None:
        """Hang up."""
        for connection in (self._durable, self._soft):
            if connection is not None:
                connection.close()
        self._durable = self._soft = None

    def _claiming(self) -> dict[str, Any]:
        return {"queue": self.queue, "worker": self.worker, "lease_s": get_settings().lease_s}

    def _ask(self, durable: bool, statement: str, params: Any) -> Sequence[Any]:
        try:
            cursor = self._connection(durable).execute(statement, params, prepare=True)
            return cursor.fetchall() if cursor.description else ()
        except LockNotAvailable:
            raise
        except psycopg.OperationalError as error:
            self.close()
            raise Unavailable("The database does not answer.", "Check `ops status`.") from error

    def _connection(self, durable: bool) -> "psycopg.Connection[Any]":
        known = self._durable if durable else self._soft
        if known is not None and not known.closed:
            return known
        made = _connect(durable)
        if durable:
            self._durable = made
        else:
            self._soft = made
        return made


def _connect(durable: bool) -> "psycopg.Connection[Any]":
    url = get_settings().database_url
    if not url:
        raise Unavailable("There is no database to talk to.", "Start the app with `make run`, or set DATABASE_URL.")
    made = psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://", 1), connect_timeout=5, autocommit=True)
    if made.info.user != APP_ROLE:
        made.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(APP_ROLE)))
    made.execute(
        "SELECT set_config('app.scope', 'staff', false), set_config('lock_timeout', %s, false), "
        "set_config('synchronous_commit', %s, false)",
        (f"{_HOLDS_LOCK_S}s", "on" if durable else "off"),
    )
    return made
