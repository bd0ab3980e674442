"""The bell: told once, to whom it concerns, and read by each for themselves."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import select

from core.domains.users import service as users
from core.errors import BadInput
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.notifications import queries, service
from core.runtime.notifications.models import Channel, Notification, Pace
from core.runtime.runs.models import Run
from tests.cast import Cast


def notify(key: str = "a", **more: object) -> int:
    told = {"kind": "alert", "title": "Resend fails", "body": "5 calls failed.", "href": "/today", "role": "admin"} | more
    with database.transaction(STAFF) as session:
        return service.notify(session, key=key, **told)  # type: ignore[arg-type]


def prefer(user_id: int, channel: Channel, pace: Pace, hour: int = 8) -> None:
    with database.transaction(STAFF) as session:
        service.set_preference(session, user_id, channel, pace, hour)


def told_now() -> list[list[int]]:
    with database.transaction(STAFF) as session:
        return [r.payload["ids"] for r in session.scalars(select(Run).where(Run.kind == service.TELL).order_by(Run.id))]


def test_the_same_thing_is_told_once_a_person(cast: Cast) -> None:
    dave, brian = cast.users["Dave"], cast.users["Brian"]
    assert notify(users=[dave, brian]) == 2, "Dave once, although he is named and an admin"
    assert notify(users=[dave, brian]) == 0
    assert notify("b", users=[brian], role=None) == 1
    with database.transaction(STAFF) as session:
        assert (service.unread(session, dave), service.unread(session, brian)) == (1, 2)
        assert service.unread(session, cast.users["Dan"]) == 0
        assert [n.title for n in queries.listed(session, brian)] == ["Resend fails"] * 2


def test_eight_who_tell_at_once_tell_once(cast: Cast) -> None:
    together = Barrier(8)

    def one(_: int) -> int:
        together.wait()
        return notify(urgent=True)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(8))) == 1
    assert len(told_now()) == 1


def test_who_may_not_sign_in_any_more_is_not_told(cast: Cast) -> None:
    with database.transaction(STAFF) as session:
        users.add(session, "second@manageai.example", "Deputy", "admin")
        users.disable(session, "second@manageai.example")
    assert notify() == 1


def test_a_link_leads_to_us(cast: Cast) -> None:
    for href in ("https://evil.example", "//evil.example", "today", ""):
        with pytest.raises(BadInput):
            notify(href=href)


def test_what_is_rolled_back_was_never_told(cast: Cast) -> None:
    with database.transaction(STAFF) as session:
        service.notify(session, role="admin", kind="alert", key="k", title="x", body="y", href="/today", urgent=True)
        session.rollback()
    assert told_now() == []
    with database.transaction(STAFF) as session:
        assert session.scalars(select(Notification)).all() == []


def test_reading_is_each_persons_own(cast: Cast) -> None:
    dave, brian = cast.users["Dave"], cast.users["Brian"]
    for key in "abc":
        notify(key, users=[dave, brian])
    with database.transaction(STAFF) as session:
        mine = [n.id for n in queries.listed(session, dave)]
        theirs = [n.id for n in queries.listed(session, brian)]
        assert service.mark_read(session, dave, [mine[0], *theirs]) == 1
        assert service.mark_read(session, dave, [mine[0]]) == 0
        assert (service.unread(session, dave), service.unread(session, brian)) == (2, 3)
        assert len(queries.listed(session, dave, only_unread=True)) == 2
        assert service.mark_all_read(session, brian, up_to=theirs[1]) == 2, "what came while they clicked stays"
        assert service.unread(session, brian) == 1
        assert service.mark_all_read(session, dave) == 2
        assert [n.id for n in queries.listed(session, dave, before_id=mine[0])] == mine[1:]


def test_who_chose_nothing_gets_what_is_urgent_by_mail(cast: Cast) -> None:
    notify("calm")
    assert told_now() == []
    notify("urgent", urgent=True)
    assert len(told_now()) == 1


@pytest.mark.parametrize(
    ("channel", "pace", "at_once"),
    [
        (Channel.APP_ONLY, Pace.AT_ONCE, {"calm": 0, "urgent": 0, "approval": 0}),
        (Channel.MAIL, Pace.AT_ONCE, {"calm": 1, "urgent": 1, "approval": 1}),
        (Channel.MAIL, Pace.HOURLY, {"calm": 0, "urgent": 1, "approval": 0}),
        (Channel.MAIL, Pace.DAILY, {"calm": 0, "urgent": 1, "approval": 0}),
    ],
)
def test_how_each_prefers_it(cast: Cast, channel: Channel, pace: Pace, at_once: dict[str, int]) -> None:
    prefer(cast.users["Dave"], channel, pace)
    seen = {}
    for word, more in (
        ("calm", {}), ("urgent", {"urgent": True}), ("approval", {"urgent": True, "kind": "approval"}),
    ):  # fmt: skip
        before = len(told_now())
        notify(word, **more)
        seen[word] = len(told_now()) - before
    assert seen == at_once


def test_demo_data_is_never_sent(cast: Cast) -> None:
    assert notify(urgent=True, demo=True) == 1
    assert told_now() == []


def test_a_preference_that_cannot_be_is_refused(cast: Cast) -> None:
    dave = cast.users["Dave"]
    with database.transaction(STAFF) as session:
        for channel, pace, hour in (("fax", "daily", 8), ("mail", "never", 8), ("mail", "daily", 24), ("slack", "daily", 8)):
            with pytest.raises(BadInput):
                service.set_preference(session, dave, channel, pace, hour)
        with pytest.raises(BadInput, match="ops users slack EMAIL"):
            service.set_preference(session, dave, "slack", "daily", 8)
        assert not queries.preferences(session, [dave])[dave].chosen
        service.set_preference(session, dave, "mail", "daily", 7)
        service.set_preference(session, dave, "mail", "hourly", 9)
        how = queries.preferences(session, [dave])[dave]
        assert (how.channel, how.pace, how.digest_hour, how.chosen) == (Channel.MAIL, Pace.HOURLY, 9, True)
