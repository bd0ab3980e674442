"""Staff, their sessions and sign-in links, and the API's keys. Only hashes of secrets are stored."""

import enum
from typing import Annotated

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Demo, Id, Instant, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId

UserId = Annotated[int, mapped_column(BigInteger, ForeignKey("users.id", ondelete="CASCADE"), index=True)]


class Role(enum.StrEnum):
    ADMIN = "admin"
    ENGINEERING = "engineering"
    DELIVERY = "delivery"
    SALES = "sales"
    MARKETING = "marketing"


class User(Base):
    """A person who may sign in. No password yet means: by one-time link only."""

    __tablename__ = "users"
    __table_args__ = (
        one_of("role", Role),
        UniqueConstraint("email", name="users_email"),
        UniqueConstraint("slack_user_id", name="users_slack"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    email: Mapped[str]
    """Lower case."""
    name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str | None]
    """argon2id."""
    slack_user_id: Mapped[str | None]
    """Whose clicks on Slack's buttons are this person's."""
    disabled_at: Mapped[Instant | None]
    last_seen_at: Mapped[Instant | None]
    created_at: Mapped[CreatedAt]
    demo: Mapped[Demo]


class UserSession(Base):
    """A signed-in browser."""

    __tablename__ = "user_sessions"

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    user_id: Mapped[UserId]
    token_hash: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[Instant]
    revoked_at: Mapped[Instant | None]
    user_agent: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    demo: Mapped[Demo]


class LoginLink(Base):
    """A one-time sign-in link; it works once, until it expires."""

    __tablename__ = "login_links"

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    user_id: Mapped[UserId]
    token_hash: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[Instant]
    used_at: Mapped[Instant | None]
    created_at: Mapped[CreatedAt]
    demo: Mapped[Demo]


class LoginAttempt(Base):
    """A failed sign-in, counted per address and per source to slow guessing. Not a tenant table: no user need exist."""

    __tablename__ = "login_attempts"
    __table_args__ = (Index("login_attempts_recent", "email", "at"), Index("login_attempts_source", "source", "at"))

    id: Mapped[Id]
    email: Mapped[str]
    source: Mapped[str]
    at: Mapped[CreatedAt]


class ApiKey(Base):
    """A bearer key of the JSON API. `prefix` is shown to people; the secret is stored only as a hash."""

    __tablename__ = "api_keys"

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    name: Mapped[str]
    prefix: Mapped[str] = mapped_column(unique=True)
    secret_hash: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default=text("'{}'"))
    """jobs:read, jobs:run, jobs:write, runs:read, deals:read, facts:read."""
    created_by: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[Instant | None]
    revoked_at: Mapped[Instant | None]
    demo: Mapped[Demo]


class SignedRequest(Base):
    """A signed request from outside that was taken once: a replay finds its row. Not a tenant table."""

    __tablename__ = "signed_requests"
    __table_args__ = (Index("signed_requests_by_time", "at"),)

    source: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[CreatedAt]
