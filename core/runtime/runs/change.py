"""Has anything changed that a live page shows? One small query, however large the ledger is."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

# the newest run and event, every run that is under way with how far it is, the last edit of a schedule,
# and the newest line in anybody's bell, which need not come with an event
_MARK = text("""
    SELECT md5(concat_ws('|',
            (SELECT max(id) FROM runs),
            (SELECT max(id) FROM events),
            active.digest,
            (SELECT max(updated_at) FROM schedules),
            (SELECT max(id) FROM notifications))),
        active.n
    FROM (
        SELECT count(*) AS n,
            string_agg(
                concat_ws(',', id, state, attempts, progress, progress_note, cancel_requested_at), ';' ORDER BY id
            ) AS digest
        FROM runs WHERE state IN ('queued', 'running', 'waiting')
    ) AS active
""")


@dataclass(frozen=True, slots=True)
class Mark:
    """`version` differs when runs, events or schedules changed or somebody was told; `active` counts runs under way."""

    version: str
    active: int


def mark(session: Session) -> Mark:
    """The state of the ledger as one short word."""
    version, active = session.execute(_MARK).one()
    return Mark(str(version), int(active))
