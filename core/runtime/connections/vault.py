"""Where connections' secrets are sealed and opened, and which keys may do it here."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import exists, insert, select, text
from sqlalchemy.orm import Session

from core.kit import clock, crypto, keyring
from core.kit.keyring import BadKeys, KeyMissing, Keyring
from core.runtime.connections.models import Connection, KeyRotation

__all__ = ["KeyMissing", "place", "ring_for", "seal", "unseal"]
_KEYS_LOCK: Final = 7210031
_HINT_FROM: Final = 12
"""A shorter secret shows no end of itself."""
_SHARED, _ALONE = text("SELECT pg_advisory_xact_lock_shared(:k)"), text("SELECT pg_advisory_xact_lock(:k)")


def place(org_id: UUID, connection_id: int) -> crypto.Where:
    """What a connection's secret is bound to."""
    return crypto.Where(org_id, Connection.__tablename__, "secret", connection_id)


def nobody_seals(session: Session) -> None:
    """Wait until every secret that is being sealed is committed, and let nobody seal until the transaction ends."""
    session.execute(_ALONE, {"k": _KEYS_LOCK})


def ring_for(session: Session) -> Keyring:
    """The keys to seal with, made when this is the very first secret.

    Raises KeyMissing, or BadKeys when this machine has keys of its own that the database does not know: what it sealed
    nobody else could open.
    """
    # a key is dropped only when nobody holds this: so no secret is sealed with a key that is gone when it commits
    session.execute(_SHARED, {"k": _KEYS_LOCK})
    newest = session.scalar(select(KeyRotation.to_key).order_by(KeyRotation.id.desc()).limit(1))
    sealed = session.scalar(select(exists().where(Connection.secret.is_not(None))))
    if not sealed:
        keyring.create()
    ring = keyring.keyring()
    if newest is None or (newest not in ring.ids and not sealed):
        values = {"to_key": ring.current, "by": "System", "finished_at": clock.now(), "left": {}}
        session.execute(insert(KeyRotation).values(values))
    elif newest not in ring.ids:
        raise BadKeys(f"{ring.source} does not hold {newest}, the newest key of this database.", keyring.SEE_DOCTOR)
    return ring


def seal(session: Session, org_id: UUID, connection_id: int, secret: str) -> dict[str, object]:
    """The columns that hold this secret of this connection."""
    cipher, key_id = crypto.seal(secret, place(org_id, connection_id), ring_for(session))
    return {"secret": cipher, "key_id": key_id, "hint": secret[-4:] if len(secret) >= _HINT_FROM else None}


def unseal(session: Session, connection_id: int, read: Any = None) -> str:
    """The connection's secret, "" when it has none. `read` is its row, if it was read just now (org_id, secret).

    Raises KeyMissing, crypto.Rejected.
    """
    statement = select(Connection.org_id, Connection.secret).where(Connection.id == connection_id)
    for last in (False, True):
        row = read if read is not None and not last else session.execute(statement).one()
        if row.secret is None:
            return ""
        try:
            return crypto.open_(row.secret, place(row.org_id, connection_id))
        except KeyMissing:
            # a rotation may have sealed it anew and its old key been dropped since we read it
            if last:
                raise
    raise AssertionError
