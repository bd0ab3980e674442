"""Connections and keys, for pages and commands. No secret leaves from here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, func, select
from sqlalchemy.orm import Session

from core.runtime.connections.models import Connection, ConnectionState, KeyRotation
from core.runtime.orgs.models import AGENCY_ID as AGENCY_ID

ENVIRONMENT: Final = "environment"
"""The name of a connection that came from environment variables."""
MAIN: Final = "main"
_SHOWN = (
    Connection.id, Connection.org_id, Connection.vendor, Connection.name, Connection.config, Connection.key_id, Connection.hint,
    Connection.state, Connection.tested_at, Connection.said, Connection.version, Connection.edited_by, Connection.edited_at,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """A connection as people see it. `hint` is the end of its secret; `key_id` is None when it has none."""

    id: int
    org_id: UUID
    vendor: str
    name: str
    config: dict[str, Any]
    key_id: str | None
    hint: str | None
    state: str
    tested_at: datetime | None
    said: str | None
    version: int
    edited_by: str
    edited_at: datetime

    @property
    def has_secret(self) -> bool:
        """Whether a secret is stored."""
        return self.key_id is not None

    @property
    def is_failing(self) -> bool:
        """Whether its last test went wrong."""
        return self.state == ConnectionState.FAILING

    @property
    def from_environment(self) -> bool:
        """Whether environment variables made it."""
        return self.name == ENVIRONMENT


def _view(row: RowMapping) -> ConnectionView:
    return ConnectionView(**{str(name): value for name, value in row.items()})


def _in_order(found: Sequence[ConnectionView]) -> list[ConnectionView]:
    # what a person entered wins over the environment
    return sorted(found, key=lambda c: (c.vendor, str(c.org_id), c.from_environment, c.name != MAIN, c.id))


def connections(session: Session, org_id: UUID | None = None) -> list[ConnectionView]:
    """All connections, or one organisation's; of several at one vendor the one that is used comes first."""
    statement = select(*_SHOWN)
    if org_id is not None:
        statement = statement.where(Connection.org_id == org_id)
    return _in_order([_view(row) for row in session.execute(statement).mappings()])


def connection(session: Session, connection_id: int) -> ConnectionView | None:
    """One connection."""
    row = session.execute(select(*_SHOWN).where(Connection.id == connection_id)).mappings().first()
    return _view(row) if row else None


def key_counts(session: Session) -> dict[str, int]:
    """Stored secrets by the id of their key."""
    rows = session.execute(
        select(Connection.key_id, func.count()).where(Connection.secret.is_not(None)).group_by(Connection.key_id)
    )
    return {str(key_id): many for key_id, many in rows}


@dataclass(frozen=True, slots=True)
class RotationView:
    """Evidence of one rotation. `left` counts secrets under other keys when it ended; `finished_at` is None while it goes on."""

    to_key: str
    rows: int
    left: dict[str, int]
    by: str
    started_at: datetime
    finished_at: datetime | None


def rotations(session: Session, limit: int = 20) -> list[RotationView]:
    """Rotations, the newest first. The first of all is when the first key came into use."""
    found = session.scalars(select(KeyRotation).order_by(KeyRotation.id.desc()).limit(limit))
    return [RotationView(r.to_key, r.rows, dict(r.left or {}), r.by, r.started_at, r.finished_at) for r in found]
