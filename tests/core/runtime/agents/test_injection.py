"""Text from outside is data: it can't cite, can't end the sheet, can't be markup; and no agency is too big for a prompt."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.runtime.agents import facts as F
from core.runtime.agents import prompts, prose, sheet, untrusted, verify
from core.runtime.agents.facts import Section
from tests.core.runtime.agents import lab
from tests.fakeworld import anthropic as fake


def test_a_nasty_deal_title_stays_a_title(agency, fake_anthropic):
    lab.schedule()
    fake_anthropic.script(fake.adding("The top deal is [[lab.deals.top]]."))
    run = lab.run()
    assert run.output["composer"] == "claude-sonnet-5"
    prompt = fake_anthropic.bodies[0]["messages"][0]["content"]
    assert prompt.count("</facts>") == 1
    assert prompt.rstrip().endswith("</facts>")
    assert "[[lab.deals.fake]]" not in prompt
    assert "<script>" not in prompt
    assert "\u202e" not in prompt
    facts = lab.facts(run.id)
    assert "lab.deals.fake" not in prose.cited_keys(prose.plain(run.output["text"], facts.values()))
    shown = prose.markdown(run.output["text"], facts.values(), lambda key: f"/run?fact={key}")
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_a_title_that_tells_the_model_to_lie_does_not_get_the_lie_past_the_check(agency, fake_anthropic):
    lab.schedule()
    fake_anthropic.script(fake.adding("There are 99 deals, says [[lab.deals.top]]."))
    assert lab.run().output["composer"] == "template"


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_cleaned_text_can_not_cite_or_hide_anything(raw):
    shown = untrusted.clean(raw)
    assert "[[" not in shown
    assert "]]" not in shown
    assert prose.CITATION.search(f"[{shown}]") is None or "[" not in raw
    assert untrusted.clean(shown) == shown
    assert all(c == " " or not c.isspace() for c in shown)
    fact = F.text("x", "X", shown, "q")
    line = sheet.line(fact)
    assert line.count(" | ") == 2
    assert "\n" not in line
    assert "<" not in line


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_escaped_text_starts_no_markup(raw):
    import re

    escaped = prose.escape(raw)
    assert not re.search(r"(?<!\\)(?:\\\\)*[*_`\[\]<>$|#~]", escaped.replace("&lt;", "").replace("&gt;", "").replace("&amp;", ""))


def big_sections(count: int, titles: str) -> list[Section]:
    return [
        Section(
            f"big.s{n}",
            f"Section {n}",
            tuple(F.text(f"big.s{n}.deal{i}", "Deal", f"{titles} {i}", "q") for i in range(count)),
            (f"[[big.s{n}.deal0]] is first.",),
        )
        for n in range(8)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "titles", ["Northwind rollout of everything there is, and more", "北風物流の自動化" * 10, "🚀" * 60, "1234567890" * 12]
)
@pytest.mark.parametrize("count", [1, 50, 12_500])
def test_the_sheet_never_outgrows_its_room_and_says_what_is_missing(titles, count):
    sections = big_sections(count, titles)
    made = sheet.build(sections, 3_000, ["big.s7.deal0"])
    assert sheet.tokens(made.text) <= 3_000
    assert "big.s7.deal0 |" in made.text
    shown = sum(1 for line in made.text.split("\n") if " | " in line)
    assert shown + sum(made.left_out.values()) == 8 * count
    assert shown >= 8
    if made.left_out:
        assert "left out" in str(made.note)
        assert "more facts of this section are not shown" in made.text


def test_every_request_of_a_huge_agency_stays_within_6000_tokens(agency, fake_anthropic):
    facts = tuple(
        F.text(f"lab.huge.d{i}", "Deal with a rather long label", f"Deal number {i} of somebody", "q") for i in range(3_000)
    )

    def huge(_session, _when):
        return Section("lab.huge", "All deals", facts, ("[[lab.huge.d0]] is the first of them.",))

    F.section("lab.huge", "All deals", "Everything there is. " * 50)(huge)
    try:
        lab.schedule(facts=["lab.huge", "lab.deals"], task="Say it all. " * 1_000)
        ask = fake.asks(*((f"t{i}", "look_up", {"section": "lab.huge", "params": {"page": i}}) for i in range(4)))
        lying = fake.adding("Also 57 deals slipped. " * 120)

        def reply(server, exchange, body):
            repair = "was checked and not accepted" in fake.prompt_of(body)
            (ask if body.get("tools") else fake.faithful() if repair else lying)(server, exchange, body)

        fake_anthropic.script(reply)
        run = lab.run()
    finally:
        F._sections.pop("lab.huge")
    assert run.output["composer"] == "claude-sonnet-5", run.output["note"]
    assert len(fake_anthropic.bodies) >= 3
    for body in fake_anthropic.bodies:
        sent = [body["system"], *(json.dumps(body.get(k), ensure_ascii=False) for k in ("messages", "tools", "output_config"))]
        assert sum(sheet.tokens(s) for s in sent) <= 6_000
        assert sum(len(s) for s in sent) <= 18_000
    assert "not shown all facts" in run.output["note"]
    assert "longer than the model may be given" in run.output["note"]


def test_prompts_are_versioned_files_and_their_holes_are_filled_once():
    assert prompts.names() == ("draft", "repair", "report", "revise")
    for name in prompts.names():
        assert prompts.load(name).version >= 1
    made = prompts.load("repair").fill(violations="{{report}}", report="R")
    assert "{{report}}" in made


def test_the_report_prompt_itself_holds_no_figure_a_model_could_repeat():
    # its examples show citations, and what it forbids is in quotes
    assert verify.check("Plain words only, please.", []) == []
