"""What an agent may look up: its department's sections, listed beforehand; what it finds is saved and citable."""

from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.agents import tools
from core.runtime.runs.models import RunLog
from tests.core.runtime.agents import lab
from tests.fakeworld import anthropic as fake


def results(body):
    return [b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"] if b.get("type") == "tool_result"]


def test_what_is_looked_up_can_be_cited_and_opens_its_rows(agency, fake_anthropic):
    lab.schedule(facts=["lab.deals"])
    fake_anthropic.script(
        fake.asks(("t1", "look_up", {"section": "lab.quiet", "params": {"days": 21}})),
        fake.adding("Quiet: [[lab.quiet.who]] for [[lab.quiet.longest]]."),
    )
    run = lab.run()
    assert run.output["composer"] == "claude-sonnet-5", run.output["note"]
    assert "[[lab.quiet.longest]]" in run.output["text"]
    assert lab.facts(run.id)["lab.quiet.longest"].shown == "21 days"
    assert lab.facts(run.id)["lab.quiet.longest"].rows == [{"days": 21}]
    assert [c.outcome for c in lab.calls(run.id)] == ["looked_up", "ok"]


def test_a_look_up_never_changes_a_fact_that_is_there(agency, fake_anthropic):
    lab.schedule()
    fake_anthropic.script(
        fake.asks(
            ("t1", "look_up", {"section": "lab.quiet", "params": {"days": 21}}), ("t2", "look_up", {"section": "lab.quiet"})
        ),
        fake.adding("Once it was [[lab.quiet.longest]], then [[lab.quiet.longest~2]]."),
    )
    run = lab.run()
    assert run.output["composer"] == "claude-sonnet-5", run.output["note"]
    facts = lab.facts(run.id)
    assert (facts["lab.quiet.longest"].shown, facts["lab.quiet.longest~2"].shown) == ("9 days", "21 days")
    assert "lab.quiet.who~2" not in facts


def test_the_tool_lists_its_sections_and_gives_no_others(agency, fake_anthropic):
    lab.schedule(department="lab")
    fake_anthropic.script(
        fake.asks(
            ("t1", "look_up", {"section": "secret.pay"}),
            ("t2", "run_shell", {"cmd": "id"}),
            ("t3", "look_up", {"section": "lab.quiet", "x": 1}),
        ),
        fake.faithful(),
    )
    run = lab.run()
    offered = fake_anthropic.bodies[0]["tools"][0]
    assert offered["input_schema"]["properties"]["section"]["enum"] == ["lab.deals", "lab.nothing", "lab.quiet", "lab.vandal"]
    answers = results(fake_anthropic.bodies[1])
    assert [a.get("is_error") for a in answers] == [True, True, True]
    assert "secret.pay" not in lab.facts(run.id)
    with database.transaction(STAFF) as session:
        logged = [line.message for line in session.query(RunLog).filter_by(run_id=run.id)]
    assert any("may look up: lab.deals" in line for line in logged)


def test_a_vandal_section_can_not_write_from_a_look_up_either(agency, fake_anthropic):
    lab.schedule()
    fake_anthropic.script(fake.asks(("t1", "look_up", {"section": "lab.vandal"})), fake.faithful())
    assert lab.run().state in ("failed", "succeeded")
    with database.transaction(STAFF) as session:
        from core.runtime.orgs.models import AGENCY_ID, Organisation

        assert session.get(Organisation, AGENCY_ID).name != "Owned"


def test_the_same_id_twice_is_answered_once(agency, fake_anthropic):
    lab.schedule()
    call = ("t1", "look_up", {"section": "lab.quiet"})
    fake_anthropic.script(fake.asks(call, call), fake.faithful())
    assert lab.run().output["composer"] == "claude-sonnet-5"
    assert len(results(fake_anthropic.bodies[1])) == 1


def test_rounds_end(agency, fake_anthropic):
    lab.schedule()
    fake_anthropic.script(fake.asks(("t1", "look_up", {"section": "lab.quiet"})))
    run = lab.run()
    assert run.output["composer"] == "template"
    assert len(fake_anthropic.requests) <= tools.MAX_ROUNDS + 3
    assert "tools" not in fake_anthropic.bodies[-1]


def test_departments():
    with lab.opened():
        known = [s.key for s in tools.allowed_sections("lab", [])]
        assert "secret.pay" not in known
        assert [s.key for s in tools.allowed_sections("nobody", ["secret.pay"])] == ["secret.pay"]
        assert tools.allowed_sections("nobody", []) == ()
