"""Who may stop what, what is then stopped, and who lets it go on."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from core.domains.users import service as users
from core.errors import BadInput, Conflict, NotAllowed, NotFound, Unavailable
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.audit.models import AuditEntry
from core.runtime.events.models import Event
from core.runtime.notifications.models import Notification
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.switches import queries, service
from core.runtime.switches.models import KillSwitch, Reach
from tests.cast import CORNERSTONE_ORG, NORTHWIND_ORG, Cast, make_cast
from tests.tools import counting

WHY = "A client got a mail meant for another."
ABOUT = Event.type.startswith("switch.")


@pytest.fixture
def cast(db: None) -> Cast:
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        users.add(session, "second@manageai.example", "Dave's deputy", "admin")
        return cast


def deputy() -> Actor:
    with database.transaction(STAFF) as session:
        found = session.execute(text("SELECT id, name FROM users WHERE email = 'second@manageai.example'")).one()
    return Actor(found.name, "user", found.id)


def pull(reach: Reach | str, by: Actor, **target: object) -> service.Pulled:
    with database.transaction(STAFF) as session:
        return service.pull(session, reach, WHY, by, **target)  # type: ignore[arg-type]


def resume(switch_id: int, by: Actor) -> service.Resumed:
    with database.transaction(STAFF) as session:
        return service.resume(session, switch_id, by)


def reaches(org_id: object, agent: str | None) -> list[str]:
    with database.transaction(STAFF) as session:
        return [s["reach"] for s in service.stops(session, org_id, agent)]  # type: ignore[arg-type]


def test_each_reach_stops_what_it_says_and_nothing_else(cast: Cast) -> None:
    assert reaches(CORNERSTONE_ORG, "Sales AI") == []
    pull(Reach.ORGANISATION, cast.actor("Dave"), org_id=CORNERSTONE_ORG)
    assert reaches(CORNERSTONE_ORG, None) == ["organisation"]
    assert reaches(NORTHWIND_ORG, "Sales AI") == reaches(AGENCY_ID, None) == []
    pull(Reach.AGENT, cast.actor("Brian"), agent="sales ai")
    assert reaches(NORTHWIND_ORG, "Sales AI") == reaches(AGENCY_ID, "SALES AI") == ["agent"]
    assert reaches(NORTHWIND_ORG, "Delivery AI") == reaches(NORTHWIND_ORG, None) == []
    pull(Reach.EVERYTHING, cast.actor("Dave"))
    assert reaches(NORTHWIND_ORG, None) == ["everything"]
    assert sorted(reaches(CORNERSTONE_ORG, "Sales AI")) == ["agent", "everything", "organisation"]


def test_what_cannot_be_read_is_never_an_empty_answer(cast: Cast) -> None:
    pull(Reach.EVERYTHING, cast.actor("Dave"))
    with database.transaction(CORNERSTONE_ORG) as session, pytest.raises(Unavailable):
        service.stops(session, CORNERSTONE_ORG, None)
    with database.transaction(STAFF) as session:
        session.execute(text("SELECT set_config('app.scope', '', true)"))
        with pytest.raises(Unavailable):
            service.stops(session, CORNERSTONE_ORG, None)


def test_a_pull_says_who_when_and_why_and_is_told_and_sealed(cast: Cast) -> None:
    made = pull(Reach.EVERYTHING, cast.actor("Dave"))
    assert made.created
    assert made.sentence == f"Dave stopped everything: {WHY}"
    with database.transaction(STAFF) as session:
        stopped = service.state(session)
        assert stopped
        assert stopped.everything
        assert stopped.held == 0
        (switch,) = stopped.switches
        assert (switch.by, switch.reason, switch.org_name) == ("Dave", WHY, "ManageAI")
        event = session.scalars(select(Event).where(ABOUT)).one()
        assert (event.type, event.priority, event.subject_type) == ("switch.pulled", "urgent", "switch")
        assert session.scalars(select(AuditEntry.what)).all() == ["switch.pulled"]
        told = session.scalars(select(Notification)).all()
        assert {n.user_id for n in told} == {cast.users["Dave"], deputy().id}
        assert all(n.urgent and n.title == "Dave stopped everything" for n in told)


def test_a_name_with_a_full_stop_or_a_colon_stays_whole_in_the_notice(cast: Cast) -> None:
    with database.transaction(STAFF) as session:
        session.execute(text("UPDATE users SET name = 'Dr. Smith: EU' WHERE id = :id"), {"id": cast.users["Dave"]})
    smith = Actor("Dr. Smith: EU", "user", cast.users["Dave"])
    made = pull(Reach.EVERYTHING, smith)
    assert resume(made.id, smith).sentence == "Dr. Smith: EU asks to resume everything. A second admin has to agree."
    pull(Reach.EVERYTHING, deputy())
    assert (
        resume(pull(Reach.AGENT, smith, agent="Sales AI").id, smith).sentence
        == "Dr. Smith: EU resumed Sales AI. Nothing was held."
    )
    wanted = select(Notification.title, Notification.body).where(Notification.user_id == cast.users["Dave"])
    with database.transaction(STAFF) as session:
        assert session.execute(wanted.order_by(Notification.id)).all() == [
            ("Dr. Smith: EU stopped everything", WHY),
            ("Dr. Smith: EU asks to resume everything", "A second admin has to agree."),
            ("Dave's deputy keeps everything stopped, although Dr. Smith: EU asked to resume", WHY),
            ("Dr. Smith: EU stopped Sales AI", WHY),
            ("Dr. Smith: EU resumed Sales AI", "Nothing was held."),
        ]


def test_who_may_pull_and_resume(cast: Cast) -> None:
    brian, dan = cast.actor("Brian"), cast.actor("Dan")
    for by in (brian, dan, cast.actor("Tony"), Actor("Somebody gone", "user", 999), Actor("Sales AI", "run", 1)):
        with pytest.raises(NotAllowed):
            pull(Reach.EVERYTHING, by)
        with pytest.raises(NotAllowed):
            pull(Reach.ORGANISATION, by, org_id=CORNERSTONE_ORG)
    with pytest.raises(NotAllowed):
        pull(Reach.AGENT, dan, agent="Sales AI")
    key = Actor("Key ops_abc", "api", 1)
    made = pull(Reach.AGENT, key, agent="Sales AI")
    for by in (key, dan, Actor("Clock")):
        with pytest.raises(NotAllowed):
            resume(made.id, by)
    assert resume(made.id, brian).done
    assert pull(Reach.EVERYTHING, service.COMMAND_LINE).created


def test_a_reason_and_a_target_are_needed(cast: Cast) -> None:
    dave = cast.actor("Dave")
    with database.transaction(STAFF) as session:
        for reason in ("", "  \n", "\0"):
            with pytest.raises(BadInput):
                service.pull(session, Reach.EVERYTHING, reason, dave)
        for reach, target in (
            ("all", {}), (Reach.ORGANISATION, {}), (Reach.AGENT, {}), (Reach.AGENT, {"agent": "Sale AI"}),
            (Reach.EVERYTHING, {"org_id": CORNERSTONE_ORG}), (Reach.EVERYTHING, {"agent": "Sales AI"}),
            (Reach.ORGANISATION, {"org_id": uuid4()}), (Reach.ORGANISATION, {"org_id": CORNERSTONE_ORG, "agent": "Sales AI"}),
        ):  # fmt: skip
            with pytest.raises(BadInput):
                service.pull(session, reach, WHY, dave, **target)  # type: ignore[arg-type]
        assert session.scalars(select(KillSwitch)).all() == []


def test_two_who_pull_at_once_are_one_pull(cast: Cast) -> None:
    together = Barrier(8)

    def one(n: int) -> service.Pulled:
        together.wait()
        return pull(Reach.EVERYTHING, cast.actor("Dave") if n % 2 else deputy())

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(one, range(8)))
    assert sum(m.created for m in made) == 1
    assert len({m.id for m in made}) == 1
    with database.transaction(STAFF) as session:
        assert len(session.scalars(select(KillSwitch)).all()) == 1
        assert len(session.scalars(select(Event).where(ABOUT)).all()) == 1


def test_everything_takes_two_different_admins(cast: Cast) -> None:
    dave = cast.actor("Dave")
    made = pull(Reach.EVERYTHING, dave)
    first = resume(made.id, dave)
    assert not first.done
    assert "second admin" in first.sentence
    with pytest.raises(Conflict, match="two people"):
        resume(made.id, dave)
    assert reaches(AGENCY_ID, None) == ["everything"]
    done = resume(made.id, deputy())
    assert done.done
    assert reaches(AGENCY_ID, None) == []
    with pytest.raises(Conflict, match="has resumed everything already"):
        resume(made.id, dave)
    with database.transaction(STAFF) as session:
        assert list(session.scalars(select(Event.type).where(ABOUT).order_by(Event.id))) == [
            "switch.pulled", "switch.resume_asked", "switch.resumed",
        ]  # fmt: skip
        assert list(session.scalars(select(AuditEntry.what).order_by(AuditEntry.seq))) == [
            "switch.pulled", "switch.resume_asked", "switch.resumed",
        ]  # fmt: skip
        with pytest.raises(NotFound):
            service.resume(session, 999, dave)


def test_the_command_line_is_one_of_two_whoever_sits_at_it(cast: Cast) -> None:
    made = pull(Reach.EVERYTHING, service.COMMAND_LINE)
    assert not resume(made.id, service.COMMAND_LINE).done
    with pytest.raises(Conflict):
        resume(made.id, service.COMMAND_LINE)
    assert resume(made.id, cast.actor("Dave")).done


def test_an_admin_who_is_none_any_more_does_not_count(cast: Cast) -> None:
    other = deputy()
    made = pull(Reach.EVERYTHING, cast.actor("Dave"))
    resume(made.id, other)
    with database.transaction(STAFF) as session:
        users.disable(session, "second@manageai.example")
    assert not resume(made.id, cast.actor("Dave")).done, "his is the first wish that counts"


def test_somebody_who_pulls_again_ends_the_wish_to_resume(cast: Cast) -> None:
    dave, other = cast.actor("Dave"), deputy()
    made = pull(Reach.EVERYTHING, dave)
    resume(made.id, dave)
    again = pull(Reach.EVERYTHING, other)
    assert not again.created
    assert again.id == made.id
    assert "although Dave asked" in again.sentence
    assert not resume(made.id, other).done, "it begins anew"


def test_two_who_resume_at_once_are_asked_and_resumed(cast: Cast) -> None:
    made = pull(Reach.EVERYTHING, cast.actor("Dave"))
    together = Barrier(2)

    def one(by: Actor) -> bool:
        together.wait()
        return resume(made.id, by).done

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(one, [cast.actor("Dave"), deputy()])) == [False, True]


def test_pulled_again_after_it_was_over_is_a_new_pull(cast: Cast) -> None:
    first = pull(Reach.ORGANISATION, cast.actor("Dave"), org_id=CORNERSTONE_ORG)
    assert resume(first.id, cast.actor("Dave")).done
    second = pull(Reach.ORGANISATION, cast.actor("Dave"), org_id=CORNERSTONE_ORG)
    assert second.created
    assert second.id != first.id
    with database.transaction(STAFF) as session:
        assert [s.resumed_by for s in queries.history(session)] == [None, "Dave"]


def test_one_cheap_query_and_the_gate_reads_it_live(cast: Cast) -> None:
    with database.transaction(STAFF) as session:
        with counting.queries() as asked:
            assert service.stops(session, CORNERSTONE_ORG, "Sales AI") == ()
        assert len(asked) == 1
        pull(Reach.EVERYTHING, cast.actor("Dave"))  # another transaction, committed
        assert len(service.stops(session, CORNERSTONE_ORG, "Sales AI")) == 1
