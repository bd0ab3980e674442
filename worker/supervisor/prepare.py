"""What a database needs before the processes can work with it: schema, an admin, the built-in schedules, the demo.

The supervisor only takes a quick look itself. The rest is done by `python -m worker.supervisor.prepare`, a process that
ends again, so that the supervisor carries neither the ORM nor Alembic in its memory for weeks.
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import OpsError
from core.kit import reach, schema
from core.runtime.connections import keycheck

LINK_MINUTES = 60
TOKEN_LINE = "token "  # noqa: S105 - a line of ours starts so
NOTE_LINE = "note "


@dataclass(frozen=True, slots=True)
class Found:
    """What a quick look at the database said: whether the schema is the newest, and whether anybody lives there yet."""

    at_head: bool
    empty: bool


def look(admin_url: str) -> Found:
    """A quick look, without the ORM. Raises OpsError with one sentence when the database can't be used."""
    with reach.connect(admin_url) as connection:
        has = schema.current(connection)
        if has is None:
            return Found(at_head=False, empty=True)
        if has not in schema.known():
            raise OpsError(
                f"The database's schema is at {has}, which this version of the app does not know.",
                "Update the app, or restore a backup of this version.",
            )
        if has != schema.head():
            return Found(at_head=False, empty=False)
        connection.execute("SELECT set_config('app.scope', 'staff', true)")
        somebody = connection.execute("SELECT EXISTS (SELECT FROM public.users)").fetchone()
        return Found(at_head=True, empty=somebody == (False,))


def command(*, demo: bool, accounts: bool = False) -> list[str]:
    """How the process that does the rest is started; `demo` loads the demo agency when the agency is empty.

    `accounts` also takes over the accounts that the environment names.
    """
    options = [*(["--demo"] if demo else []), *(["--accounts"] if accounts else [])]
    return [sys.executable, "-m", "worker.supervisor.prepare", *options]


def prepare(*, demo: bool, say: Callable[[str], None]) -> None:
    """Do the rest now, and pass on what it says. Raises OpsError with its last words when it fails."""
    process = subprocess.Popen(command(demo=demo), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=schema.ROOT)
    with process:
        for line in process.stdout or ():
            if not line.startswith(TOKEN_LINE):
                say(line.rstrip())
        told = (process.stderr.read() if process.stderr else "").strip()
    if process.returncode != 0:
        raise OpsError(f"The database could not be prepared: {told or 'it was interrupted.'}")


def main() -> None:
    """Schema, first admin, demo, schedules; then a one-time sign-in token on a line of its own."""
    from core.config import get_settings

    settings = get_settings()
    admin_url = settings.database_admin_url or settings.database_url or ""
    found = look(admin_url)
    if not found.at_head:
        _say("bringing the database schema up to date")
        schema.upgrade(admin_url)
        found = look(admin_url)
    with reach.connect(admin_url) as connection:
        keycheck.before_start(connection)  # the demo's mails carry opt-out links, which are made with a key
    _say(f"{TOKEN_LINE}{_settle(load_demo=found.empty and '--demo' in sys.argv)}")
    if "--accounts" in sys.argv:
        _take_accounts()


def _settle(*, load_demo: bool) -> str:
    from core import registry
    from core.domains.users import service as users
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.schedules import service as schedules

    registry.load()
    with db.transaction(STAFF) as session:
        schedules.sync_builtin(session)
        if load_demo:
            # in one transaction with the first admin: a start that is cut off here loads it the next time
            from core.domains.demo import service as demos

            _say("loading the demo agency (the first time only; `ops demo clear` removes it)")
            demos.load(session)
        return users.create_login_link(session, users.ensure_first_admin(session), LINK_MINUTES)


def _take_accounts() -> None:
    """Accounts that the environment names become connections; one that can't be used is said, and stops nothing."""
    from core.kit import db
    from core.kit.db import STAFF
    from core.runtime.connections import service as connections
    from core.runtime.connections.vendors import VENDORS

    for vendor in VENDORS:
        try:
            with db.transaction(STAFF) as session:
                connections.sync_environment(session, (vendor,), remove_gone=True)
        except OpsError as error:
            _say(f"{NOTE_LINE}{error}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    except OpsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
