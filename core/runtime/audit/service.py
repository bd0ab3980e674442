"""Writing and checking the audit chain."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.kit.actor import Actor
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs.outcome import to_json

_WRITE = text("""
    INSERT INTO audit_entries (org_id, seq, what, subject_type, subject_id, actor, detail, previous, hash)
    VALUES (CAST(:org_id AS uuid), 0, :what, :type, :id, :actor, CAST(:detail AS jsonb), '', '')
""")


def write(
    session: Session, what: str, subject: tuple[str, int], actor: Actor, detail: Mapping[str, Any] | None = None, *,
    org_id: UUID = AGENCY_ID,
) -> None:  # fmt: skip
    """Add an entry to the organisation's chain. Never a secret, never a whole message.

    It locks the chain until the transaction ends, so write it last.
    """
    values = {"what": what, "type": subject[0], "id": subject[1], "actor": actor.label, "detail": to_json(dict(detail or {}))}
    session.execute(_WRITE, values | {"org_id": org_id})


_BROKEN = text("""
    SELECT org_id, seq FROM (
        SELECT org_id, seq, hash, previous,
            lag(hash, 1, '') OVER chain AS before, lag(seq, 1, 0::bigint) OVER chain AS seq_before,
            audit_hash(previous, seq, what, subject_type, subject_id, actor, detail, at) AS wanted
        FROM audit_entries WINDOW chain AS (PARTITION BY org_id ORDER BY seq)
    ) entry WHERE hash <> wanted OR previous <> before OR seq <> seq_before + 1 ORDER BY org_id, seq LIMIT 20
""")


def broken(session: Session) -> list[tuple[UUID, int]]:
    """Where chains do not hold: (organisation, seq), at most 20. Empty is good."""
    return [(r.org_id, r.seq) for r in session.execute(_BROKEN)]
