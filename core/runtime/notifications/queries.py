"""What one person's bell shows, and how they want to be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.runtime.notifications.models import APPROVAL, Channel, Notification, NotificationPreference, Pace
from core.runtime.orgs.models import Organisation

MAX_PAGE = 100


@dataclass(frozen=True, slots=True)
class Preference:
    """How one person wants to be told. `chosen` is False for what everybody has who chose nothing."""

    user_id: int
    channel: Channel = Channel.MAIL
    pace: Pace = Pace.AT_ONCE
    digest_hour: int = 8
    chosen: bool = False

    def tells_at_once(self, urgent: bool, kind: str = "") -> bool:
        """Whether something new goes out now. Who chose nothing gets what is urgent; in a digest wait also approvals."""
        if self.channel is Channel.APP_ONLY:
            return False
        if self.chosen and self.pace is Pace.AT_ONCE:
            return True
        return urgent and not (self.digests and kind == APPROVAL)

    @property
    def digests(self) -> bool:
        """Whether what waits goes out together, every hour or day."""
        return self.chosen and self.channel is not Channel.APP_ONLY and self.pace is not Pace.AT_ONCE


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """One line of the bell. `told_at`: when it went out by mail or Slack."""

    id: int
    kind: str
    title: str
    body: str
    href: str
    urgent: bool
    at: datetime
    read_at: datetime | None
    told_at: datetime | None
    org_id: UUID
    org_name: str
    demo: bool


def unread(session: Session, user_id: int) -> int:
    """How many lines the person has not read."""
    mine = (Notification.user_id == user_id, Notification.read_at.is_(None))
    return session.execute(select(func.count()).select_from(Notification).where(*mine)).scalar_one()


def unread_by_person(session: Session) -> dict[int, int]:
    """How many lines everybody has not read who has any, in one question for the frame of all of them."""
    n = Notification
    rows = session.execute(select(n.user_id, func.count()).where(n.read_at.is_(None)).group_by(n.user_id)).all()
    return {r[0]: r[1] for r in rows}


_COLUMNS = (
    Notification.id, Notification.kind, Notification.title, Notification.body, Notification.href, Notification.urgent,
    Notification.created_at, Notification.read_at, Notification.told_at, Notification.org_id, Organisation.name,
    Notification.demo,
)  # fmt: skip


def _of(user_id: int) -> Any:
    statement: Any = select(*_COLUMNS).join(Organisation, Organisation.id == Notification.org_id)
    return statement.where(Notification.user_id == user_id)


def one(session: Session, user_id: int, notification_id: int) -> NotificationRow | None:
    """A line of the person's own; None for anybody else's."""
    found = session.execute(_of(user_id).where(Notification.id == notification_id)).first()
    return NotificationRow(*found) if found else None


def listed(
    session: Session, user_id: int, *, only_unread: bool = False, before_id: int | None = None, limit: int = 50
) -> list[NotificationRow]:
    """The person's lines, newest first."""
    wanted = _of(user_id)
    if only_unread:
        wanted = wanted.where(Notification.read_at.is_(None))
    if before_id is not None:
        wanted = wanted.where(Notification.id < before_id)
    found = session.execute(wanted.order_by(Notification.id.desc()).limit(max(1, min(limit, MAX_PAGE))))
    return [NotificationRow(*r) for r in found]


def preferences(session: Session, user_ids: Sequence[int]) -> dict[int, Preference]:
    """How each of them wants to be told; everybody asked for is in it."""
    p = NotificationPreference
    rows = session.execute(select(p.user_id, p.channel, p.pace, p.digest_hour).where(p.user_id.in_(user_ids)))
    chosen = {u: Preference(u, Channel(c), Pace(pace), hour, chosen=True) for u, c, pace, hour in rows}
    return {u: chosen.get(u) or Preference(u) for u in user_ids}
