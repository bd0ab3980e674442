import threading
from itertools import pairwise

import pytest
from sqlalchemy import func, select

from core.domains.delivery import rules, service
from core.domains.delivery.models import Deployment, DeploymentStatus, Platform, Ticket, TicketStatus, TicketStatusChange
from core.domains.delivery.service import NewDeployment, NewTicket
from core.errors import BadInput, Conflict, NotFound
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.events.models import Event
from core.runtime.orgs.models import AGENCY_ID
from tests.cast import CORNERSTONE_ORG, make_cast
from tests.core.domains.delivery.scene import ticket


def _events(session, type_=None):
    wanted = select(Event).order_by(Event.id)
    return list(session.scalars(wanted if type_ is None else wanted.where(Event.type == type_)))


@pytest.mark.parametrize("before", list(TicketStatus))
def test_a_ticket_makes_exactly_the_moves_the_machine_allows(db, before):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        for after in TicketStatus:
            _try_move(session, cast, before, after)


def _try_move(session, cast, before, after):
    made = ticket(session, status=before, client=cast.cornerstone)
    told = len(_events(session))
    lines = select(func.count()).where(TicketStatusChange.ticket_id == made)
    changes = session.scalar(lines)
    if before is after:
        assert not service.move(session, made, after, cast.actor("Brian")).changed
    elif after in rules.TRANSITIONS[before]:
        moved = service.move(session, made, after, cast.actor("Brian"))
        assert (moved.before, moved.after, moved.changed) == (before, after, True)
        event = _events(session)[-1]
        assert (event.id, event.type, event.subject_id) == (moved.event_id, f"ticket.{after.lower()}", made)
        assert event.org_id == CORNERSTONE_ORG
        told, changes = told + 1, changes + 1
    else:
        with pytest.raises(Conflict, match="can't become"):
            service.move(session, made, after, cast.actor("Brian"))
    arrived = after if after in rules.TRANSITIONS[before] else before
    assert session.get(Ticket, made).status == arrived
    assert len(_events(session)) == told
    assert session.scalar(lines) == changes


def test_the_machine_leads_from_submission_to_closing_and_nothing_leaves_closed():
    path = ["SUBMITTED", "ANALYZING", "BUILDING", "REVIEW_PENDING", "APPROVED", "DEPLOYED", "CLOSED"]
    for before, after in pairwise(path):
        assert rules.can_move(TicketStatus(before), TicketStatus(after))
    assert rules.TRANSITIONS[TicketStatus.CLOSED] == frozenset()
    assert set(rules.TRANSITIONS) == set(TicketStatus) == set(map(TicketStatus, rules.NAMES))


def test_a_new_ticket_belongs_to_its_client_and_tells_engineering(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        made = service.create_ticket(session, NewTicket("  Lead   routing ", Platform.N8N, cast.cornerstone), cast.actor("Tony"))
        found = session.get(Ticket, made)
        assert (found.title, found.org_id, found.status) == ("Lead routing", CORNERSTONE_ORG, "SUBMITTED")
        event = _events(session, "ticket.created")[0]
        assert (event.subject_id, event.to_agents, event.actor) == (made, ["Engineering AI"], "Tony")
        inside = service.create_ticket(session, NewTicket("Own tool", Platform.MAKE), cast.actor("Brian"))
        assert session.get(Ticket, inside).org_id == AGENCY_ID
        with pytest.raises(BadInput):
            service.create_ticket(session, NewTicket("  ", Platform.N8N), cast.actor("Tony"))
        with pytest.raises(NotFound):
            service.create_ticket(session, NewTicket("X", Platform.N8N, 999), cast.actor("Tony"))


def test_a_change_that_is_rolled_back_leaves_no_history_and_no_event(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        made = ticket(session)
        before = len(_events(session))

    def move_and_fail():
        with database.transaction(STAFF) as session:
            service.move(session, made, TicketStatus.ANALYZING, cast.actor("Brian"))
            raise LookupError

    with pytest.raises(LookupError):
        move_and_fail()
    with database.transaction(STAFF) as session:
        assert session.get(Ticket, made).status == "SUBMITTED"
        assert len(_events(session)) == before
        assert session.scalar(select(func.count()).select_from(TicketStatusChange)) == 1


@pytest.mark.slow
def test_of_two_people_who_move_at_once_the_second_is_told(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        made = ticket(session, status=TicketStatus.REVIEW_PENDING)
    outcome = []

    def second():
        try:
            with database.transaction(STAFF) as session:
                service.move(
                    session, made, TicketStatus.BUILDING, cast.actor("Dan"), expected=TicketStatus.REVIEW_PENDING, note="again"
                )
            outcome.append("moved")
        except Conflict as error:
            outcome.append(str(error))

    with database.transaction(STAFF) as session:
        service.move(session, made, TicketStatus.APPROVED, cast.actor("Brian"), expected=TicketStatus.REVIEW_PENDING)
        other = threading.Thread(target=second)
        other.start()
        other.join(0.3)
        assert other.is_alive()  # it waits for the first one's lock
    other.join(10)
    assert "is now approved" in outcome[0]
    with database.transaction(STAFF) as session:
        assert session.get(Ticket, made).status == "APPROVED"


def test_sending_work_back_says_so(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        made = ticket(session, status=TicketStatus.REVIEW_PENDING)
        service.move(session, made, TicketStatus.BUILDING, cast.actor("Brian"), note="no error handler")
        event = _events(session)[-1]
        assert event.summary == "Brian sent “Lead routing” back to building: no error handler."
        assert event.payload["revision"] is True


def test_closing_notes_when(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        made = ticket(session, status=TicketStatus.DEPLOYED)
        service.move(session, made, TicketStatus.CLOSED, cast.actor("Dan"))
        assert session.get(Ticket, made).closed_at is not None


def test_a_deployment_that_works_deploys_the_ticket_once(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        made = ticket(session, status=TicketStatus.APPROVED, client=cast.northwind, value=500_00)
        for _ in range(2):
            service.record_deployment(session, NewDeployment(made, DeploymentStatus.SUCCEEDED), cast.actor("Brian"))
        assert session.get(Ticket, made).status == "DEPLOYED"
        assert len(_events(session, "ticket.deployed")) == 1
        assert session.scalars(select(Deployment.value_minor)).all() == [500_00, 500_00]


def test_a_failed_deployment_leaves_the_ticket_approved_and_alerts(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        made = ticket(session, status=TicketStatus.APPROVED)
        service.record_deployment(session, NewDeployment(made, DeploymentStatus.FAILED, "no key"), cast.actor("Brian"))
        assert session.get(Ticket, made).status == "APPROVED"
        event = _events(session, "deployment.failed")[0]
        assert (event.priority, event.payload["error"]) == ("high", "no key")
        with pytest.raises(Conflict, match="not approved"):
            service.record_deployment(session, NewDeployment(ticket(session), DeploymentStatus.SUCCEEDED), cast.actor("Brian"))


def test_assigning_twice_tells_once(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        made = ticket(session)
        for _ in range(2):
            service.assign(session, made, cast.users["Brian"], cast.actor("Dave"), name="Brian")
        assert [e.summary for e in _events(session, "ticket.assigned")] == ["Dave gave “Lead routing” to Brian."]


def test_what_is_done_to_a_demo_ticket_is_demo(db):
    with database.transaction(STAFF) as session:
        cast = make_cast(session)
        made = ticket(session, demo=True)
        service.move(session, made, TicketStatus.ANALYZING, cast.actor("Brian"))
        assert _events(session)[-1].demo
        assert session.scalars(select(TicketStatusChange).order_by(TicketStatusChange.id.desc())).first().demo
