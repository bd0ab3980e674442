"""Signed requests from outside are taken once: a replay finds that it was there before.

The nightly pruning forgets them after `REPLAY_DAYS` of `core/runtime/retention/jobs.py`.
"""

from hashlib import sha256

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.domains.users.models import SignedRequest


def take(session: Session, source: str, key: str) -> bool:
    """True the first time. Call it in the transaction that acts on the request: what fails may be sent again.

    Of two at once the second waits for the first.
    """
    put = insert(SignedRequest).values(source=source, key=sha256(key.encode()).hexdigest()).on_conflict_do_nothing()
    return session.execute(put.returning(SignedRequest.key)).first() is not None
