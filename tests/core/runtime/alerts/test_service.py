"""One alert a cause: counted, told once, acknowledged by a person, over when it is over."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import select

from core.errors import Conflict, NotAllowed, NotFound
from core.kit import db as database
from core.kit.actor import SYSTEM
from core.kit.db import STAFF
from core.runtime.alerts import queries, service
from core.runtime.alerts.models import Severity
from core.runtime.events.models import Event
from core.runtime.notifications.models import Notification
from tests.cast import CORNERSTONE_ORG, Cast, make_cast

CAUSE = "provider:resend"


@pytest.fixture
def cast(db: None) -> Cast:
    with database.transaction(STAFF) as session:
        return make_cast(session)


def raise_(severity: Severity = Severity.HIGH, n: int = 5, **more: object) -> int:
    with database.transaction(STAFF) as session:
        return service.raise_alert(
            session, CAUSE, "Resend fails", f"{n} calls failed.", severity=severity, numbers={"failures": n}, **more  # type: ignore[arg-type]
        )  # fmt: skip


def told() -> list[tuple[int, bool]]:
    with database.transaction(STAFF) as session:
        return [(n.user_id, n.urgent) for n in session.scalars(select(Notification).order_by(Notification.user_id))]


def events(family: str = "alert.") -> list[str]:
    with database.transaction(STAFF) as session:
        return list(session.scalars(select(Event.type).where(Event.type.startswith(family)).order_by(Event.id)))


def test_the_same_cause_is_one_alert_with_a_count_and_is_told_once(cast: Cast) -> None:
    first = raise_()
    assert raise_(n=6) == raise_(n=7) == first
    with database.transaction(STAFF) as session:
        (alert,) = queries.open_alerts(session)
    assert (alert.count, alert.detail, dict(alert.numbers)) == (3, "7 calls failed.", {"failures": 7})
    assert events() == ["alert.raised"]
    assert [u for u, _ in told()] == [cast.users["Dave"], cast.users["Brian"]], "admins and engineering"


def test_a_check_that_sees_the_same_again_counts_nothing(cast: Cast) -> None:
    raise_(again=False)
    raise_(again=False)
    raise_(n=6, again=False)
    with database.transaction(STAFF) as session:
        (alert,) = queries.open_alerts(session)
    assert alert.count == 2
    assert alert.last_at > alert.first_at


def test_what_gets_worse_is_told_again_and_never_gets_milder(cast: Cast) -> None:
    raise_(Severity.WARNING)
    assert told() == [], "a warning stands on Today, it does not ring"
    raise_(Severity.CRITICAL)
    raise_(Severity.HIGH)
    assert told() == [(cast.users["Dave"], True), (cast.users["Brian"], True)]
    with database.transaction(STAFF) as session:
        assert queries.open_alerts(session)[0].severity is Severity.CRITICAL


def test_organisations_have_their_own(cast: Cast) -> None:
    assert raise_() != raise_(org_id=CORNERSTONE_ORG)


def test_eight_at_once_are_one(cast: Cast) -> None:
    together = Barrier(8)

    def one(n: int) -> int:
        together.wait()
        return raise_(n=n)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(one, range(8)))) == 1
    assert events() == ["alert.raised"]
    with database.transaction(STAFF) as session:
        assert queries.open_alerts(session)[0].count == 8


def test_a_person_acknowledges_and_it_stays_until_it_is_over(cast: Cast) -> None:
    alert_id = raise_()
    with database.transaction(STAFF) as session:
        with pytest.raises(NotAllowed):
            service.acknowledge(session, alert_id, SYSTEM)
        service.acknowledge(session, alert_id, cast.actor("Brian"))
    with database.transaction(STAFF) as session, pytest.raises(Conflict, match="Brian has acknowledged"):
        service.acknowledge(session, alert_id, cast.actor("Dave"))
    assert raise_(n=9) == alert_id, "it goes on: still the same alert"
    with database.transaction(STAFF) as session:
        assert queries.open_alerts(session)[0].acknowledged_by == "Brian"
        assert service.resolve(session, CAUSE)
        assert not service.resolve(session, CAUSE)
        assert queries.open_alerts(session) == []
        with pytest.raises(Conflict, match="over already"):
            service.acknowledge(session, alert_id, cast.actor("Dave"))
        with pytest.raises(NotFound):
            service.acknowledge(session, 999, cast.actor("Dave"))
    assert events() == ["alert.raised", "alert.acknowledged", "alert.resolved"]
    assert raise_() != alert_id, "when it comes back it is a new one, told anew"
    assert len(told()) == 4


def test_unseen_first_then_the_worst(cast: Cast) -> None:
    with database.transaction(STAFF) as session:
        ids = [
            service.raise_alert(session, cause, cause, "…", severity=severity)
            for cause, severity in (("a", Severity.WARNING), ("b", Severity.CRITICAL), ("c", Severity.HIGH), ("d", Severity.INFO))
        ]
        service.acknowledge(session, ids[1], cast.actor("Dave"))
        assert [a.cause for a in queries.open_alerts(session)] == ["c", "a", "d", "b"]
