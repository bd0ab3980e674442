"""Do the keys here open what is stored? Asked before anything starts, so without the ORM."""

from collections.abc import Iterable
from typing import Final, cast
from uuid import UUID

import psycopg

from core.kit import crypto, keyring

SAMPLES: Final = """
    SELECT DISTINCT ON (key_id) id, org_id, secret FROM public.connections WHERE secret IS NOT NULL ORDER BY key_id, id
"""
"""One stored secret of each key."""
_NEWEST: Final = "SELECT to_key FROM public.key_rotations ORDER BY id DESC LIMIT 1"


def open_samples(rows: Iterable[tuple[int, UUID, bytes]]) -> int:
    """Open these and forget them; returns how many there were. Raises KeyMissing, BadKeys, crypto.Rejected."""
    many = 0
    for connection_id, org_id, secret in rows:
        many += 1
        crypto.open_(bytes(secret), crypto.Where(org_id, "connections", "secret", connection_id))
    return many


def before_start(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Refuse to start without the keys of what is stored; make keys where nothing is stored and there are none."""
    connection.execute("SELECT set_config('app.scope', 'staff', true)")
    rows = cast("list[tuple[int, UUID, bytes]]", connection.execute(SAMPLES).fetchall())
    if not rows:
        keyring.create()
    ring = keyring.keyring()
    newest = connection.execute(_NEWEST).fetchone() if open_samples(rows) else None
    if newest is not None and newest[0] not in ring.ids:
        raise keyring.KeyMissing(f"The newest key {newest[0]} of this database is not in {ring.source}.", keyring.SEE_DOCTOR)
