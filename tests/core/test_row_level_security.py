"""Every tenant table is behind its policy: the catalogue says so, rows behave so, and any weakening turns this red."""

import itertools
import re
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Date,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    Uuid,
    delete,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import ProgrammingError

from core.config import get_settings
from core.kit import db as database
from core.kit.db import APP_ROLE, STAFF
from core.models import SHARED_TABLES, metadata
from migrations import rls
from tests.cast import CORNERSTONE_ORG, NORTHWIND_ORG

TENANT = [t for t in metadata.sorted_tables if t.name not in SHARED_TABLES]
WRITES = {"SELECT", "INSERT", "UPDATE", "DELETE"}
APPEND_ONLY = {"audit_entries"}


@pytest.fixture
def owner():
    """A connection as the tables' owner, in a transaction that is rolled back."""
    with psycopg.connect(str(get_settings().database_admin_url)) as connection:
        connection.execute("SET lock_timeout = '10s'")
        yield connection
        connection.rollback()


def reference(connection) -> tuple[str, str]:
    """The policy as PostgreSQL prints it, for tables with org_id and for organisations; from a table made for it."""
    printed = []
    for column in ("org_id", "id"):
        connection.execute(f"CREATE TABLE reference_{column} ({column} uuid)")
        sees = rls._SEES.format(column=column)
        connection.execute(f"CREATE POLICY tenant ON reference_{column} USING ({sees}) WITH CHECK ({sees})")
        row = connection.execute("SELECT qual FROM pg_policies WHERE tablename = %s", [f"reference_{column}"]).fetchone()
        printed.append(row[0])
        connection.execute(f"DROP TABLE reference_{column}")
    return printed[0], printed[1]


def weak_spots(connection, expected: tuple[str, str]) -> list[str]:
    """Everything the catalogue shows to be wrong, in words."""
    found = []
    tables = connection.execute(
        "SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner), "
        "EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'org_id' AND NOT a.attisdropped) "
        "FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
    ).fetchall()
    policies: dict[str, list] = {}
    for name, *policy in connection.execute(
        "SELECT tablename, permissive, roles::text, cmd, qual, with_check FROM pg_policies WHERE schemaname = 'public'"
    ):
        policies.setdefault(name, []).append(tuple(policy))
    for name, enabled, forced, owned_by, has_org in tables:
        if owned_by == APP_ROLE:
            found.append(f"{name} is owned by {APP_ROLE}")
        if name in SHARED_TABLES and not has_org:
            continue
        sees = expected[1] if name == "organisations" else expected[0]
        if not has_org and name != "organisations":
            found.append(f"{name} has no org_id and is not in SHARED_TABLES")
        if not (enabled and forced):
            found.append(f"{name} does not force row-level security")
        if policies.get(name) != [("PERMISSIVE", "{public}", "ALL", sees, sees)]:
            found.append(f"{name} does not have exactly the tenant policy")
    return found + weak_rights(connection)


def weak_rights(connection) -> list[str]:
    """Ways around the policies: rights, roles, views and functions."""
    found = []
    for name, right in connection.execute(
        "SELECT table_name, privilege_type FROM information_schema.role_table_grants "
        "WHERE table_schema = 'public' AND grantee IN (%s, 'PUBLIC')",
        [APP_ROLE],
    ):
        if right not in WRITES:
            found.append(f"{APP_ROLE} may {right} {name}, which no policy stops")
    for role, superuser, bypass in connection.execute(
        "SELECT r.rolname, r.rolsuper, r.rolbypassrls FROM pg_roles r WHERE pg_has_role(%s, r.oid, 'MEMBER')", [APP_ROLE]
    ):
        if superuser or bypass or role != APP_ROLE:
            found.append(f"{APP_ROLE} can become {role}")
    for (name,) in connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm') "
        "AND NOT coalesce('security_invoker=true' = ANY(reloptions), false)"
    ):
        found.append(f"the view {name} reads as its owner")
    for (name,) in connection.execute("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"):
        found.append(f"the function {name} runs as its owner")
    return found


def test_the_catalogue_is_sound_and_the_same_as_the_models(owner):
    assert weak_spots(owner, reference(owner)) == []
    known = {r[0] for r in owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert known == {t.name for t in metadata.tables.values()} | {"alembic_version"}
    assert not {t.name for t in metadata.tables.values() if "org_id" in t.c} & SHARED_TABLES


MUTATIONS = {
    "dropped": "DROP POLICY tenant ON {t}",
    "sees everything": "ALTER POLICY tenant ON {t} USING (true)",
    "writes anything": "ALTER POLICY tenant ON {t} WITH CHECK (true)",
    "no scope is everything": "ALTER POLICY tenant ON {t} USING (current_setting('app.scope', true) IS DISTINCT FROM 'org')",
    "for one command only": "DROP POLICY tenant ON {t}; CREATE POLICY tenant ON {t} FOR SELECT USING (true)",
    "a second, wider policy": "CREATE POLICY wider ON {t} USING (true)",
    "not forced": "ALTER TABLE {t} NO FORCE ROW LEVEL SECURITY",
    "switched off": "ALTER TABLE {t} DISABLE ROW LEVEL SECURITY",
    "truncatable": "GRANT TRUNCATE ON {t} TO ops_app",
    "owned by the app": "GRANT CREATE ON SCHEMA public TO ops_app; ALTER TABLE {t} OWNER TO ops_app",
}


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_weakening_any_policy_turns_the_check_red(owner, mutation):
    expected = reference(owner)
    for table in TENANT:
        owner.execute("SAVEPOINT before")
        for statement in MUTATIONS[mutation].split("; "):
            owner.execute(sql.SQL(statement).format(t=sql.Identifier(table.name)))
        assert any(table.name in spot for spot in weak_spots(owner, expected)), f"{mutation} on {table.name} went unseen"
        owner.execute("ROLLBACK TO SAVEPOINT before")


@pytest.mark.parametrize(
    "hole",
    [
        "CREATE TABLE public.secrets (id int)",
        "CREATE TABLE public.secrets (id int, org_id uuid)",
        "CREATE VIEW public.all_deals AS SELECT * FROM deals",
        "CREATE FUNCTION public.leak() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM deals'",
    ],
)
def test_new_holes_are_seen(owner, hole):
    expected = reference(owner)
    owner.execute(hole)
    assert weak_spots(owner, expected)


def test_the_app_works_as_a_role_that_cannot_get_around_it(db):
    with database.transaction(STAFF) as session:
        who = session.execute(
            text("SELECT current_user, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        ).one()
        assert tuple(who) == (APP_ROLE, False, False)
        with pytest.raises(ProgrammingError), session.begin_nested():
            session.execute(text("ALTER TABLE deals DISABLE ROW LEVEL SECURITY"))
        with pytest.raises(ProgrammingError), session.begin_nested():
            session.execute(text("TRUNCATE deals"))


def _allowed(table: Table, column: str) -> str | None:
    """The last value a `one_of` check lets into the column."""
    for constraint in table.constraints:
        if isinstance(constraint, CheckConstraint):
            match = re.match(rf"{column} IN \(.*'([^']*)'\)$", str(constraint.sqltext))
            if match:
                return match[1]
    return None


_numbers = itertools.count(1)


def _value(table: Table, column):
    kind = column.type
    made = {
        Boolean: False, Integer: next(_numbers), DateTime: datetime(2026, 11, 2, tzinfo=UTC), Date: date(2026, 11, 2), Float: 1.0,
        Numeric: 1, Uuid: uuid4(), ARRAY: [], JSONB: {}, LargeBinary: b"bytes",
    }  # fmt: skip
    for known, value in made.items():
        if isinstance(kind, known):
            return value
    return _allowed(table, column.name) or f"{column.name} {uuid4().hex}"


def _row(table: Table, org: UUID, made: dict[str, object]) -> dict[str, object]:
    """Values for one row: what has no default of its own, references to the organisation's own rows."""
    values: dict[str, object] = {}
    for column in table.columns:
        references = [k.column.table.name for k in column.foreign_keys]
        if column.name == "org_id" or (table.name == "organisations" and column.primary_key):
            values[column.name] = org
        elif references and not column.nullable:
            values[column.name] = made[references[0]]
        elif not (column.nullable or column.server_default is not None or column.identity is not None):
            values[column.name] = _value(table, column)
    return values


@pytest.fixture
def two_orgs(db):
    """One generated row in every tenant table for each of two clients."""
    ids: dict[UUID, dict[str, object]] = {}
    with database.transaction(STAFF) as session:
        for org in (CORNERSTONE_ORG, NORTHWIND_ORG):
            made = ids[org] = {}
            for table in TENANT:
                key = next(iter(table.primary_key.columns))
                made[table.name] = session.execute(insert(table).values(_row(table, org, made)).returning(key)).scalar_one()
    return ids


def _org_column(table: Table):
    return table.c.id if table.name == "organisations" else table.c.org_id


def test_each_scope_sees_its_own_rows_and_no_scope_sees_none(two_orgs):
    with database.transaction(STAFF) as session:
        for table in TENANT:
            seen = set(session.scalars(select(_org_column(table))))
            assert {CORNERSTONE_ORG, NORTHWIND_ORG} <= seen, table.name
    for org in (CORNERSTONE_ORG, NORTHWIND_ORG):
        with database.transaction(org) as session:
            for table in TENANT:
                assert set(session.scalars(select(_org_column(table)))) == {org}, table.name
    with database.engine().connect() as bare:
        for table in TENANT:
            assert bare.scalar(select(func.count()).select_from(table)) == 0, table.name
    with database.transaction(uuid4()) as session:
        for table in TENANT:
            assert session.scalar(select(func.count()).select_from(table)) == 0, table.name


@pytest.mark.parametrize("scope", ["", "staff ", "STAFF", "org", "none"])
def test_other_words_for_the_scope_see_nothing(two_orgs, scope):
    with database.engine().connect() as bare:
        bare.exec_driver_sql("SELECT set_config('app.scope', %s, true), set_config('app.org_id', '', true)", (scope,))
        for table in TENANT:
            assert bare.scalar(select(func.count()).select_from(table)) == 0, table.name


@pytest.mark.slow
def test_one_org_can_write_nothing_of_another(two_orgs):
    ours, theirs = CORNERSTONE_ORG, NORTHWIND_ORG
    with database.transaction(ours) as session:
        for table in TENANT:
            column = _org_column(table)
            foreign = _row(table, theirs, two_orgs[theirs]) | ({"id": uuid4()} if table.name == "organisations" else {})
            with pytest.raises(ProgrammingError, match="row-level security"), session.begin_nested():
                session.execute(insert(table).values(foreign))
            if table.name in APPEND_ONLY:
                for written in (table.update().values({column.name: ours}), delete(table)):
                    with pytest.raises(ProgrammingError, match="permission denied"), session.begin_nested():
                        session.execute(written)
                continue
            with pytest.raises(ProgrammingError, match="row-level security"), session.begin_nested():
                session.execute(table.update().where(column == ours).values({column.name: theirs}))
            for statement in (
                table.update().where(column == theirs).values({column.name: ours}),
                delete(table).where(column == theirs),
            ):
                assert session.execute(statement).rowcount == 0, table.name
    with database.transaction(STAFF) as session:
        for table in TENANT:
            assert theirs in set(session.scalars(select(_org_column(table)))), table.name


def test_the_scope_ends_with_its_transaction(two_orgs):
    with database.transaction(STAFF) as session:
        session.execute(select(func.count()).select_from(TENANT[0]))
    for _ in range(5):
        with database.engine().connect() as bare:
            assert bare.exec_driver_sql("SELECT coalesce(current_setting('app.scope', true), '')").scalar() == ""
