"""Work for people: made by an action, once; taken back; done by whose it is."""

import json
from datetime import date

import pytest
from sqlalchemy import func, select

from core.domains.tasks import queries, service
from core.domains.tasks.models import Task
from core.errors import BadInput, Conflict, NotAllowed, NotFound
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions import kinds
from core.runtime.actions.kinds import Rendering
from core.runtime.actions.models import Audience
from core.runtime.notifications import queries as notifications
from core.runtime.orgs.models import AGENCY_ID
from tests.acts import put

ASKED = {
    "title": "Call Northwind about the invoice", "detail": "She waits at the office.", "reason": "client_asked",
    "evidence": "Nora wrote: please have somebody call me today.", "assignee": "dan@manageai.example", "due": "2026-11-24",
}  # fmt: skip


def carry_out(session, kind, payload):
    """Render and do it as the effect engine would, in this transaction."""
    made = kinds.get(kind)
    action = put(session, kind, "executing", payload=payload)
    drawn = made.render(made.read(payload), Rendering(AGENCY_ID, action.effect_key, None, session))
    action.wire = drawn.wire
    return drawn, made.inside(session, action), action


def mine(session, cast, name, role):
    return [t.title for t in queries.open_for(session, cast.users[name], role)]


def test_a_task_is_made_once_and_told_to_whom_it_is_for(cast):
    with database.transaction(STAFF) as session:
        drawn, receipt, action = carry_out(session, "task.create", ASKED)
        again = kinds.get("task.create").inside(session, action)
        assert again.data == receipt.data
        assert session.scalar(select(func.count()).select_from(Task)) == 1
        assert (drawn.title, drawn.target, drawn.audience) == (
            "Task for Dan: Call Northwind about the invoice (the client asked)", "Dan", Audience.INTERNAL,
        )  # fmt: skip
        assert mine(session, cast, "Dan", "delivery") == [ASKED["title"]]
        assert mine(session, cast, "Tony", "sales") == []
        assert notifications.unread(session, cast.users["Dan"]) == 1
        task = session.scalars(select(Task)).one()
        assert task.due_at.isoformat() == "2026-11-25T05:59:59+00:00", "the end of the day in Chicago"
        assert task.action_id == action.id


def test_a_task_for_a_role_is_anybodys_of_it(cast):
    with database.transaction(STAFF) as session:
        drawn, _, _ = carry_out(session, "task.create", ASKED | {"assignee": "Sales", "due": ""})
        assert drawn.target == "everybody in sales"
        (row,) = queries.open_for(session, cast.users["Tony"], "sales")
        assert (row.mine, row.late, row.due_at, row.reason) == (False, False, None, "The client asked")
        assert queries.open_for(session, cast.users["Dan"], "delivery") == []
        service.done(session, row.id, cast.actor("Tony"))
        assert queries.open_for(session, cast.users["Tony"], "sales") == []


@pytest.mark.parametrize(
    "over",
    [{"reason": "nice_to_have"}, {"reason": None}, {"evidence": ""}, {"evidence": " "}, {"title": " "}, {"title": "x" * 201},
     {"due": "soon"}, {"assignee": ""}, {"user_id": 3}],
)  # fmt: skip
def test_without_a_reason_and_what_shows_it_there_is_no_task(over):
    with pytest.raises(BadInput):
        kinds.get("task.create").read(ASKED | over)


@pytest.mark.parametrize("who", ["nora@northwind.example", "boss", "dan@manageai.example.evil.com"])
def test_only_our_own_people_get_tasks(cast, who):
    with database.transaction(STAFF) as session, pytest.raises(BadInput, match="Nobody here"):
        carry_out(session, "task.create", ASKED | {"assignee": who})


def test_undo_takes_it_back_unless_it_is_done(cast):
    create = kinds.get("task.create")
    with database.transaction(STAFF) as session:
        _, receipt, _ = carry_out(session, "task.create", ASKED)
        undo = create.undo_payload(ASKED, receipt)
        drawn, _, _ = carry_out(session, create.undo_kind, undo)
        assert drawn.title == "Take back the task: Call Northwind about the invoice"
        assert session.scalar(select(func.count()).select_from(Task)) == 0
        carry_out(session, create.undo_kind, undo)  # gone already is as it should be
        _, receipt, _ = carry_out(session, "task.create", ASKED)
        service.done(session, receipt.data["task_id"], cast.actor("Dan"))
        with pytest.raises(Conflict, match="Dan has done that task already"):
            carry_out(session, create.undo_kind, create.undo_payload(ASKED, receipt))
        with pytest.raises(Conflict):
            service.remove(session, receipt.data["task_id"])


def test_whose_it_is_or_an_admin_says_that_it_is_done(cast):
    with database.transaction(STAFF) as session:
        _, receipt, _ = carry_out(session, "task.create", ASKED)
        task_id = receipt.data["task_id"]
        with pytest.raises(NotAllowed):
            service.done(session, task_id, cast.actor("Tony"))
        service.done(session, task_id, cast.actor("Dave"))
        with pytest.raises(Conflict, match="Dave has done that task already"):
            service.done(session, task_id, cast.actor("Dan"))
        with pytest.raises(NotFound):
            service.done(session, 999, cast.actor("Dan"))


def test_the_bytes_that_were_approved_are_what_is_made(cast):
    """Whatever the payload says by then: the wire is what people saw."""
    with database.transaction(STAFF) as session:
        made = kinds.get("task.create")
        action = put(session, "task.create", "executing", payload=ASKED | {"title": "Something else"})
        action.wire = made.render(made.read(ASKED), Rendering(AGENCY_ID, action.effect_key, None, session)).wire
        made.inside(session, action)
        assert session.scalars(select(Task.title)).one() == ASKED["title"]
        assert json.loads(action.wire)["due"] == date(2026, 11, 24).isoformat()
