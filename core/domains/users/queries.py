"""Read models of users and keys. Never a hash of a secret."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domains.users.errors import UnknownUser
from core.domains.users.models import ApiKey, Role, User, UserSession
from core.kit.actor import Actor


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """The signed-in person, as the database has them at this moment."""

    id: int
    name: str
    email: str
    role: Role

    @property
    def actor(self) -> Actor:
        """The person as the one who does something."""
        return Actor(self.name, "user", self.id)

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN


@dataclass(frozen=True, slots=True)
class UserRow:
    """A person on the list of users. `sessions` counts the browsers signed in now."""

    id: int
    name: str
    email: str
    role: Role
    enabled: bool
    has_password: bool
    sessions: int
    last_seen_at: datetime | None
    created_at: datetime
    demo: bool
    slack_user_id: str | None


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key on the list of keys; `prefix` is the part that people may see."""

    id: int
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_by: str | None
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


def users(session: Session) -> list[UserRow]:
    """Everybody, enabled people first, by name."""
    live = (
        select(UserSession.user_id, func.count().label("n"))
        .where(UserSession.revoked_at.is_(None), UserSession.expires_at > func.clock_timestamp())
        .group_by(UserSession.user_id)
        .subquery()
    )
    rows = session.execute(
        select(User, func.coalesce(live.c.n, 0))
        .outerjoin(live, live.c.user_id == User.id)
        .order_by(User.disabled_at.is_not(None), User.name, User.id)
    )
    return [
        UserRow(
            u.id, u.name, u.email, Role(u.role), u.disabled_at is None, u.password_hash is not None, n,
            u.last_seen_at, u.created_at, u.demo, u.slack_user_id,
        )
        for u, n in rows
    ]  # fmt: skip


def find(session: Session, who: int | str) -> User:
    """The user by id or by address. Raises UnknownUser."""
    match = User.id == who if isinstance(who, int) else User.email == who.strip().lower()
    user = session.execute(select(User).where(match)).scalar_one_or_none()
    if user is None:
        raise UnknownUser(who)
    return user


def has_password(session: Session, user_id: int) -> bool:
    """Whether the person has set a password."""
    return session.execute(select(User.password_hash.is_not(None)).where(User.id == user_id)).scalar_one_or_none() is True


def names(session: Session) -> Mapping[int, str]:
    """Everybody's name by id, for lists that show who did something."""
    rows = session.execute(select(User.id, User.name)).all()
    return {row.id: row.name for row in rows}


def keys(session: Session, *, include_revoked: bool = True) -> list[KeyRow]:
    """API keys, newest first."""
    wanted = select(ApiKey).order_by(ApiKey.id.desc())
    if not include_revoked:
        wanted = wanted.where(ApiKey.revoked_at.is_(None))
    return [
        KeyRow(k.id, k.name, k.prefix, tuple(k.scopes), k.created_by, k.created_at, k.last_used_at, k.revoked_at)
        for k in session.scalars(wanted)
    ]
