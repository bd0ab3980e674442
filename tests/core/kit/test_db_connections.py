"""Pooled connections: looked at before they are used, and replaced when they have ended."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import time_machine
from sqlalchemy import text

from core.config import get_settings
from core.errors import Unavailable
from core.kit import db as database
from core.kit.db import STAFF


@pytest.fixture(autouse=True)
def one_connection(db):
    """Which of several resting connections comes next is the pool's affair; these tests need there to be one."""
    database.engine().dispose()


def _pid():
    with database.transaction(STAFF) as session:
        return session.execute(text("SELECT pg_backend_pid()")).scalar_one()


def _cut(pid):
    with psycopg.connect(str(get_settings().database_admin_url), autocommit=True) as owner:
        owner.execute("SET ROLE ops_app")
        owner.execute("SELECT pg_terminate_backend(%s)", (pid,))


def test_connections_that_died_while_they_rested_are_all_replaced_unseen(db):
    """All at once, as when the server was restarted, and made while the machine's clock ran ahead, so that the pool takes
    them for newer than the loss of the first: no transaction afterwards may meet one of them."""
    together = threading.Barrier(3)

    def hold(_):
        with database.transaction(STAFF) as session:
            together.wait()
            return session.execute(text("SELECT pg_backend_pid()")).scalar_one()

    with time_machine.travel("2030-01-01"), ThreadPoolExecutor(3) as pool:
        before = set(pool.map(hold, range(3)))
    for pid in before:
        _cut(pid)
    after = {_pid() for _ in range(3)}
    assert len(before) == 3
    assert before & after == set()


def test_one_that_died_between_two_transactions_is_replaced_unseen(db):
    first = _pid()
    assert _pid() == first
    _cut(first)
    assert _pid() != first


def test_one_that_dies_within_a_transaction_costs_one_sentence(db):
    def cut_in_the_middle():
        with database.transaction(STAFF) as session:
            _cut(session.execute(text("SELECT pg_backend_pid()")).scalar_one())
            session.execute(text("SELECT 1"))

    with pytest.raises(Unavailable, match="The database does not answer"):
        cut_in_the_middle()
    assert _pid()


def test_one_that_dies_unnoticed_within_a_transaction_costs_the_same_sentence(db):
    """Somebody swallowed the loss, and what comes next meets a transaction that can't go on."""
    import contextlib

    def cut_in_the_middle():
        with database.transaction(STAFF) as session:
            _cut(session.execute(text("SELECT pg_backend_pid()")).scalar_one())
            with contextlib.suppress(Exception):
                session.execute(text("SELECT 1"))
            session.execute(text("SELECT 2"))

    with pytest.raises(Unavailable, match="The database does not answer"):
        cut_in_the_middle()
    assert _pid()
