"""Who may decide what, in which state, and what becomes of it."""

import pytest

from core.errors import BadInput, Conflict, NotAllowed, OpsError
from core.kit import db as database
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions import service
from core.runtime.actions.models import ActionState, Decided
from core.runtime.orgs.models import AGENCY_ID
from tests import acts
from tests.cast import NORTHWIND_ORG
from tests.core.runtime.actions.kit import House
from tests.gates import set_numbers
from tests.tools.database import sql

COMMANDS = ("approve", "reject", "edit", "reply", "delegate", "undo", "resolve", "withdraw")
ALLOWED = {
    "awaiting_approval": {"approve", "reject", "edit", "reply", "delegate", "withdraw"},
    "deferred": {"withdraw"},
    "approved": {"withdraw"},
    "unknown": {"resolve"},
    "done": {"undo"},
}
"""State to what may be done; in every other state nothing."""


def command(house: House, name: str, action_id: int) -> object:
    dave, sha = house.who("Dave"), house.row(action_id).payload_sha256
    bound = {"payload_sha256": sha, "via": "web"}
    return {
        "approve": lambda: house.do(service.decide, action_id, Decided.APPROVE, dave, **bound),
        "reject": lambda: house.do(service.decide, action_id, Decided.REJECT, dave, **bound),
        "edit": lambda: house.do(service.edit, action_id, {"text": "Other."}, dave, **bound),
        "reply": lambda: house.do(service.reply, action_id, "Why?", dave, **bound),
        "delegate": lambda: house.do(service.delegate, action_id, house.cast.users["Brian"], dave, "web"),
        "undo": lambda: house.do(service.undo, action_id, dave, "web"),
        "resolve": lambda: house.do(service.resolve, action_id, True, dave, "web"),
        "withdraw": lambda: house.do(service.withdraw, action_id, dave),
    }[name]()


@pytest.mark.parametrize("state", list(ActionState))
def test_every_command_in_every_state_is_allowed_or_says_clearly_why_not(house: House, state: ActionState) -> None:
    with database.transaction(STAFF) as session:
        set_numbers(session, "agent_kinds", may={"Sales AI": ["test.note"]})
    for name in COMMANDS:
        with database.transaction(STAFF) as session:
            made = acts.put(
                session,
                "test.note",
                state.value,
                account="slack:1",
                agent="Sales AI",
                payload={"text": "Hi", "to": "team", "cost": 0},
            )
            if state in (ActionState.DONE, ActionState.UNKNOWN, ActionState.UNDONE):
                acts.effect(
                    session, made, state.value if state != ActionState.UNDONE else "done", external_ref="note-1", receipt={}
                )
        if name in ALLOWED.get(state.value, set()):
            command(house, name, made.id)
            assert house.row(made.id).state != state or name in ("edit", "reply", "delegate", "undo")
            continue
        with pytest.raises(Conflict) as refused:
            command(house, name, made.id)
        said = refused.value.message
        assert said.endswith("."), said
        assert said[0].isupper(), said
        assert "_" not in said, said
        assert house.row(made.id).state == state


def test_a_key_makes_a_proposal_once(house: House) -> None:
    first, second = house.propose(key="brief:1"), house.propose(key="brief:1", payload={"text": "Another."})
    assert (second.id, second.created, first.created) == (first.id, False, True)
    assert sql("SELECT count(*) FROM actions WHERE kind = 'test.note'")[0][0] == 1


def test_a_key_at_the_same_moment_makes_a_proposal_once(house: House) -> None:
    import threading

    gate, made = threading.Barrier(8), []

    def go() -> None:
        gate.wait()
        made.append(house.propose(key="brief:2"))

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({m.id for m in made}) == 1
    assert sum(m.created for m in made) == 1


def test_an_approval_names_the_version_it_was_given_for(house: House) -> None:
    made = house.propose()
    old = house.row(made.id).payload_sha256
    house.do(
        service.edit,
        made.id,
        {"text": "Better."},
        house.who("Dave"),
        payload_sha256=old,
        via="web",
    )
    with pytest.raises(Conflict, match="Dave changed it since you opened it"):
        house.decide(made.id, sha=old)
    assert house.row(made.id).version == 2
    house.decide(made.id)
    assert house.carry_out(made.id) == "done"
    assert house.desk.sent[0].wire.endswith(b"team: Better.")


def test_an_edit_voids_the_approvals_given_before(house: House) -> None:
    with database.transaction(STAFF) as session:
        set_numbers(session, "two_people", start={"USD": 100})
    sql("UPDATE users SET role = 'admin' WHERE name IN ('Brian', 'Dan')")
    made = house.propose(payload={"text": "Buy it.", "cost": 500})
    assert house.decide(made.id, "Dave").state == "awaiting_approval"
    house.do(
        service.edit, made.id, {"text": "Buy two."}, house.who("Dan"), payload_sha256=house.row(made.id).payload_sha256, via="web"
    )
    assert house.decide(made.id, "Dave").state == "awaiting_approval"
    assert house.decide(made.id, "Brian").state == "approved"


def test_two_people_are_two_different_ones(house: House) -> None:
    with database.transaction(STAFF) as session:
        set_numbers(session, "two_people", start={"USD": 100})
    sql("UPDATE users SET role = 'admin' WHERE name = 'Brian'")
    made = house.propose(payload={"text": "Buy it.", "cost": 500})
    assert house.decide(made.id, "Dave").sentence == "Approved, 1 of 2. It needs somebody else as well."
    with pytest.raises(Conflict, match="You have approved this already"):
        house.decide(made.id, "Dave")
    assert house.decide(made.id, "Brian").state == "approved"
    assert house.carry_out(made.id) == "done"


@pytest.mark.parametrize("how", ["asked", "edited"])
def test_nobody_approves_their_own_money(house: House, how: str) -> None:
    by = "Dave" if how == "asked" else "Robert"
    made = house.propose(payload={"text": "Buy it.", "cost": 500}, by=by)
    if how == "edited":
        bound = {"payload_sha256": house.row(made.id).payload_sha256, "via": "web"}
        house.do(service.edit, made.id, {"cost": 700}, house.who("Dave"), **bound)
    with pytest.raises(NotAllowed, match="You can't approve money you asked for yourself"):
        house.decide(made.id, "Dave")
    sql("UPDATE users SET role = 'admin' WHERE name = 'Brian'")
    assert house.decide(made.id, "Brian").state == "approved"


def test_who_may_not_decide_is_told_who_may(house: House) -> None:
    made = house.propose()
    with pytest.raises(NotAllowed, match="This is for admin to decide"):
        house.decide(made.id, "Tony")
    house.do(service.delegate, made.id, house.cast.users["Tony"], house.who("Dave"), "web")
    assert house.decide(made.id, "Tony").state == "approved"


def test_a_role_is_read_anew_for_each_decision(house: House) -> None:
    made = house.propose()
    sql("UPDATE users SET role = 'sales' WHERE name = 'Dave'")
    with pytest.raises(NotAllowed):
        house.decide(made.id, "Dave")
    sql("UPDATE users SET role = 'admin', disabled_at = now() WHERE name = 'Dave'")
    with pytest.raises(NotAllowed, match="Only a person who may sign in"):
        house.decide(made.id, "Dave")


@pytest.mark.parametrize("by", [Actor("Sales AI", "run", 1), Actor("Cli", "cli"), Actor("Nobody", "user", 999)])
def test_no_agent_and_no_stranger_decides(house: House, by: Actor) -> None:
    made = house.propose()
    with pytest.raises(NotAllowed):
        house.do(service.decide, made.id, Decided.APPROVE, by, payload_sha256=house.row(made.id).payload_sha256, via="web")


def test_an_api_key_decides_only_what_is_harmless(house: House) -> None:
    key = Actor("Key", "api", 1)
    money = house.propose(payload={"text": "Buy it.", "cost": 1})
    with pytest.raises(NotAllowed, match="An API key may not decide this"):
        house.do(service.decide, money.id, Decided.APPROVE, key, payload_sha256=house.row(money.id).payload_sha256, via="api")


def test_after_the_deadline_nobody_decides(house: House) -> None:
    made = house.propose()
    sql("UPDATE actions SET deadline_at = now() - interval '1 second' WHERE id = :id", id=made.id)
    with pytest.raises(Conflict, match="Its time to be decided is over"):
        house.decide(made.id)


def test_approving_an_item_that_expires_before_it_is_sent_sends_nothing(house: House) -> None:
    made = house.propose()
    house.decide(made.id)
    house.expire(made.id)
    assert house.carry_out(made.id) == "dismissed"
    assert house.desk.sent == []
    assert house.row(made.id).outcome == "expired"


def test_many_are_approved_by_one_decision_each(house: House) -> None:
    made = [house.propose(payload={"text": f"Note {n}."}).id for n in range(3)]
    shas = [house.row(i).payload_sha256 for i in made]
    house.decide(made[1], decision=Decided.REJECT)
    told = house.do(service.approve_many, list(zip(made, shas, strict=True)), house.who("Dave"), "web")
    assert [r.ok for r in told] == [True, False, True]
    assert told[1].sentence == "Dave was first: it is dismissed. There is nothing left to decide."
    decided = sql("SELECT action_id, decision FROM action_decisions ORDER BY action_id, id")
    assert decided == [(made[0], "approve"), (made[1], "reject"), (made[2], "approve")]


def test_only_alike_are_approved_together(house: House) -> None:
    made = [house.propose().id, house.propose("test.blind").id]
    with pytest.raises(BadInput, match="These are not alike"):
        house.do(service.approve_many, [(i, house.row(i).payload_sha256) for i in made], house.who("Dave"), "web")


def test_a_reply_decides_nothing_and_reaches_the_agent(house: House) -> None:
    with database.transaction(STAFF) as session:
        set_numbers(session, "agent_kinds", may={"Sales AI": ["test.note"]})
    made = house.propose(agent="Sales AI")
    bound = {"payload_sha256": house.row(made.id).payload_sha256, "via": "web"}
    event = house.do(service.reply, made.id, "Shorter, please.", house.who("Dave"), **bound)
    assert house.row(made.id).state == "awaiting_approval"
    assert sql("SELECT payload->>'text' FROM events WHERE id = :id", id=event) == [("Shorter, please.",)]
    with pytest.raises(BadInput, match="The reply is empty"):
        house.do(service.reply, made.id, " ", house.who("Dave"), **bound)


def test_an_agent_redrafts_only_what_it_asked_for_and_its_words_are_not_trusted(house: House) -> None:
    with database.transaction(STAFF) as session:
        set_numbers(session, "agent_kinds", may={"Sales AI": ["test.note"]})
    made = house.propose(agent="Sales AI", provenance={"to": {"origin": "trusted", "source": "the CRM"}})
    bound = {"payload_sha256": house.row(made.id).payload_sha256, "via": "web"}
    with pytest.raises(NotAllowed, match="only redraft what it proposed itself"):
        house.do(service.edit, made.id, {"to": "eve"}, Actor("Executive AI", "run", 77), **bound)
    house.do(service.edit, made.id, {"to": "eve"}, Actor("Sales AI", "run", 77), **bound)
    row = house.row(made.id)
    assert (row.state, row.provenance["to"]["origin"], row.version) == ("awaiting_approval", "untrusted", 2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Nothing was changed"),
        ({"wire": "x"}, "can't be edited"),
        ({"cost": "much"}, "note: cost:"),
        ({"text": "Hello."}, "Nothing"),
    ],
)
def test_edits_that_make_no_sense(house: House, changes: dict[str, str], said: str) -> None:
    made = house.propose()
    with pytest.raises(BadInput, match=said):
        house.do(service.edit, made.id, changes, house.who("Dave"), payload_sha256=house.row(made.id).payload_sha256, via="web")


def test_what_was_done_is_taken_back_once(house: House) -> None:
    made = house.done()
    dave = house.who("Dave")
    back = house.do(service.undo, made, dave, "web")
    assert house.do(service.undo, made, dave, "web").id == back.id
    assert house.carry_out(back.id) == "done"
    assert house.desk.sent[1].wire.endswith(b"team: no note-1")
    assert house.row(made).state == "undone"


def test_an_undo_that_came_to_nothing_may_be_tried_again(house: House) -> None:
    made = house.done()
    first = house.do(service.undo, made, house.who("Dave"), "web")
    sql("UPDATE actions SET state = 'failed' WHERE id = :id", id=first.id)
    again = house.do(service.undo, made, house.who("Dave"), "web")
    assert again.created
    assert again.id != first.id


@pytest.mark.parametrize(("kind", "said"), [("test.blind", "can't be undone"), ("test.note", "dry run")])
def test_what_can_not_be_taken_back(house: House, kind: str, said: str) -> None:
    if kind == "test.note":
        sql("DELETE FROM connections")
    made = house.done(kind)
    with pytest.raises(BadInput, match=said):
        house.do(service.undo, made, house.who("Dave"), "web")


def test_a_person_says_what_became_of_an_undo(house: House) -> None:
    made = house.done()
    back = house.do(service.undo, made, house.who("Dave"), "web")

    def silence(*_: object) -> None:
        raise TimeoutError

    house.desk.send = silence  # type: ignore[assignment]
    assert house.carry_out(back.id) == "unknown"
    house.do(service.resolve, back.id, True, house.who("Dave"), "web")
    assert (house.row(back.id).state, house.row(made).state) == ("done", "undone")


def test_nobody_proposes_under_another_organisations_key(house: House) -> None:
    house.propose(key="mine")
    with pytest.raises(OpsError), database.transaction(NORTHWIND_ORG) as session:
        service.propose(
            session, service.Proposal("test.note", {"text": "x"}, house.who("Dave"), org_id=NORTHWIND_ORG, key="mine")
        )
    assert sql("SELECT DISTINCT org_id FROM actions") == [(AGENCY_ID,)]
