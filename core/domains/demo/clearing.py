"""Removes the demo and nothing else: whatever the agency's own records still refer to stays.

The tables and their foreign keys are read from the database, so a new table that has a `demo` column is covered at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from graphlib import TopologicalSorter

from sqlalchemy import text
from sqlalchemy.orm import Session

_TABLES = text("""
    SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE a.attname = 'demo' AND NOT a.attisdropped AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
""")
_KEYS = text("""
    SELECT child.relname AS child, a.attname AS child_column, parent.relname AS parent, p.attname AS parent_column,
        k.confdeltype = 'n' AS nulled
    FROM pg_constraint k
    JOIN pg_class child ON child.oid = k.conrelid JOIN pg_class parent ON parent.oid = k.confrelid
    JOIN pg_attribute a ON a.attrelid = child.oid AND a.attnum = k.conkey[1]
    JOIN pg_attribute p ON p.attrelid = parent.oid AND p.attnum = k.confkey[1]
    WHERE k.contype = 'f' AND child.relnamespace = 'public'::regnamespace
""")
_FREED = "runs"
"""A reference to a demo run that can be set to null is: a draft must not keep the run alive that once wrote it."""


_STAYS = {"user_sessions": "true", "users": "t.password_hash IS NOT NULL"}
"""Rows that stay although they are marked: somebody signed in as one of the demo's people, or gave them a password."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """Rows removed and rows kept, by table. Kept ones are those that records of the agency's own refer to."""

    removed: dict[str, int]
    kept: dict[str, int]


def clear(session: Session, progress: Callable[[float, str], None] | None = None) -> Cleared:
    """Remove the demo's rows, children before parents, in the caller's transaction."""
    tables = set(session.scalars(_TABLES))
    keys = [k for k in session.execute(_KEYS).all() if k.parent in tables]
    order: TopologicalSorter[str] = TopologicalSorter({t: set() for t in tables})
    for key in keys:
        if key.child in tables and key.child != key.parent:
            order.add(key.parent, key.child)
    removed: dict[str, int] = {}
    kept: dict[str, int] = {}
    for done, table in enumerate(order.static_order()):
        if progress is not None:
            progress(done / len(tables), table)
        referring = [k for k in keys if k.parent == table and k.child != table and not (table == _FREED and k.nulled)]
        # names come from the catalogue, not from people
        still = "".join(
            f' AND NOT EXISTS (SELECT 1 FROM "{k.child}" c WHERE c."{k.child_column}" = t."{k.parent_column}")'  # noqa: S608
            for k in referring
        )
        if table in _STAYS:
            still += f" AND NOT ({_STAYS[table]})"
        removing = f'WITH gone AS (DELETE FROM "{table}" t WHERE t.demo{still} RETURNING 1) SELECT count(*) FROM gone'  # noqa: S608
        gone = session.execute(text(removing)).scalar_one()
        left = session.scalar(text(f'SELECT count(*) FROM "{table}" WHERE demo')) or 0  # noqa: S608
        removed[table], kept[table] = gone, left
    return Cleared({t: n for t, n in removed.items() if n}, {t: n for t, n in kept.items() if n})
