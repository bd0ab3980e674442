"""Ask a vendor whether a connection works. The call is made between two transactions, never inside one."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.errors import OpsError, Unavailable
from core.kit import db, log
from core.kit.actor import Actor
from core.runtime.connections import service, vendors

logger = log.get(__name__)
Transaction = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of it, as a sentence. `kept` is False when the connection was changed meanwhile: then it says nothing of it."""

    works: bool
    said: str
    kept: bool


def check(connection_id: int, by: Actor, *, transaction: Transaction | None = None) -> Tested:
    """Test a connection and keep what it said. Nothing is sent to anybody. Raises NotFound, KeyMissing, Rejected."""
    opened: Transaction = transaction or (lambda: db.transaction(db.STAFF))
    with opened() as session:
        version = service.version_of(session, connection_id)
        account = service.open_account(session, connection_id, "test of the connection", by=by)
    vendor = vendors.get(account.vendor)
    try:
        works, said = True, vendor.check(account.config, account.secret)
    except OpsError as error:
        works, said = False, str(error)
    except Exception as error:  # noqa: BLE001 - what a connector did not foresee; the person still learns that it did not work
        logger.warning("connection.test_failed", vendor=vendor.key, error=type(error).__name__)
        works, said = False, str(Unavailable(f"{vendor.title} could not be asked ({type(error).__name__}).", "Try again."))
    if account.secret:
        said = said.replace(account.secret, "…")
    with opened() as session:
        kept = service.record_test(session, connection_id, version, works=works, said=said)
    return Tested(works, said, kept)
