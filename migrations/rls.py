"""Row-level security for a tenant table: one policy, the same everywhere."""

from alembic import op

APP_ROLE = "ops_app"

# scalar sub-selects, so that PostgreSQL reads each setting once per statement and not once per row
_SEES = (
    "(SELECT current_setting('app.scope', true)) = 'staff' "
    "OR {column} = (SELECT nullif(current_setting('app.org_id', true), '')::uuid)"
)


def protect(table: str, column: str = "org_id", *, append_only: bool = False) -> None:
    """Force the tenant policy on `table` and let the app's role use it; only add and read when it is `append_only`."""
    sees = _SEES.format(column=column)
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON {table} USING ({sees}) WITH CHECK ({sees})")
    grant(table, "SELECT, INSERT" if append_only else "SELECT, INSERT, UPDATE, DELETE")


def grant(table: str, rights: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
    """Let the app's role read and write `table`."""
    op.execute(f"GRANT {rights} ON {table} TO {APP_ROLE}")


def ensure_app_role() -> None:
    """The role the app works as. It can't sign in by itself unless the installation gave it a password."""
    op.execute(
        f"DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN "
        f"CREATE ROLE {APP_ROLE} NOLOGIN NOSUPERUSER NOBYPASSRLS; END IF; END $$"
    )
    op.execute(
        f"DO $$ BEGIN IF NOT pg_has_role(current_user, '{APP_ROLE}', 'SET') THEN "
        f"EXECUTE format('GRANT {APP_ROLE} TO %I', current_user); END IF; "
        "EXCEPTION WHEN invalid_parameter_value THEN EXECUTE "
        f"format('GRANT {APP_ROLE} TO %I', current_user); END $$"
    )
    op.execute(f"GRANT USAGE ON SCHEMA public TO {APP_ROLE}")
