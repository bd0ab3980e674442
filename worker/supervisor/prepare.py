"""What a database needs before the processes can work with it: schema, an admin, the built-in schedules, the demo."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.kit import reach, schema

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

LINK_MINUTES = 60


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
        if has != schema.head():
            return Found(at_head=False, empty=False)
        connection.execute("SELECT set_config('app.scope', 'staff', true)")
        somebody = connection.execute("SELECT EXISTS (SELECT FROM public.users)").fetchone()
        return Found(at_head=True, empty=somebody == (False,))


def first_start(*, demo: bool, say: Callable[[str], None]) -> None:
    """An empty agency gets its admin and, unless `demo` is False, the demo agency."""
    from core import registry
    from core.domains.users import service as users
    from core.kit import db
    from core.kit.db import STAFF

    registry.load()
    with db.transaction(STAFF) as session:
        users.ensure_first_admin(session)
        settle(session)
    if demo:
        from core.domains.demo import service as demos

        say("loading the demo agency (the first time only; `ops demo clear` removes it)")
        with db.transaction(STAFF) as session:
            demos.load(session)


def settle(session: "Session") -> None:
    """Make the built-in schedules that are missing."""
    from core.runtime.schedules import service as schedules

    schedules.sync_builtin(session)


def sign_in_link(base_url: str) -> str:
    """Bring the schedules up to date and make a one-time sign-in link for the admin."""
    from core import registry
    from core.domains.users import service as users
    from core.kit import db
    from core.kit.db import STAFF

    registry.load()
    with db.transaction(STAFF) as session:
        settle(session)
        token = users.create_login_link(session, users.ensure_first_admin(session), LINK_MINUTES)
    return f"{base_url}/auth/link?token={token}"
