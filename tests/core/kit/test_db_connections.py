"""Pooled connections: asked whether they live after a pause only, and replaced when they do not."""

import time

import psycopg
import pytest
from sqlalchemy import text

from core.config import get_settings
from core.errors import Unavailable
from core.kit import db as database
from core.kit.db import PING_AFTER_S, STAFF


def _pid():
    with database.transaction(STAFF) as session:
        return session.execute(text("SELECT pg_backend_pid()")).scalar_one()


def _cut(pid):
    with psycopg.connect(str(get_settings().database_admin_url), autocommit=True) as owner:
        owner.execute("SET ROLE ops_app")
        owner.execute("SELECT pg_terminate_backend(%s)", (pid,))


def test_a_connection_that_died_while_it_rested_is_replaced_unseen(db):
    first = _pid()
    _cut(first)
    rested = time.monotonic() + PING_AFTER_S
    while time.monotonic() < rested:
        time.sleep(0.05)
    assert _pid() != first


def test_one_that_died_between_two_transactions_costs_one_sentence(db):
    first = _pid()
    assert _pid() == first
    _cut(first)
    with pytest.raises(Unavailable, match="The database does not answer"):
        _pid()
    assert _pid() != first
