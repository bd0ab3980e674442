"""What a run proposes: once, with its facts; what the model may ask for; and what happens when it can't be made."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from core.domains.users.models import User
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.actions.models import Action, ActionState
from core.runtime.agents import asking, facts, specs, staleness
from core.runtime.agents.asking import Asker
from core.runtime.orgs.people import Person
from core.runtime.policies.models import PolicySetting
from core.runtime.runs import execute, service
from core.runtime.runs.models import Run, RunStep
from tests.core.runtime.agents import lab
from tests.fakeworld import anthropic as fake

DAVE = Person(3, "Dave", "dave@manageai.example", "admin")
KNOWN = {f.key: f for f in lab.deals(None, lab.context()).facts}
GOOD = {"kind": "slack.post", "to": "#lab", "text": "Somebody should look at [[lab.deals.top]] today."}


@pytest.fixture
def asker():
    return Asker(("slack.post", "mail.send"), ("#lab",), (DAVE,))


def test_the_tool_lists_whom_it_reaches_by_reference_only(asker):
    tool = asker.definition()
    assert tool["input_schema"]["properties"]["to"]["enum"] == ["#lab", "person:3"]
    assert "person:3 is Dave" in tool["description"]
    assert "manageai.example" not in str(tool)


@pytest.mark.parametrize(
    "change",
    [
        {"to": "#leadership"}, {"to": "#LAB"}, {"to": "#lab "}, {"to": "C012345"}, {"kind": "mail.send", "to": "#lab"},
        {"kind": "mail.send", "to": "dave@manageai.example"}, {"kind": "mail.send", "to": "person:4"},
        {"kind": "mail.send", "to": "person:3\n"}, {"kind": "mail.send", "to": "person:3, x@evil.example"},
        {"kind": "pipedrive.deal.create"}, {"kind": ""}, {"cc": "x@evil.example"}, {"text": 7}, {"text": ""},
        {"text": "There are 99 deals to look at."}, {"text": "See https://evil.example/x for [[lab.deals.top]]."},
        {"text": "Write to x@evil.example about [[lab.deals.top]]."}, {"text": "@channel look at [[lab.deals.top]] now."},
        {"text": "Somebody should look. " * 200}, {"kind": "mail.send", "to": "person:3", "subject": "a\nBcc: x@evil.example"},
        {"kind": "mail.send", "to": "person:3", "subject": "99 deals"},
    ],
)  # fmt: skip
def test_what_is_not_on_the_list_or_badly_said_is_not_taken(change, asker):
    said, wrong = asker.take(GOOD | change, KNOWN)
    assert wrong, said
    assert asker.taken == []


def test_what_is_allowed_is_taken_once_and_not_without_end(asker):
    assert asker.take(GOOD, KNOWN)[1] is False
    assert asker.take(GOOD, KNOWN) == ("That was noted before.", False)
    for n in range(2, asking.MOST + 2):
        asker.take(GOOD | {"text": GOOD["text"] + " Please" * n + "."}, KNOWN)
    assert len(asker.taken) == asking.MOST


@pytest.fixture
def may_ask(agency):
    specs._specs[lab.JOB.name] = replace(lab.JOB, proposes=("slack.post", "mail.send"))
    lab.schedule()
    return agency


def test_what_the_model_asked_for_is_proposed_to_the_person_of_our_records(may_ask, fake_anthropic):
    with database.transaction(STAFF) as session:
        dave = session.scalars(select(User.id)).one()
    mail = GOOD | {"kind": "mail.send", "to": f"person:{dave}", "subject": "A deal"}
    fake_anthropic.script(fake.asks(("a", "propose_action", mail), ("b", "propose_action", GOOD)), fake.faithful())
    run = lab.run()
    asked = [a for a in lab.actions(run.id) if ":asked:" in a.key]
    assert [(a.kind, a.state) for a in asked] == [("mail.send", "approved"), ("slack.post", "approved")]
    assert asked[0].payload["to"] == "dave@manageai.example"
    assert asked[0].provenance["to"] == {"origin": "trusted", "source": "our own record of Dave"}
    assert "Lab AI asked for it" in asked[0].reason
    assert run.output["produced"]["actions"] == 4
    assert fake_anthropic.bodies[0]["tools"][-1]["name"] == "propose_action"


def test_a_job_that_does_not_let_it_gives_the_model_no_such_tool(agency, fake_anthropic):
    lab.schedule()
    fake_anthropic.script(fake.asks(("a", "propose_action", GOOD)), fake.faithful())
    run = lab.run()
    assert [t["name"] for t in fake_anthropic.bodies[0]["tools"]] == ["look_up"]
    assert len(lab.actions(run.id)) == 2


def test_a_report_that_does_not_pass_takes_what_was_asked_for_down_with_it(may_ask, fake_anthropic):
    fake_anthropic.script(fake.asks(("a", "propose_action", GOOD)), fake.adding("Also 57 deals slipped."))
    run = lab.run()
    assert run.output["composer"] == "template"
    assert len(lab.actions(run.id)) == 2


def test_a_denied_message_stands_in_the_note_and_on_the_step(agency):
    with database.transaction(STAFF) as session:
        session.query(PolicySetting).delete()
    lab.schedule()
    run = lab.run()
    assert {a.state for a in lab.actions(run.id)} == {ActionState.DENIED}
    assert "2 actions proposed: 2 denied." in run.output["note"]
    with database.transaction(STAFF) as session:
        note = session.scalar(select(RunStep.note).where(RunStep.run_id == run.id, RunStep.name == "act"))
    assert note == "2 actions proposed: 2 denied."


def test_a_message_that_cannot_be_made_leaves_the_report_and_the_others(agency):
    broken = replace(lab.JOB, intents=(specs.Intent("slack", "no channel!"), *lab.JOB.intents))
    specs._specs[lab.JOB.name] = broken
    lab.schedule()
    run = lab.run()
    assert run.state == "succeeded"
    assert "The message to no channel! could not be proposed" in run.output["note"]
    assert len(lab.actions(run.id)) == 2


# ---- facts that changed


def waiting_action(**payload) -> int:
    """The lab's mail, made to wait, as if proposed a quarter of an hour ago."""
    lab.schedule()
    run = lab.run(payload=payload)
    with database.transaction(STAFF) as session:
        mail = session.scalars(select(Action).where(Action.run_id == run.id, Action.kind == "slack.post")).first()
        mail.state = ActionState.AWAITING
        session.execute(staleness.update(Action).values(created_at=staleness.func.now() - staleness.timedelta(minutes=15)))
        return mail.id


def changed(monkeypatch, value: int) -> None:
    spec = facts.get_section("lab.quiet")
    made = replace(spec, collect=lambda s, w: lab.quiet(s, replace(w, params={"days": value})))
    monkeypatch.setitem(facts._sections, "lab.quiet", made)


def test_a_changed_fact_is_found_kept_and_taken_back_when_it_is_as_it_was(agency, monkeypatch):
    action_id = waiting_action()
    with database.transaction(STAFF) as session:
        assert staleness.refresh(session, action_id) is None
    changed(monkeypatch, 12)
    with database.transaction(STAFF) as session:
        run_id = staleness.enqueue(session)
        assert staleness.enqueue(session) is None  # one look in ten minutes
    execute.execute(run_id, "w1")
    with database.transaction(STAFF) as session:
        assert session.get(Run, run_id).output == {"checked": 1, "stale": 1, "changed": 1}
        kept = session.get(Action, action_id).stale
        assert kept["changed"] == [{"key": "lab.quiet.longest", "label": "Longest silence", "was": "9 days", "now": "12 days"}]
    changed(monkeypatch, 9)
    with database.transaction(STAFF) as session:
        assert staleness.refresh(session, action_id) is None
    with database.transaction(STAFF) as session:
        assert session.get(Action, action_id).stale is None
        assert session.scalar(select(Action.id).where(Action.stale.is_(None), Action.id == action_id)) == action_id


def test_facts_are_asked_for_what_they_were_collected_for(agency):
    action_id = waiting_action(agent="Lab AI", days=30, params={"weeks": 4})
    first = lab.collected[0]
    assert first.params == {"days": 30, "weeks": 4}
    lab.collected.clear()
    with database.transaction(STAFF) as session:
        staleness.refresh(session, action_id)
    assert lab.collected
    assert all(c == first for c in lab.collected)


def test_nothing_that_waits_means_no_look(agency):
    with database.transaction(STAFF) as session:
        assert staleness.enqueue(session) is None
        assert service.enqueue(session, staleness.CHECK, "x").created
