"""What a person should see, in the app and by the way they prefer."""

import enum
from typing import Final

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Demo, Id, Instant, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId

AGENT: Final = "Notifications"
"""In whose name our own people are told by mail and Slack; the allow-list of action kinds knows it."""
APPROVAL: Final = "approval"
"""The kind of a notification that asks for a decision."""


class Channel(enum.StrEnum):
    APP_ONLY = "app_only"
    MAIL = "mail"
    SLACK = "slack"


class Pace(enum.StrEnum):
    AT_ONCE = "at_once"
    HOURLY = "hourly"
    DAILY = "daily"


class Notification(Base):
    """One line in one person's bell, linked to the thing it is about."""

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("user_id", "key", name="notifications_once"),
        Index("notifications_unread", "user_id", text("id DESC"), postgresql_where=text("read_at IS NULL")),
        Index("notifications_to_tell", "user_id", "id", postgresql_where=text("told_at IS NULL")),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    user_id: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str]
    """approval, reminder, alert, undone, reply …"""
    key: Mapped[str]
    """The same thing is told once a person."""
    title: Mapped[str]
    body: Mapped[str]
    href: Mapped[str]
    urgent: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[CreatedAt]
    read_at: Mapped[Instant | None]
    told_at: Mapped[Instant | None]
    """When it went out by mail or Slack, alone or in a digest."""
    demo: Mapped[Demo]


class NotificationPreference(Base):
    """How one person wants to be told. No row: in the app, and by mail at once for what is urgent."""

    __tablename__ = "notification_preferences"
    __table_args__ = (
        one_of("channel", Channel),
        one_of("pace", Pace),
        UniqueConstraint("user_id", name="notification_preferences_once"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    user_id: Mapped[int] = mapped_column(BigInteger)
    channel: Mapped[str]
    pace: Mapped[str]
    digest_hour: Mapped[int] = mapped_column(server_default=text("8"))
    """Local hour of the daily digest, 0 to 23."""
    digested_at: Mapped[Instant | None]
    demo: Mapped[Demo]
