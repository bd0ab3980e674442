"""Drafts: the model's words when they pass, else the template's; after trouble the model is left alone."""

import pytest

from core.runtime.agents import facts as F
from core.runtime.agents import specs
from tests.core.runtime.agents import lab
from tests.fakeworld import anthropic as fake

FACTS = (F.text("d.client", "Client", "Northwind *Ltd*", "q"), F.duration("d.age", "Quiet for", 9, "days", "q"))
TEMPLATE = "## Follow up\n\nCall [[d.client]], quiet for [[d.age]]."
FILLED = "## Follow up\n\nCall Northwind \\*Ltd\\*, quiet for 9 days."


@pytest.fixture
def written(agency):
    """Texts and composers of three drafts made in one run."""
    from dataclasses import replace

    made = []

    def produce(production):
        made.extend(production.writer.write("A short follow-up note", FACTS, TEMPLATE) for _ in range(3))
        return {"drafts": 3, "actions": 2}

    specs._specs[lab.JOB.name] = replace(lab.JOB, produce=produce)

    def run():
        lab.schedule()
        return lab.run(), made

    return run


def test_without_a_key_the_template_is_filled(written):
    run, made = written()
    assert made == [(FILLED, "template")] * 3
    assert run.output["produced"] == {"drafts": 3, "actions": 2}


def test_a_draft_that_passes_is_used(written, fake_anthropic):
    _, made = written()
    assert made == [("A note for you about Northwind \\*Ltd\\* and 9 days.", "claude-sonnet-5")] * 3


def test_a_lying_draft_is_not_used_and_the_third_is_the_last(written, fake_anthropic):
    fake_anthropic.script(fake.faithful(), fake.adding("We offer 20 % off."))
    run, made = written()
    assert [m[1] for m in made] == ["template"] * 3
    assert [c.outcome for c in lab.calls(run.id)] == ["ok", "rejected", "rejected", "rejected"]


def test_after_a_spend_cap_the_model_is_left_alone(written, fake_anthropic):
    fake_anthropic.script(fake.faithful(), fake.rate_limited(None))
    run, made = written()
    assert [m[1] for m in made] == ["template"] * 3
    assert len(fake_anthropic.requests) == 2
    assert run.state == "succeeded"


def test_a_long_wait_does_not_hold_the_drafts_up(written, fake_anthropic):
    fake_anthropic.script(fake.faithful(), fake.rate_limited("300"))
    run, made = written()
    assert (run.state, [m[1] for m in made]) == ("succeeded", ["template"] * 3)
