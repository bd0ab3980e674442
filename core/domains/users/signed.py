"""Signed requests from outside are taken once: a replay finds that it was there before."""

from hashlib import sha256

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.domains.users.models import SignedRequest

KEPT = text("interval '8 days'")
"""Vendors send an unanswered message again for some days; a signature itself is stale after minutes."""


def take(session: Session, source: str, key: str) -> bool:
    """True the first time. Call it in the transaction that acts on the request: what fails may be sent again.

    Of two at once the second waits for the first.
    """
    put = insert(SignedRequest).values(source=source, key=sha256(key.encode()).hexdigest()).on_conflict_do_nothing()
    fresh = session.execute(put.returning(SignedRequest.key)).first() is not None
    if fresh:
        _forget_old(session)
    return fresh


def _forget_old(session: Session) -> None:
    old = (
        select(SignedRequest.source, SignedRequest.key)
        .where(SignedRequest.at < func.clock_timestamp() - KEPT)
        .limit(100)
        .with_for_update(skip_locked=True)
        .subquery()
    )
    session.execute(delete(SignedRequest).where(SignedRequest.source == old.c.source, SignedRequest.key == old.c.key))
