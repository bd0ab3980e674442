"""The one way to the database: a transaction opened at the edge, with its organisation set.

Row-level security reads two settings that live exactly as long as the transaction: `app.scope` (`staff`
sees every organisation) and `app.org_id` (sees one). Neither set sees nothing.
"""

import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DisconnectionError, OperationalError, PendingRollbackError
from sqlalchemy.orm import DeclarativeBase, Session

from core.config import get_settings
from core.errors import OpsError, Unavailable
from core.kit.roles import APP_ROLE as APP_ROLE


class Staff:
    """The scope of the agency's own people and workers: every organisation."""

    def __repr__(self) -> str:
        return "STAFF"


STAFF: Final = Staff()
Scope = Staff | UUID


class Base(DeclarativeBase):
    """Base of every model."""


def sqlalchemy_url(url: str) -> str:
    """`postgres://` and `postgresql://` URLs as SQLAlchemy wants them for psycopg 3."""
    for prefix in ("postgresql+psycopg://", "postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url[len(prefix) :]
    raise OpsError(
        "DATABASE_URL is not a PostgreSQL address.",
        "It should look like postgresql://user:password@host:5432/name, or be left out to use the embedded server.",
    )


@lru_cache(maxsize=4)
def _engine_for(url: str, pid: int) -> Engine:
    made = create_engine(
        sqlalchemy_url(url),
        pool_size=5,
        max_overflow=15,
        pool_recycle=1800,
        connect_args={"connect_timeout": 5, "options": "-c lock_timeout=10s -c idle_in_transaction_session_timeout=120s"},
    )

    @event.listens_for(made, "connect")
    def become_app_role(connection: Any, _record: Any) -> None:
        # a login that owns the tables would bypass row-level security: always step down to the app's role
        if connection.info.user != APP_ROLE:
            with connection.cursor() as cursor:
                cursor.execute(f"SET ROLE {APP_ROLE}")
            connection.commit()

    _drop_the_closed(made)
    _know_the_dead(made)
    return made


def _know_the_dead(made: Engine) -> None:
    """A backend that was told to end says so before its connection is seen to be closed: it counts as lost from then on."""
    from psycopg import errors

    @event.listens_for(made, "handle_error")
    def shut_down(context: Any) -> None:
        if isinstance(context.original_exception, errors.AdminShutdown | errors.CrashShutdown):
            context.is_disconnect = True


def _drop_the_closed(made: Engine) -> None:
    """Look at a pooled connection's socket before it is used: only a server that has ended speaks unasked.

    That costs no round trip, as a ping would. What ends between this look and the first statement is caught there.
    """

    @event.listens_for(made, "checkout")
    def look(connection: Any, _record: Any, _proxy: Any) -> None:
        poll = select.poll()
        if not connection.closed:
            poll.register(connection.fileno(), select.POLLIN)
        if connection.closed or poll.poll(0):
            raise DisconnectionError  # the pool drops it and makes another


def engine() -> Engine:
    """This process's engine (a forked child gets its own). Raises OpsError when there is no database to talk to."""
    url = get_settings().database_url
    if not url:
        raise Unavailable(
            "ManageAI Ops is not running, so there is no database to ask.",
            "Start it with `make run`, or set DATABASE_URL.",
        )
    return _engine_for(url, os.getpid())


def after_commit(session: Session, call: Callable[[], None]) -> None:
    """Run `call` once the transaction has committed; dropped when it rolls back."""
    session.info.setdefault("after_commit", []).append(call)


_SET_SCOPE = text("SELECT set_config('app.scope', :scope, true), set_config('app.org_id', :org, true)")


def _set_scope(session: Session, scope: Scope) -> None:
    is_staff = isinstance(scope, Staff)
    values = {"scope": "staff" if is_staff else "org", "org": "" if is_staff else str(scope)}
    try:
        session.execute(_SET_SCOPE, values)
    except OperationalError as error:
        if not error.connection_invalidated:
            raise
        session.rollback()  # the connection had died while it rested; nothing was done on it yet, so a new one begins
        session.execute(_SET_SCOPE, values)


@contextmanager
def transaction(scope: Scope) -> Iterator[Session]:
    """One transaction: commits at the end, rolls back on any exception, then runs the after-commit calls.

    `scope` is STAFF or the id of one organisation. Raises Unavailable when the database does not answer.
    """
    session = Session(engine(), expire_on_commit=False)
    try:
        _set_scope(session, scope)
        yield session
        session.commit()
    except OperationalError as error:
        session.rollback()
        if error.connection_invalidated or "connection" in str(error.orig):
            raise Unavailable(
                "The database does not answer.", "Check `ops status`; a change that was being saved was not made."
            ) from error
        raise
    except PendingRollbackError as error:  # somebody swallowed the loss of the connection, and went on
        session.rollback()
        raise Unavailable(
            "The database does not answer.", "Check `ops status`; a change that was being saved was not made."
        ) from error
    except BaseException:
        session.rollback()
        raise
    finally:
        session.close()
    for call in session.info.get("after_commit", ()):
        call()
