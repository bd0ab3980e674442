"""Sending exactly once: what the gate lets through, and what the ledger makes of answers and of none."""

import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from core.errors import Conflict
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions import effects, service
from core.runtime.actions.kinds import Account, Outgoing, Receipt, Refused, Unclear
from core.runtime.connections import service as connections
from core.runtime.runs import service as runs
from tests.core.runtime.actions.kit import House
from tests.gates import set_numbers
from tests.tools.database import sql

KINDS = ("test.note", "test.keyed", "test.blind")


def raising(*errors: Exception | None) -> Any:
    """Answers in turn; None is a good one. The last one stays."""
    told = list(errors)

    def answer(_out: Outgoing, _account: Account) -> Receipt:
        error = told.pop(0) if len(told) > 1 else told[0]
        if error is not None:
            raise error
        return Receipt("late", None, {})

    return answer


def effect(action_id: int) -> Any:
    return sql("SELECT * FROM effects WHERE action_id = :id", id=action_id)[0]


def calls(action_id: int) -> list[tuple[str, str]]:
    return sql(
        "SELECT c.what, c.outcome FROM effect_calls c JOIN effects e ON e.id = c.effect_id WHERE e.action_id = :id ORDER BY c.id",
        id=action_id,
    )


def grow_old(action_id: int, age: str = "1 minute") -> None:
    sql(f"UPDATE effects SET first_sent_at = first_sent_at - interval '{age}' WHERE action_id = :id", id=action_id)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_approved_is_sent_byte_for_byte_and_sealed(house: House, kind: str) -> None:
    made = house.done(kind)
    row = house.row(made)
    assert [o.wire for o in house.desk.sent] == [bytes(row.wire)]
    assert calls(made) == [("send", "applied")]
    assert (row.mode, row.external_ref, effect(made).state) == ("live", "note-1", "done")
    assert [w for (w,) in sql("SELECT what FROM audit_entries WHERE subject_type = 'action' ORDER BY seq")] == [
        "action.approved", "effect.done",
    ]  # fmt: skip


def test_a_note_that_got_no_answer_is_looked_up_before_it_is_sent_again(house: House) -> None:
    made = house.approved()
    house.desk.send = raising(Unclear("No answer."), None)
    assert house.carry_out(made) == "executing"
    assert house.carry_out(made) == "executing"
    assert house.desk.looked == []
    grow_old(made)
    assert house.carry_out(made) == "done"
    assert (len(house.desk.looked), len(house.desk.sent)) == (1, 2)
    assert calls(made) == [("send", "unclear"), ("look-up", "absent"), ("send", "applied")]


def test_a_note_that_is_found_is_not_sent_again(house: House) -> None:
    made = house.approved()
    house.desk.send, house.desk.look_up = raising(Unclear("No answer.")), lambda *_: Receipt("found", None, {})
    house.carry_out(made)
    grow_old(made)
    assert house.carry_out(made) == "done"
    assert (len(house.desk.sent), house.row(made).external_ref) == (1, "found")


def test_with_the_vendors_key_it_is_sent_again_within_its_time(house: House) -> None:
    made = house.approved("test.keyed")
    house.desk.send = raising(Unclear("No answer."), None)
    house.carry_out(made)
    assert house.carry_out(made) == "done"
    assert house.desk.sent[1].effect_key == house.desk.sent[0].effect_key
    assert house.desk.sent[1].first_sent_at is not None


def test_after_the_keys_time_a_person_is_asked(house: House) -> None:
    made = house.approved("test.keyed")
    house.desk.send = raising(Unclear("No answer."), None)
    house.carry_out(made)
    grow_old(made, "56 minutes")  # of 60, less a margin
    assert house.carry_out(made) == "unknown"
    assert len(house.desk.sent) == 1


def test_without_key_and_look_up_a_person_is_asked_at_once(house: House) -> None:
    made = house.approved("test.blind")
    house.desk.send = raising(ConnectionError())
    assert house.carry_out(made) == "unknown"
    assert house.row(made).error["message"] == "No answer came, and it can't be looked up there."
    assert sql("SELECT count(*) FROM notifications WHERE kind = 'unknown'")[0][0] == 1
    house.do(service.resolve, made, False, house.who("Dave"), "web")
    assert (house.row(made).state, effect(made).state) == ("failed", "failed")


@pytest.mark.parametrize("error", [Refused("The key was revoked."), Refused("Busy.", retryable=True, retry_after_s=0.05)])
def test_a_refusal_says_nothing_about_an_earlier_call(house: House, error: Refused) -> None:
    made = house.approved("test.keyed")
    house.desk.send = raising(Unclear("No answer."), error, None)
    house.carry_out(made)
    first = effect(made).first_sent_at
    state = house.carry_out(made)
    assert effect(made).first_sent_at == first  # it may have happened, whatever the second answer says
    assert state == ("executing" if error.retryable else "unknown")


def test_a_refusal_that_time_can_mend_waits_and_is_asked_about_anew(house: House) -> None:
    made = house.approved()
    house.desk.send = raising(Refused("Busy.", retryable=True, retry_after_s=0.05), None)
    assert house.carry_out(made) == "deferred"
    assert effect(made).first_sent_at is None
    assert house.carry_out(made) == "done"
    assert sql("SELECT count(DISTINCT at) FROM policy_verdicts WHERE stage = 'send' AND policy = 'kill_switch'")[0][0] == 2


def test_a_refusal_for_good_fails_and_tells(house: House) -> None:
    made = house.approved()
    house.desk.send = raising(Refused("That channel is archived.", "Choose another channel."))
    assert house.carry_out(made) == "failed"
    assert house.row(made).error == {"message": "That channel is archived.", "next_step": "Choose another channel."}
    assert sql("SELECT count(*) FROM notifications WHERE kind = 'failed'")[0][0] >= 1


def test_five_answers_that_say_nothing_are_a_question_to_a_person(house: House) -> None:
    made = house.approved()
    house.desk.send, house.desk.look_up = raising(Unclear("No answer.")), raising(Unclear("No answer."))
    house.carry_out(made)
    grow_old(made)
    for _ in range(3):
        assert house.carry_out(made) == "executing"
    assert house.carry_out(made) == "unknown"
    assert len(house.desk.sent) == 1


def test_an_edited_one_that_was_refused_before_counts_as_what_it_is_now(house: House) -> None:
    made = house.approved()
    house.desk.send = raising(Refused("Busy.", retryable=True, retry_after_s=0.05), None)
    house.carry_out(made)
    with database.transaction(STAFF) as session:
        set_numbers(session, "two_people", start={"USD": 1})
    sql("UPDATE actions SET state = 'awaiting_approval', approved_sha256 = NULL WHERE id = :id", id=made)
    house.do(service.edit, made, {"text": "Other."}, house.who("Dave"), payload_sha256=house.row(made).payload_sha256, via="web")
    house.decide(made)
    assert house.carry_out(made) == "done"
    from core.runtime.actions.binding import digest

    assert effect(made).wire_sha256 == digest(house.desk.sent[-1].wire)


# ---- one run at a time


def test_an_old_run_that_is_replayed_meets_nothing(house: House) -> None:
    made = house.approved()
    house.desk.send = raising(Refused("Busy.", retryable=True, retry_after_s=0.05), Unclear("No answer."), None)
    first = house.row(made).execute_run_id
    house.carry_out(made)
    assert house.carry_out(made) == "executing"
    grow_old(made)
    replayed = house.do(runs.replay, first, house.who("Dave"))
    from core.runtime.runs import execute

    execute.execute(replayed, "another worker")
    assert (len(house.desk.sent), len(house.desk.looked)) == (2, 0)
    assert house.carry_out(made) == "done"


@pytest.mark.slow
def test_a_process_that_was_frozen_behind_the_gate_sends_nothing_on_its_old_word(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = house.approved()
    opened, slow = connections.open_account, [True]

    def sleepy(*args: Any, **more: Any) -> Account:
        if slow.pop() if slow else False:
            time.sleep(0.6)
        return opened(*args, **more)

    monkeypatch.setattr(connections, "open_account", sleepy)
    assert house.carry_out(made) == "done"
    assert calls(made) == [("send", "not sent"), ("send", "applied")]
    assert len(house.desk.sent) == 1


@pytest.mark.slow
def test_the_record_is_insisted_on_while_the_database_is_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    made = house.approved("test.blind")
    real, fails = effects.ledger.record_done, [1, 1]

    def away(*args: Any) -> str:
        if fails:
            fails.pop()
            raise OperationalError("x", {}, Exception("the connection is gone"))
        return real(*args)

    monkeypatch.setattr(effects.ledger, "record_done", away)
    assert house.carry_out(made) == "done"
    assert len(house.desk.sent) == 1


# ---- the gate


def held(house: House, made: int) -> int:
    from core.runtime.switches import service as switches

    pulled = house.do(switches.pull, "agent", "Stop.", house.who("Dave"), agent="Sales AI")
    assert house.carry_out(made) == "deferred"
    assert house.row(made).deferred_until is None
    return int(pulled.id)


@pytest.fixture
def agents(house: House) -> House:
    with database.transaction(STAFF) as session:
        set_numbers(session, "agent_kinds", may={"Sales AI": list(KINDS)})
    return house


def test_the_kill_switch_holds_and_a_person_lets_go_on(agents: House) -> None:
    from core.runtime.switches import service as switches

    made = agents.approved(agent="Sales AI")
    switch = held(agents, made)
    assert agents.desk.sent == []
    agents.do(switches.resume, switch, agents.who("Dave"))
    assert agents.carry_out(made) == "done"


def test_what_was_held_goes_on_a_few_at_a_time(agents: House) -> None:
    from core.runtime.switches import service as switches
    from tests import acts

    many = service.RELEASE_A_TURN + 50
    with database.transaction(STAFF) as session:
        for n in range(many):
            acts.put(session, "test.note", "deferred", agent="Sales AI", payload={"text": f"Note {n}.", "to": "team", "cost": 0})
    pulled = agents.do(switches.pull, "agent", "Stop.", agents.who("Dave"), agent="Sales AI")
    said = agents.do(switches.resume, pulled.id, agents.who("Dave"))
    assert (said.released, said.sentence) == (many, "Dave resumed Sales AI. 170 held actions go on, 120 a minute.")
    assert sql("SELECT count(*) FROM actions WHERE deferred_until IS NULL")[0][0] == 50, "the clock takes the rest"
    assert agents.do(switches.release_unstopped) == 50  # it comes a moment later, and puts them behind the first ones
    assert agents.do(switches.release_unstopped) == 0
    times = [t for (t,) in sql("SELECT deferred_until FROM actions WHERE state = 'deferred' ORDER BY id")]
    waits = [round((t - times[0]).total_seconds()) for t in times]
    assert waits == [n // 20 * 10 for n in range(many)]


def test_what_waits_for_another_reason_does_not_hold_up_what_was_held(agents: House) -> None:
    from core.kit import clock
    from tests import acts

    with database.transaction(STAFF) as session:
        error = {"message": "Quiet hours.", "next_step": "It goes on by itself."}
        acts.put(session, "test.note", "deferred", deferred_until=clock.now() + timedelta(days=2), error=error)
        held_ = acts.put(session, "test.note", "deferred").id
    assert agents.do(service.release_held, [held_]) == 1
    assert agents.row(held_).deferred_until <= clock.now()


def test_a_denial_that_no_policy_gave_is_not_held_by_the_kill_switch() -> None:
    """Held, it would wait for a switch that is not on."""
    from core.runtime.actions import gate
    from core.runtime.policies.engine import Judgement
    from core.runtime.policies.models import Verdict

    assert not gate._held(Judgement(Verdict.DENY, "No policy allows it."))


def test_what_its_agent_may_no_longer_do_is_denied(agents: House) -> None:
    made = agents.approved(agent="Sales AI")
    with database.transaction(STAFF) as session:
        set_numbers(session, "agent_kinds", may={})
    assert agents.carry_out(made) == "denied"
    assert agents.desk.sent == []


@pytest.mark.parametrize("kind", ["test.note", "test.keyed"])
def test_after_no_answer_the_kill_switch_still_holds(agents: House, kind: str) -> None:
    made = agents.approved(kind, agent="Sales AI")
    agents.desk.send = raising(Unclear("No answer."), None)
    agents.carry_out(made)
    grow_old(made)
    held(agents, made)
    assert len(agents.desk.sent) == 1
    assert (effect(made).first_sent_at is None) == (kind == "test.note")  # looked up: absent; with a key: nobody knows yet


def test_what_may_have_been_sent_is_neither_withdrawn_nor_dismissed(agents: House) -> None:
    made = agents.approved("test.keyed", agent="Sales AI")
    agents.desk.send = raising(Unclear("No answer."), None)
    agents.carry_out(made)
    held(agents, made)
    with pytest.raises(Conflict, match="It may have been sent already"):
        agents.do(service.withdraw, made, agents.who("Dave"))
    sql("UPDATE actions SET expires_at = now() - interval '1 second' WHERE id = :id", id=made)
    from core.runtime.actions import sweep

    sweep.sweep()
    assert agents.row(made).state == "unknown"


def test_another_account_is_rendered_anew_and_asked_about_anew(house: House) -> None:
    made = house.approved()
    dave = house.who("Dave")
    old = sql("SELECT id FROM connections")[0][0]
    house.do(connections.remove, old, dave)
    house.do(connections.save, "slack", "main", {}, "xoxb-another-token-1", dave)
    assert house.carry_out(made) == "awaiting_approval"
    row = house.row(made)
    assert (row.version, row.account != f"slack:{old}", row.approved_sha256) == (2, True, None)
    house.decide(made)
    assert house.carry_out(made) == "done"


def test_an_account_that_is_gone_when_it_may_have_been_sent_is_a_question(house: House) -> None:
    made = house.approved()
    house.desk.send = raising(Unclear("No answer."), None)
    house.carry_out(made)
    house.do(connections.remove, sql("SELECT id FROM connections")[0][0], house.who("Dave"))
    grow_old(made)
    assert house.carry_out(made) == "unknown"


def test_without_a_connection_it_is_a_dry_run(house: House) -> None:
    sql("DELETE FROM connections")
    made = house.done()
    assert (house.row(made).mode, house.row(made).account, house.desk.sent, calls(made)) == ("dry_run", "none", [], [])
    assert effect(made).dry_run


def test_demo_actions_are_dry_runs(house: House) -> None:
    made = house.done(demo=True)
    assert (house.row(made).mode, house.desk.sent) == ("dry_run", [])


def test_changed_while_it_may_have_been_sent_is_a_question(house: House) -> None:
    made = house.approved("test.keyed")
    house.desk.send = raising(Unclear("No answer."), None)
    house.carry_out(made)
    sql("UPDATE actions SET wire = 'other' WHERE id = :id", id=made)
    assert house.carry_out(made) == "unknown"
    assert len(house.desk.sent) == 1


def test_expired_while_it_may_have_been_sent_is_a_question(house: House) -> None:
    made = house.approved("test.keyed")
    house.desk.send = raising(Unclear("No answer."), None)
    house.carry_out(made)
    house.expire(made)
    assert house.carry_out(made) == "unknown"
    assert house.row(made).error["message"] == "No answer came, and it may not be sent again. Its time is over."
