"""Backup and restore: identical rows after a round trip, all or nothing, and a sentence for whatever is wrong."""

import os
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from core.config import get_settings
from core.errors import OpsError
from core.kit import dump, schema
from core.kit.db import STAFF, transaction
from tests.app.commands.conftest import run
from tests.cast import make_cast

pytestmark = pytest.mark.usefixtures("db")


def admin_url() -> str:
    return str(get_settings().database_admin_url)


@pytest.fixture
def empty_database() -> str:
    """The address of a second database with nothing in it."""
    name = f"ops_restore_{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}"
    with psycopg.connect(admin_url(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return admin_url().rsplit("/", 1)[0] + "/" + name


def everything(url: str) -> dict[str, tuple[int, str]]:
    """Rows and their digest of every table."""
    with psycopg.connect(url) as connection:
        names = [
            str(row[0])
            for row in connection.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            )
        ]
        connection.execute("SET row_security = off")
        found = {}
        for name in names:
            digest = sql.SQL("SELECT count(*), coalesce(md5(string_agg(t::text, '' ORDER BY t::text)), '') FROM {} t")
            row = connection.execute(digest.format(sql.Identifier(name))).fetchone()
            assert row
            found[name] = (int(row[0]), str(row[1]))
        return found


def fill() -> None:
    with transaction(STAFF) as session:
        make_cast(session)


def nothing(_table: str, _share: float) -> None:
    """No progress bar."""


def test_round_trip_keeps_every_row_grant_and_policy(tmp_path: Path, empty_database: str) -> None:
    fill()
    file = tmp_path / "ops.backup"
    shares: list[float] = []
    size = dump.backup(admin_url(), file, force=False, progress=lambda _t, share: shares.append(share))
    assert size == file.stat().st_size
    assert shares[-1] == 1.0
    assert shares == sorted(shares)

    assert dump.restore(empty_database, file, force=False, progress=nothing) == schema.head()

    before = everything(admin_url())
    assert before["users"][0] == 5
    assert everything(empty_database) == before
    with psycopg.connect(empty_database) as connection:
        connection.execute("SET ROLE ops_app")
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (0,), "no organisation set must see nothing"
        connection.execute("SELECT set_config('app.scope', 'staff', true)")
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (5,)
        connection.execute(
            "INSERT INTO users (org_id, email, name, role) SELECT org_id, 'a@b.example', 'Tony', 'sales' FROM users LIMIT 1"
        )
    assert [p for p in tmp_path.iterdir() if p != file] == []


def test_an_owner_that_is_no_superuser_backs_up_and_restores_protected_tables(tmp_path: Path, empty_database: str) -> None:
    with psycopg.connect(admin_url(), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS plain_owner")
        connection.execute("CREATE ROLE plain_owner LOGIN PASSWORD 'plain' CREATEROLE")
        connection.execute("GRANT ops_app TO plain_owner WITH ADMIN OPTION")
        name = sql.Identifier(empty_database.rsplit("/", 1)[1])
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO plain_owner").format(name))
    plain = "postgresql://plain_owner:plain@" + empty_database.split("@", 1)[1]
    try:
        fill()
        first = tmp_path / "first.backup"
        dump.backup(admin_url(), first, force=False, progress=nothing)
        dump.restore(plain, first, force=False, progress=nothing)
        second = tmp_path / "second.backup"
        dump.backup(plain, second, force=False, progress=nothing)
        dump.restore(plain, second, force=True, progress=nothing)
        assert everything(empty_database) == everything(admin_url())
    finally:
        with psycopg.connect(admin_url(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            connection.execute("DROP ROLE plain_owner")


def test_neither_overwrites_without_force(tmp_path: Path) -> None:
    fill()
    file = tmp_path / "ops.backup"
    assert run("backup", str(file)).exit_code == 0
    was = file.read_bytes()
    with pytest.raises(OpsError, match="already there"):
        dump.backup(admin_url(), file, force=False, progress=nothing)
    assert file.read_bytes() == was
    with pytest.raises(OpsError, match="not empty"):
        dump.restore(admin_url(), file, force=False, progress=nothing)
    assert run("backup", str(file), "--force").exit_code == 0

    before = everything(admin_url())
    with transaction(STAFF) as session:
        session.execute(__import__("sqlalchemy").text("DELETE FROM users WHERE name = 'Tony'"))
    assert everything(admin_url()) != before
    assert run("restore", str(file), "--force").exit_code == 0
    assert everything(admin_url()) == before


def test_a_damaged_or_foreign_file_changes_nothing(tmp_path: Path) -> None:
    fill()
    good = tmp_path / "good.backup"
    dump.backup(admin_url(), good, force=False, progress=nothing)
    before = everything(admin_url())
    cut = tmp_path / "cut.backup"
    cut.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    foreign = tmp_path / "notes.txt"
    foreign.write_text("hello")
    for file in (cut, foreign, tmp_path / "missing", tmp_path):
        with pytest.raises(OpsError) as caught:
            dump.restore(admin_url(), file, force=True, progress=nothing)
        assert caught.value.next_step
        assert everything(admin_url()) == before


def test_a_backup_of_an_unknown_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ops.backup"
    dump.backup(admin_url(), file, force=False, progress=nothing)
    monkeypatch.setattr(schema, "known", lambda: {"0000"})
    with pytest.raises(OpsError, match="another version"):
        dump.restore(admin_url(), file, force=True, progress=nothing)


def test_a_failed_backup_leaves_no_file(tmp_path: Path) -> None:
    url = os.environ["DATABASE_URL"].replace("ops_app", "nobody_here")
    file = tmp_path / "ops.backup"
    with pytest.raises(OpsError, match="can't be used"):
        dump.backup(url, file, force=False, progress=nothing)
    # the app's own role may not read the schema's every corner, so pg_dump fails half-way
    with pytest.raises(OpsError, match="pg_dump failed"):
        dump.backup(os.environ["DATABASE_URL"], file, force=False, progress=nothing)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OpsError, match="can't be written"):
        dump.backup(admin_url(), tmp_path / "no" / "folder", force=False, progress=nothing)
