"""Each revision goes up, down and up again with data in it, and the tables end up as the models say."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from core.kit.db import sqlalchemy_url
from core.models import metadata

EXPRESSION_INDEXES = {"deals_by_value", "deals_listed"}


@pytest.fixture
def own_database() -> Iterator[str]:
    """An empty database of this test's own; its owner's URL."""
    owner_url = os.environ["DATABASE_ADMIN_URL"]
    base, _, name = owner_url.rpartition("/")
    mine = f"{name}_migrations"
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {mine} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {mine}")
    yield f"{base}/{mine}"
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {mine} WITH (FORCE)")


def config_for(url: str) -> Config:
    config = Config("alembic.ini")
    config.attributes["url"] = url
    return config


def fill(url: str) -> None:
    """A few rows in tables that others point to, unicode and long text included."""
    agency = "00000000-0000-4000-8000-000000000001"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET row_security = off")
        connection.execute(
            "INSERT INTO users (org_id, email, name, role) VALUES (%s, 'dave@manageai.example', 'Dave', 'admin')", (agency,)
        )
        connection.execute(
            "INSERT INTO runs (org_id, kind, name, queue, payload) SELECT %s, 'probe.noop', 'Köln ✓ ' || n, 'background', "
            "jsonb_build_object('text', repeat('x', 1000)) FROM generate_series(1, 200) n",
            (agency,),
        )


def test_there_is_one_head():
    assert len(ScriptDirectory.from_config(config_for("")).get_heads()) == 1


def test_up_down_up_with_data(own_database):
    config = config_for(own_database)
    command.upgrade(config, "head")
    fill(own_database)
    revisions = list(ScriptDirectory.from_config(config).walk_revisions())
    for revision in revisions:
        command.downgrade(config, revision.down_revision or "base")
    engine = create_engine(sqlalchemy_url(own_database))
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    for revision in reversed(revisions):
        command.upgrade(config, revision.revision)
    fill(own_database)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM runs").scalar_one() == 200
    engine.dispose()


def test_the_tables_are_what_the_models_say(own_database):
    command.upgrade(config_for(own_database), "head")
    engine = create_engine(sqlalchemy_url(own_database))
    with engine.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
    engine.dispose()
    assert [d for d in difference if not _is_expression_index(d)] == []


def _is_expression_index(difference: Any) -> bool:
    """PostgreSQL gives an index over an expression back in other words, so the two texts can't be compared."""
    return isinstance(difference, tuple) and difference[0].endswith("_index") and difference[1].name in EXPRESSION_INDEXES


def test_two_migrators_at_once_are_as_good_as_one(own_database):
    argv = [sys.executable, "-m", "alembic", "upgrade", "head"]
    environment = {**os.environ, "DATABASE_ADMIN_URL": own_database}
    both = [subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE) for _ in range(2)]
    errors = [p.communicate(timeout=60)[1] for p in both]
    assert [p.returncode for p in both] == [0, 0], errors
    with psycopg.connect(own_database) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
