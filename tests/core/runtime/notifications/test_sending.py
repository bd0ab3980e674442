"""Notifications leave as actions: at once or in a digest, once, also when the run dies in between."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select, text, update

from core.domains.users.models import User
from core.kit import clock
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions.models import Action
from core.runtime.notifications import about, queries, sending, service
from core.runtime.notifications.models import Channel, Notification, NotificationPreference, Pace
from core.runtime.notifications.queries import Preference
from core.runtime.runs.execute import execute
from core.runtime.runs.models import Run
from tests import acts
from tests.cast import Cast

TWENTY_PAST = datetime.now(UTC).replace(minute=20, second=0, microsecond=0)
"""Far from the full hour, at which a new period begins, and close to the database's clock, which no test can move."""


def notify(key: str, **more: Any) -> None:
    told = {"kind": "alert", "title": "Resend fails", "body": "5 calls failed.", "href": "/today", "role": "admin"} | more
    with database.transaction(STAFF) as session:
        service.notify(session, key=key, **told)


def prefer(user_id: int, channel: Channel, pace: Pace, hour: int = 8) -> None:
    with database.transaction(STAFF) as session:
        service.set_preference(session, user_id, channel, pace, hour)


def work_off(kind: str) -> list[str | None]:
    """Every queued run of that kind, as a worker does it."""
    with database.transaction(STAFF) as session:
        ids = session.scalars(select(Run.id).where(Run.kind == kind, Run.state == "queued").order_by(Run.id)).all()
    return [execute(i, "w1") for i in ids]


def sent() -> list[Action]:
    with database.transaction(STAFF) as session:
        return list(session.scalars(select(Action).where(Action.agent == "Notifications").order_by(Action.id)))


def again(kind: str) -> None:
    """The run, once more: its worker died before it could say that it was done."""
    with database.transaction(STAFF) as session:
        session.execute(text("UPDATE runs SET state = 'queued', run_after = clock_timestamp() WHERE kind = :k"), {"k": kind})


def queue_digests() -> int:
    with database.transaction(STAFF) as session:
        return sending.queue_digests(session)


def period(days: int) -> None:
    """Let the last digest lie so many days back."""
    with database.transaction(STAFF) as session:
        session.execute(update(NotificationPreference).values(digested_at=clock.now() - timedelta(days=days)))


def test_what_is_urgent_leaves_as_an_allowed_action_with_a_link_to_the_thing(cast: Cast) -> None:
    notify("a", urgent=True, href="/action?action=7")
    assert work_off(service.TELL) == ["succeeded"]
    (mail,) = sent()
    assert (mail.kind, mail.audience, mail.payload["to"]) == ("mail.send", "internal", "dave@manageai.example")
    assert mail.state in ("approved", "executing", "done"), mail.error
    assert mail.payload["subject"] == "Resend fails"
    assert "http://127.0.0.1:8501/action?action=7" in mail.payload["text"]
    with database.transaction(STAFF) as session:
        assert session.scalars(select(Notification)).one().told_at is not None


def test_a_run_that_is_worked_off_twice_sends_once(cast: Cast) -> None:
    notify("a", urgent=True)
    work_off(service.TELL)
    again(service.TELL)
    with database.transaction(STAFF) as session:  # even when what it noted is lost
        session.execute(update(Notification).values(told_at=None))
    assert work_off(service.TELL) == ["succeeded"]
    assert len(sent()) == 1


def test_a_digest_is_one_message_with_all_that_waits(cast: Cast) -> None:
    dave = cast.users["Dave"]
    prefer(dave, Channel.MAIL, Pace.DAILY)
    period(2)
    for n in range(3):
        notify(str(n), title=f"Thing {n}")
    notify("read", title="Read already")
    with database.transaction(STAFF) as session:
        service.mark_read(session, dave, [queries.listed(session, dave)[0].id])
    assert queue_digests() == 1
    assert queue_digests() == 0, "once a period"
    assert work_off(sending.DIGEST) == ["succeeded"]
    (mail,) = sent()
    assert mail.payload["subject"] == "3 things to look at"
    assert [f"Thing {n}" in mail.payload["text"] for n in range(3)] == [True] * 3
    assert "Read already" not in mail.payload["text"]


@time_machine.travel(TWENTY_PAST, tick=True)
def test_a_digest_comes_once_however_often_its_run_is_worked_off(cast: Cast) -> None:
    dave = cast.users["Dave"]
    prefer(dave, Channel.MAIL, Pace.HOURLY)
    period(1)
    notify("a")
    assert queue_digests() == 1
    period(1)
    assert queue_digests() == 0, "the same period has the same key"
    work_off(sending.DIGEST)
    again(sending.DIGEST)
    with database.transaction(STAFF) as session:
        session.execute(update(Notification).values(told_at=None))
    work_off(sending.DIGEST)
    assert len(sent()) == 1


def test_an_empty_digest_is_not_sent(cast: Cast) -> None:
    prefer(cast.users["Dave"], Channel.MAIL, Pace.DAILY)
    period(2)
    assert queue_digests() == 0
    notify("a")
    period(2)
    with database.transaction(STAFF) as session:
        service.mark_all_read(session, cast.users["Dave"])
    assert queue_digests() == 0


def test_who_wants_the_app_only_gets_no_digest(cast: Cast) -> None:
    prefer(cast.users["Dave"], Channel.APP_ONLY, Pace.DAILY)
    period(2)
    notify("a")
    assert queue_digests() == 0


@pytest.mark.parametrize(
    ("pace", "hour", "now", "due"),
    [
        (Pace.HOURLY, 8, "2026-11-21T14:59:30", "2026-11-21T14:00:00"),
        # Chicago is six hours behind
        (Pace.DAILY, 8, "2026-11-21T14:00:00", "2026-11-21T14:00:00"),
        (Pace.DAILY, 8, "2026-11-21T13:59:59", "2026-11-20T14:00:00"),
        (Pace.DAILY, 23, "2026-11-21T04:59:00", "2026-11-20T05:00:00"),
        # the night the clocks go forward has no 2 o'clock, the one they go back has 1 o'clock twice
        (Pace.DAILY, 2, "2026-03-08T12:00:00", "2026-03-08T08:00:00"),
        (Pace.DAILY, 1, "2026-11-01T06:30:00", "2026-11-01T06:00:00"),
        (Pace.DAILY, 1, "2026-11-01T07:30:00", "2026-11-01T06:00:00"),
    ],
)
def test_when_a_digest_is_due(pace: Pace, hour: int, now: str, due: str) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert sending.period_start(Preference(1, Channel.MAIL, pace, hour, True), at) == datetime.fromisoformat(due).replace(
        tzinfo=UTC
    )


def test_a_year_of_days_has_a_digest_each(cast: Cast) -> None:
    how = Preference(1, Channel.MAIL, Pace.DAILY, 2, True)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    seen = {sending.period_start(how, start + timedelta(minutes=30 * n)) for n in range(2 * 24 * 365)}
    assert len(seen) == 366, "the one of the day before, and one of each day"


def test_a_slack_member_gets_the_approval_with_its_buttons(cast: Cast) -> None:
    with database.transaction(STAFF) as session:
        session.execute(update(User).where(User.name == "Dave").values(slack_user_id="U0123456789"))
    prefer(cast.users["Dave"], Channel.SLACK, Pace.AT_ONCE)
    with database.transaction(STAFF) as session:
        action = acts.put(session)
        about.approval_waiting(session, action)
        about.approval_waiting(session, action)
    work_off(service.TELL)
    (post,) = sent()
    assert (post.kind, post.payload["channel"]) == ("slack.post", "U0123456789")
    assert post.state in ("approved", "executing", "done"), post.error
    buttons = next(b["buttons"] for b in post.payload["blocks"] if b["type"] == "buttons")
    assert [b["action"] for b in buttons] == ["ops_approve", "ops_reject", None]
    assert buttons[2]["url"] == f"http://127.0.0.1:8501/action?action={action.id}"


def test_about_our_own_messages_nobody_is_told(cast: Cast) -> None:
    with database.transaction(STAFF) as session:
        action = acts.put(session, agent="Notifications")
        about.approval_waiting(session, action)
        about.approval_reminder(session, action)
        assert session.scalars(select(Notification)).all() == []
        about.effect_unknown(session, action)
        assert [n.urgent for n in session.scalars(select(Notification))] == [False], "in the bell, and not by mail about mail"


@time_machine.travel(TWENTY_PAST, tick=True)
def test_two_clocks_queue_one_digest(cast: Cast) -> None:
    prefer(cast.users["Dave"], Channel.MAIL, Pace.DAILY)
    period(2)
    notify("a")
    with database.transaction(STAFF) as one, database.transaction(STAFF) as other:
        assert sending.queue_digests(one) + sending.queue_digests(other) == 1
