"""A new key for every stored secret, while the app works: readers, writers and a kill at any moment included.

The new key is on disk before anything is sealed with it, and every process reads the keys anew when the file changes. Rows
are sealed anew in small transactions, each with its old ciphertext as the condition, so a secret that a person saves
meanwhile is never overwritten. What a killed rotation left is taken up by the next. A key goes only when nothing is sealed
with it any more.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import bindparam, exists, func, insert, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.kit import clock, crypto, db, keyring
from core.kit.actor import Actor
from core.kit.crashpoints import crashpoint, register
from core.kit.keyring import KeyMissing, Keyring
from core.runtime.audit import service as audit
from core.runtime.connections import vault
from core.runtime.connections.models import Connection, ConnectionState, KeyRotation
from core.runtime.connections.queries import key_counts
from core.runtime.events import service as events

BATCH: Final = 100
_TRIES: Final = 20
register(
    "rotation.after_key_written", "rotation.after_evidence", "rotation.after_sealed", "rotation.after_updated",
    "rotation.after_batch", "rotation.before_finish",
)  # fmt: skip
Transaction = Callable[[], AbstractContextManager[Session]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did. `rows` were sealed anew (by all its parts together), `left` are secrets under other keys by key id.

    `unopened` are connections whose secret no key here opens. `new_key` is False when an unfinished rotation was taken up.
    """

    to_key: str
    rows: int
    left: Mapping[str, int]
    unopened: tuple[int, ...]
    new_key: bool

    @property
    def complete(self) -> bool:
        """Whether every secret is sealed with the one key."""
        return not self.left


def rotate(
    by: Actor, *, transaction: Transaction | None = None, batch: int = BATCH, on_rows: Callable[[int], None] | None = None
) -> Rotated:
    """Seal every secret with a new key; with keys from the environment, with the first of them.

    While secrets are under an older key than the current one, that rotation is finished and no new key is made. `on_rows`
    gets how many rows are done so far. Raises Conflict while another rotation goes on, KeyMissing, BadKeys.
    """
    with keyring.one_rotation():
        return _rotate(by, transaction or (lambda: db.transaction(db.STAFF)), batch, on_rows)


def _rotate(by: Actor, opened: Transaction, batch: int, on_rows: Callable[[int], None] | None) -> Rotated:
    with opened() as session:
        ring = vault.ring_for(session)
        cut_off = any(key_id != ring.current for key_id in key_counts(session)) or _unfinished(session, ring.current)
    new_key = not cut_off and keyring.from_environment() is None
    if new_key:
        keyring.add()
        crashpoint("rotation.after_key_written")
    ring = keyring.keyring()
    rotation_id = _patiently(opened, lambda session: _evidence(session, ring.current, by))
    crashpoint("rotation.after_evidence")
    unopened: set[int] = set()
    while _pass(opened, ring, rotation_id, batch, unopened, on_rows):
        # again, until a pass meets nothing: somebody may have sealed with the key before while it ran
        pass
    crashpoint("rotation.before_finish")
    return _patiently(opened, lambda session: _finish(session, rotation_id, by, tuple(sorted(unopened)), new_key))


def _patiently(opened: Transaction, work: Callable[[Session], T]) -> T:
    """One transaction, again when somebody held what it needs for too long, or waited for what it held: nothing is lost by it."""
    for turn in range(_TRIES):
        try:
            with opened() as session:
                return work(session)
        except OperationalError:
            if turn == _TRIES - 1:
                raise
    raise AssertionError


def _unfinished(session: Session, to_key: str) -> bool:
    wanted = (KeyRotation.to_key == to_key, KeyRotation.finished_at.is_(None))
    return bool(session.scalar(select(exists().where(*wanted))))


def _evidence(session: Session, to_key: str, by: Actor) -> int:
    """The id of this rotation's row: of the one that was cut off, or a new one. Others that never ended are closed."""
    unfinished = session.scalars(
        select(KeyRotation).where(KeyRotation.finished_at.is_(None)).order_by(KeyRotation.id.desc())
    ).all()
    mine = next((r.id for r in unfinished if r.to_key == to_key), None)
    for other in unfinished:
        if other.id != mine:
            other.finished_at, other.left = clock.now(), key_counts(session)
    session.flush()
    if mine is not None:
        return mine
    return session.execute(insert(KeyRotation).values(to_key=to_key, by=by.label).returning(KeyRotation.id)).scalar_one()


def _pass(
    opened: Transaction, ring: Keyring, rotation_id: int, batch: int, unopened: set[int], on_rows: Callable[[int], None] | None
) -> bool:
    """Once through all rows that are under another key. False when there was none that can be opened."""
    after: int | None = 0
    met = False
    while True:
        begin = after or 0
        after, found, done = _patiently(opened, lambda session: _batch(session, ring, rotation_id, batch, begin, unopened))  # noqa: B023
        met = met or found
        if on_rows is not None and done is not None:
            on_rows(done)
        if after is None:
            return met
        crashpoint("rotation.after_batch")


_RESEAL = (
    update(Connection)
    .where(Connection.id == bindparam("its_id"), Connection.secret == bindparam("old"))
    .values(secret=bindparam("new"), key_id=bindparam("new_key"))
)
"""The version stays: to people nothing changed. The condition on the ciphertext lets a secret saved meanwhile stand."""


def _batch(
    session: Session, ring: Keyring, rotation_id: int, batch: int, after: int, unopened: set[int]
) -> tuple[int | None, bool, int | None]:
    """(last id looked at, whether any could be opened, rows done by the rotation so far); None when there was nothing."""
    rows = session.execute(
        select(Connection.id, Connection.org_id, Connection.secret)
        .where(Connection.secret.is_not(None), Connection.key_id != ring.current, Connection.id > after)
        .order_by(Connection.id)
        .limit(batch)
    ).all()
    changes: list[dict[str, Any]] = []
    for row in rows:
        where = vault.place(row.org_id, row.id)
        try:
            plain = crypto.open_(row.secret, where)
        except (KeyMissing, crypto.Rejected):
            unopened.add(row.id)
            continue
        unopened.discard(row.id)
        cipher, key_id = crypto.seal(plain, where, ring)
        changes.append({"its_id": row.id, "old": bytes(row.secret), "new": cipher, "new_key": key_id})
    crashpoint("rotation.after_sealed")
    done = _write(session, rotation_id, changes) if changes else None
    crashpoint("rotation.after_updated")
    return (rows[-1].id if rows else None), bool(changes), done


def _write(session: Session, rotation_id: int, changes: list[dict[str, Any]]) -> int:
    result = session.connection().execute(_RESEAL, changes)
    statement = update(KeyRotation).where(KeyRotation.id == rotation_id).returning(KeyRotation.rows)
    done: int = session.execute(statement.values(rows=KeyRotation.rows + max(0, result.rowcount))).scalar_one()
    return done


def _finish(session: Session, rotation_id: int, by: Actor, unopened: tuple[int, ...], new_key: bool) -> Rotated:
    evidence = session.get_one(KeyRotation, rotation_id, populate_existing=True)
    left = {k: n for k, n in key_counts(session).items() if k != evidence.to_key}
    evidence.left = left
    evidence.finished_at = None if left else clock.now()
    session.flush()
    made = Rotated(evidence.to_key, evidence.rows, left, unopened, new_key)
    if not left:
        _tell(session, "keys.rotated", f"{by.label} rotated the key of {made.rows:,} stored secrets.", by, rotation_id,
              {"to": made.to_key, "rows": made.rows})  # fmt: skip
    return made


def _tell(session: Session, what: str, summary: str, by: Actor, subject_id: int, detail: Mapping[str, Any]) -> None:
    events.publish(session, what, summary, actor=by, subject=("key_rotation", subject_id))
    audit.write(session, what, ("key_rotation", subject_id), by, detail)


def drop(session: Session, key_id: str, by: Actor) -> str:
    """Take a key away for good. Raises Conflict while secrets are sealed with it, NotFound, BadInput for the current one.

    Returns a sentence. With keys from the environment only people can take it away: the sentence says that they may.
    """
    # nobody is in the middle of sealing with it, and nobody begins before it is gone
    vault.nobody_seals(session)
    ring = keyring.keyring()
    under = key_counts(session).get(key_id, 0)
    if key_id not in ring.keys:
        raise NotFound(f"There is no key {key_id} in {ring.source}.", "`ops secrets status` lists them.")
    if under:
        noun = "secret is" if under == 1 else "secrets are"
        raise Conflict(f"{under:,} stored {noun} sealed with {key_id}.", "`ops secrets rotate` first; nothing was dropped.")
    in_environment = keyring.from_environment() is not None
    if not in_environment:
        keyring.drop(key_id)
    last = session.scalar(select(func.max(KeyRotation.id))) or 0
    _tell(session, "keys.dropped", f"{by.label} dropped the key {key_id}: nothing is sealed with it.", by, last, {"key": key_id})
    if in_environment:
        return f"Nothing is sealed with {key_id}: take it out of {keyring.SETTING} and start the app's processes again."
    return f"The key {key_id} is gone. Secrets in backups that were made while it was in use can't be read any more."


def unopenable(session: Session) -> tuple[int, ...]:
    """Connections whose secret nothing here opens. Tries every stored secret: for commands, not for pages."""
    rows = session.execute(select(Connection.id, Connection.org_id, Connection.secret).where(Connection.secret.is_not(None)))
    lost = []
    for row in rows:
        try:
            crypto.open_(row.secret, vault.place(row.org_id, row.id))
        except (KeyMissing, crypto.Rejected, keyring.BadKeys):
            lost.append(row.id)
    return tuple(lost)


def give_up(session: Session, by: Actor) -> int:
    """The keys are lost for good: forget every secret that nothing here opens, and let this machine's keys be the database's.

    The connections stay, without a secret. Returns how many were forgotten.
    """
    vault.nobody_seals(session)
    keyring.create()
    ring = keyring.keyring()
    lost = unopenable(session)
    forgotten = {"secret": None, "key_id": None, "hint": None, "state": ConnectionState.UNTESTED.value, "said": None}
    if lost:
        session.execute(update(Connection).where(Connection.id.in_(lost)).values(forgotten | {"version": Connection.version + 1}))
    values = {"to_key": ring.current, "by": by.label, "finished_at": clock.now(), "left": {}}
    made = session.execute(insert(KeyRotation).values(values).returning(KeyRotation.id)).scalar_one()
    _tell(session, "keys.reset", f"{by.label} gave up {len(lost):,} stored secrets whose keys are lost.", by, made,
          {"forgotten": len(lost), "to": ring.current})  # fmt: skip
    return len(lost)
