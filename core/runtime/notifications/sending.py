"""Notifications by mail and Slack: at once, or together once an hour or a day. They leave as actions, like all that leaves."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from core.config import get_settings
from core.errors import OpsError
from core.kit import clock, log
from core.kit.urls import base_url
from core.runtime.actions.models import Action, ActionState
from core.runtime.notifications import blocks, queries
from core.runtime.notifications.models import AGENT, APPROVAL, Channel, Notification, NotificationPreference, Pace
from core.runtime.notifications.queries import Preference
from core.runtime.notifications.service import ACTOR
from core.runtime.orgs import people
from core.runtime.orgs.people import Person
from core.runtime.runs import service as runs
from core.runtime.runs.context import RunContext

DIGEST: Final = "notifications.digest"
"""The run kind of one person's digest of one period."""
LOOK_BACK: Final = timedelta(days=7)
"""What is older and still unread does not come up in a digest any more."""
MOST: Final = 30
"""Lines of a digest; it says how many more there are."""

_ACTION = re.compile(r"/action\?action=(\d{1,18})")
logger = log.get(__name__)


def tell(ctx: RunContext) -> dict[str, Any]:
    """Handler of `notifications.tell`: one message for each of these that was not sent yet. Returns {"sent": n}."""
    with ctx.transaction() as session:
        wanted = _untold(session, Notification.id.in_([int(i) for i in ctx.payload["ids"]]))
        sent = 0
        how = queries.preferences(session, [n.user_id for n in wanted])
        for one in wanted:
            person = people.find(session, one.user_id)
            if person is not None and how[one.user_id].channel is not Channel.APP_ONLY:
                body, key = f"{one.body}\n\n{link(one.href)}", f"notification:{one.id}"
                sent += _send(session, ctx, person, how[one.user_id], one.title, body, key, _action(session, one))
        _told(session, [n.id for n in wanted])
    return {"sent": sent}


def digest(ctx: RunContext) -> dict[str, Any]:
    """Handler of `notifications.digest`: one message with all that waits for this person. Returns {"lines": n}."""
    user_id, period = int(ctx.payload["user_id"]), str(ctx.payload["period"])
    with ctx.transaction() as session:
        mine = (
            Notification.user_id == user_id,
            Notification.read_at.is_(None),
            Notification.created_at > clock.now() - LOOK_BACK,
        )
        wanted = _untold(session, *mine)
        person = people.find(session, user_id)
        how = queries.preferences(session, [user_id])[user_id]
        if not wanted or person is None or not how.digests:
            return {"lines": 0}
        title = "1 thing to look at" if len(wanted) == 1 else f"{len(wanted)} things to look at"
        sent = _send(session, ctx, person, how, title, _lines(wanted), f"digest:{user_id}:{period}")
        _told(session, [n.id for n in wanted])
    return {"lines": len(wanted) if sent else 0}


def queue_digests(session: Session) -> int:
    """Queue every digest that is due, once a person and period. Returns how many. Called every minute; any number at once."""
    now = clock.now()
    queued = 0
    for row in session.execute(_DIGESTERS):
        how = Preference(row.user_id, Channel(row.channel), Pace(row.pace), row.digest_hour, chosen=True)
        due = period_start(how, now)
        if row.digested_at is not None and row.digested_at >= due:
            continue
        session.execute(
            update(NotificationPreference).where(NotificationPreference.user_id == row.user_id).values(digested_at=now)
        )
        if row.waits:
            key = due.strftime("%Y-%m-%dT%H:%MZ")
            payload = {"user_id": row.user_id, "period": key, "agent": AGENT}
            made = runs.enqueue(
                session, DIGEST, "Digest", payload=payload, key=f"{DIGEST}:{row.user_id}:{key}", by=ACTOR, priority=80
            )
            queued += made.created
    return queued


def period_start(how: Preference, now: datetime) -> datetime:
    """When the digest that is now due came due: the last full hour, or the last time it was the person's hour of the day."""
    if how.pace is Pace.HOURLY:
        return now.replace(minute=0, second=0, microsecond=0)
    zone = clock.zone(get_settings().time_zone)
    day = now.astimezone(zone).date()
    for date in (day, day - timedelta(days=1)):
        due = datetime(date.year, date.month, date.day, how.digest_hour, tzinfo=zone).astimezone(now.tzinfo)
        if due <= now:
            return due
    raise AssertionError  # yesterday's is always past


_DIGESTERS = text("""
    SELECT p.user_id, p.channel, p.pace, p.digest_hour, p.digested_at, EXISTS (
        SELECT FROM notifications n WHERE n.user_id = p.user_id AND n.told_at IS NULL AND n.read_at IS NULL
            AND n.created_at > statement_timestamp() - interval '7 days') AS waits
    FROM notification_preferences p WHERE p.channel <> 'app_only' AND p.pace <> 'at_once'
    ORDER BY p.user_id FOR UPDATE OF p SKIP LOCKED
""")


def link(href: str) -> str:
    """The address of one of our pages as people outside the browser need it."""
    return base_url() + href


def _untold(session: Session, *which: Any) -> Sequence[Notification]:
    statement = select(Notification).where(*which, Notification.told_at.is_(None), Notification.demo.is_(False))
    return session.scalars(statement.order_by(Notification.urgent.desc(), Notification.id).with_for_update()).all()


def _told(session: Session, ids: Sequence[int]) -> None:
    session.execute(update(Notification).where(Notification.id.in_(ids)).values(told_at=func.clock_timestamp()))


def _lines(wanted: Sequence[Notification]) -> str:
    told = [f"{'! ' if n.urgent else ''}{n.title}\n{n.body}\n{link(n.href)}" for n in wanted[:MOST]]
    if len(wanted) > MOST:
        told.append(f"And {len(wanted) - MOST} more: {link('/notifications')}")
    return "\n\n".join(told)


def _action(session: Session, one: Notification) -> Action | None:
    """The action a notification asks about, for its buttons."""
    number = _ACTION.fullmatch(one.href) if one.kind == APPROVAL else None
    return session.get(Action, int(number[1])) if number else None


def _send(
    session: Session, ctx: RunContext, person: Person, how: Preference, title: str, body: str, key: str,
    action: Action | None = None,
) -> bool:  # fmt: skip
    """Propose the message; what the policies refuse stays in the bell. False when it can't even be proposed."""
    from core.runtime.actions.service import Proposal, propose

    kind, payload = _message(person, how, " ".join(title.split()), body, action)
    try:
        with session.begin_nested():
            propose(
                session,
                Proposal(
                    kind, payload, ACTOR, agent=AGENT, run_id=ctx.run_id, key=key, expires_in=timedelta(days=1),
                    reason=f"{person.name} wants to be told this way.",
                ),
            )  # fmt: skip
    except OpsError as error:
        logger.warning("notification_unsent", user_id=person.id, key=key, error=str(error))
        return False
    return True


def _message(person: Person, how: Preference, title: str, body: str, action: Action | None) -> tuple[str, dict[str, Any]]:
    """(kind, payload) of the message. Without a Slack account it is a mail."""
    if how.channel is Channel.SLACK and person.slack_user_id:
        if action is not None and action.state == ActionState.AWAITING:
            said = {"text": blocks.approval_text(action), "blocks": blocks.approval_blocks(action, base_url())}
        else:
            said = {"text": f"**{title}**\n{body}"}
        return "slack.post", {"channel": person.slack_user_id, **said}
    return "mail.send", {
        "to": person.email,
        "subject": title,
        "text": f"{body}\n\n--\nHow you are told: {link('/notifications')}",
    }
