"""Telling our own people: a line in the bell at once, and by mail or Slack in the way each of them prefers."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.errors import BadInput
from core.kit.actor import Actor
from core.runtime.notifications import queries
from core.runtime.notifications.models import AGENT, Channel, Notification, NotificationPreference, Pace
from core.runtime.notifications.queries import Preference
from core.runtime.notifications.queries import unread as unread
from core.runtime.orgs import people
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs import service as runs

ACTOR: Final = Actor(AGENT)
TELL: Final = "notifications.tell"
"""The run kind that sends what somebody wants at once."""
MAX_TITLE: Final = 200

_NOTIFY = text("""
    INSERT INTO notifications (org_id, user_id, kind, key, title, body, href, urgent, demo)
    SELECT CAST(:org_id AS uuid), person, :kind, :key, :title, :body, :href, :urgent, :demo
    FROM unnest(CAST(:users AS bigint[])) AS person
    ON CONFLICT ON CONSTRAINT notifications_once DO NOTHING RETURNING id, user_id
""")


def notify(
    session: Session,
    *,
    users: Sequence[int] = (),
    role: str | None = None,
    kind: str,
    key: str,
    title: str,
    body: str,
    href: str,
    urgent: bool = False,
    org_id: UUID = AGENCY_ID,
    demo: bool = False,
) -> int:
    """Tell these people, and everybody of that role, about one thing; returns how many were told.

    The same `key` is told once a person, however often it is called. `href` is an address of ours; it only shows the thing. Who
    wants it by mail or Slack at once gets it after this transaction has committed.
    """
    whom = set(users)
    if role is not None:
        whom |= {p.id for p in people.with_role(session, role)}
    if not whom:
        return 0
    if not href.startswith("/") or href.startswith("//"):
        raise BadInput("A notification links to a page of ours.", "Its address begins with a slash.")
    values = {
        "org_id": org_id, "kind": kind, "key": key, "title": title[:MAX_TITLE], "body": body, "href": href, "urgent": urgent,
        "demo": demo, "users": sorted(whom),
    }  # fmt: skip
    made = {r.user_id: r.id for r in session.execute(_NOTIFY, values)}
    if made and not demo:
        _tell_at_once(session, made, kind, urgent)
    return len(made)


def _tell_at_once(session: Session, made: dict[int, int], kind: str, urgent: bool) -> None:
    """A run for those who want it at once. A run, since sending asks vendors and nobody's click should wait for that."""
    how = queries.preferences(session, list(made))
    now = sorted(made[u] for u in made if how[u].tells_at_once(urgent, kind))
    if now:
        runs.enqueue(
            session, TELL, "Notifications", payload={"ids": now, "agent": AGENT}, key=f"{TELL}:{now[0]}", by=ACTOR, priority=60
        )


def mark_read(session: Session, user_id: int, ids: Sequence[int]) -> int:
    """The person has seen these. Others' notifications stay as they are. Returns how many were unread."""
    return _read(session, Notification.user_id == user_id, Notification.id.in_(ids))


def mark_all_read(session: Session, user_id: int, *, up_to: int | None = None) -> int:
    """The person has seen all of theirs, up to that id: what came while they clicked stays unread."""
    return _read(session, Notification.user_id == user_id, *([] if up_to is None else [Notification.id <= up_to]))


def _read(session: Session, *which: object) -> int:
    statement = update(Notification).where(*which, Notification.read_at.is_(None))  # type: ignore[arg-type]
    return len(session.execute(statement.values(read_at=func.clock_timestamp()).returning(Notification.id)).all())


def set_preference(session: Session, user_id: int, channel: Channel | str, pace: Pace | str, digest_hour: int = 8) -> Preference:
    """How the person wants to be told from now on. Raises BadInput."""
    try:
        channel, pace = Channel(channel), Pace(pace)
    except ValueError:
        raise BadInput("There is no such way to be told.", "Choose the app, mail or Slack; at once, hourly or daily.") from None
    if not 0 <= digest_hour <= 23:
        raise BadInput("The hour of the digest is 0 to 23.", "Choose one.")
    person = people.find(session, user_id)
    if channel is Channel.SLACK and (person is None or person.slack_user_id is None):
        raise BadInput(
            "Your Slack account is not known here.",
            "An admin can enter it with `ops users slack EMAIL U…`; choose mail until then.",
        )
    values = {"channel": channel.value, "pace": pace.value, "digest_hour": digest_hour}
    session.execute(
        insert(NotificationPreference)
        .values(org_id=AGENCY_ID, user_id=user_id, digested_at=func.clock_timestamp(), **values)
        .on_conflict_do_update(constraint="notification_preferences_once", set_=values)
    )
    return Preference(user_id, channel, pace, digest_hour, chosen=True)
