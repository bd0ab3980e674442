"""Every bad answer of the model ends as a report from the template that says why, quickly; never as an empty success."""

import json
import time

import pytest

from core.config import get_settings
from core.runtime.agents import prose, store, verify
from core.runtime.runs.models import RunState
from tests.core.runtime.agents import lab
from tests.fakeworld import anthropic as fake

LONG = "word " * 40_000
OK_JSON = json.dumps({"headline": "All is well today.", "sections": []})


def drop(*path):
    """Remove something from the form."""

    def change(form):
        at = form
        for step in path[:-1]:
            at = at[step]
        del at[path[-1]]
        return form

    return change


def put(path, value):
    def change(form):
        at = form
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        return form

    return change


CASES = {
    # name: (script, outcome of the last call, words of the note)
    "lying digits": ([fake.adding("Also 57 deals slipped.")], "rejected", "did not pass"),
    "lying words": ([fake.adding("Also seven deals slipped.")], "rejected", "did not pass"),
    "lying percent": ([fake.adding("That is 12 % more than [[lab.deals.count]].")], "rejected", "did not pass"),
    "lying money": ([fake.adding("That is $1.2M, see [[lab.deals.value]].")], "rejected", "did not pass"),
    "lying date": ([fake.adding("It closes on 28 Nov 2026, see [[lab.deals.due]].")], "rejected", "did not pass"),
    "half": ([fake.adding("Half of them wait.")], "rejected", "did not pass"),
    "zero width digits": ([fake.adding("Also 5\u200b7 deals slipped.")], "rejected", "did not pass"),
    "unknown key": ([fake.adding("See [[lab.deals.fake]].")], "rejected", "did not pass"),
    "multiplied citation": ([fake.adding("It is [[lab.deals.count]] million.")], "rejected", "did not pass"),
    "html": ([fake.adding("<script>alert('x')</script> is here.")], "rejected", "did not pass"),
    "link": ([fake.adding("See [here](http://evil.example) for more.")], "rejected", "did not pass"),
    "heading smuggled": ([fake.adding("## 57 deals")], "rejected", "did not pass"),
    "wrong section": ([fake.spoiled(put(("sections", 0, "section"), "lab.unknown"))], "rejected", "did not pass"),
    "section left out": ([fake.spoiled(drop("sections", 0))], "rejected", "did not pass"),
    "no sections": ([fake.says(OK_JSON)], "rejected", "did not pass"),
    "no headline": ([fake.spoiled(drop("headline"))], "rejected", "did not pass"),
    "extra field": ([fake.spoiled(put(("confidence",), 1))], "rejected", "did not pass"),
    "sentences as text": ([fake.spoiled(put(("sections", 0, "sentences"), "all good"))], "rejected", "did not pass"),
    "nulls": ([fake.spoiled(put(("headline",), None))], "rejected", "did not pass"),
    "list instead of form": ([fake.says("[]")], "rejected", "did not pass"),
    "not json": ([fake.says("Here is your report: all fine!")], "rejected", "did not pass"),
    "cut json": ([fake.says('{"headline": "All is')], "rejected", "did not pass"),
    "empty form": ([fake.says('{"headline": "", "sections": []}')], "rejected", "did not pass"),
    "empty text": ([fake.says("")], "empty", "answered with nothing"),
    "blank text": ([fake.says(" \n ")], "empty", "answered with nothing"),
    "no blocks": ([fake.turn(lambda _: fake.Turn([]))], "empty", "answered with nothing"),
    "refusal": ([fake.says("I can't help with that.", "refusal")], "refused", "declined"),
    "max_tokens": ([fake.says('{"headline": "All', "max_tokens")], "max_tokens", "longer than its limit"),
    "context window": ([fake.says("x", "model_context_window_exceeded")], "max_tokens", "longer than its limit"),
    "200 KB": ([fake.says(LONG)], "max_tokens", "far too long"),
    "overloaded for ever": ([fake.overloaded()], "overloaded", "overloaded"),
    "500 for ever": ([fake.error(500, "api_error", "Internal server error")], "overloaded", "overloaded"),
    "429 spend cap": ([fake.rate_limited(None)], "spend_cap", "spend limit"),
    "429 spend cap by code": ([fake.spend_cap()], "spend_cap", "spend limit"),
    "400 usage limits": (
        [fake.error(400, "invalid_request_error", "You have reached your specified API usage limits.")],
        "spend_cap",
        "spend limit",
    ),
    "402": ([fake.error(402, "billing_error", "Billing.")], "spend_cap", "spend limit"),
    "401": ([fake.error(401, "authentication_error", "invalid x-api-key")], "bad_key", "ANTHROPIC_API_KEY"),
    "403": ([fake.error(403, "permission_error", "no")], "bad_key", "ANTHROPIC_API_KEY"),
    "404 model": ([fake.error(404, "not_found_error", "model: claude-nope")], "bad_request", "OPS_MODEL"),
    "429 wait a day": ([fake.rate_limited("86400")], "rate_limited", "asked us to wait"),
    "cut at 90 %": ([fake.turn(lambda b: fake.Turn([{"type": "text", "text": fake.report(b)}]), share=0.9)], "cut", "broke off"),
    "ends politely at 90 %": (
        [fake.turn(lambda b: fake.Turn([{"type": "text", "text": fake.report(b)}]), share=0.9, clean_end=True)],
        "cut",
        "broke off",
    ),
    "html page": ([fake.raw(200, b"<html>proxy login</html>", "text/html")], "malformed", "not an answer"),
    "json where a stream should be": ([fake.raw(200, b'{"type": "message"}', "application/json")], "malformed", "not an answer"),
    "broken event": (
        [fake.raw(200, b"event: message_start\ndata: {broken\n\n", "text/event-stream")],
        "malformed",
        "can't be read",
    ),
    "strange order": (
        [fake.raw(200, b'event: message_stop\ndata: {"type": "message_stop"}\n\n', "text/event-stream")],
        "malformed",
        "can't be read",
    ),
    "error event": ([fake.failing_stream("api_error")], "overloaded", "overloaded"),
    "hang": ([fake.hang()], "timed_out", "did not"),
    "pings for ever": ([fake.trickle()], "timed_out", "did not finish"),
    "unknown tool for ever": ([fake.asks(("t1", "delete_everything", {}))], "rejected", "did not pass"),
    "tool for ever": ([fake.asks(("t1", "look_up", {"section": "lab.quiet"}))], "rejected", "did not pass"),
    "foreign section for ever": ([fake.asks(("t1", "look_up", {"section": "secret.pay"}))], "rejected", "did not pass"),
    "bad tool arguments for ever": (
        [fake.asks(("t1", "look_up", {"section": 7, "params": [1]}), ("t1", "look_up", "text"))],
        "rejected",
        "did not pass",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_answer_ends_as_the_template_and_says_so(name, agency, fake_anthropic, monkeypatch):
    if name in ("hang", "pings for ever"):
        monkeypatch.setenv("OPS_MODEL_CALL_DEADLINE_S", "0.4")
        get_settings.cache_clear()
    script, outcome, words = CASES[name]
    lab.schedule()
    fake_anthropic.script(*script)
    began = time.monotonic()
    run = lab.run()
    assert time.monotonic() - began < 12
    assert run.state == RunState.SUCCEEDED, run.error
    assert run.output["composer"] == "template"
    assert words in run.output["note"]
    assert "template wrote this report instead" in run.output["note"]
    facts = lab.facts(run.id)
    assert prose.cited_keys(run.output["text"])
    assert set(prose.cited_keys(run.output["text"])) <= set(facts)
    assert verify.check(run.output["text"], facts.values(), lab.sections(run.id)) == []
    made = lab.calls(run.id)
    assert made[-1].outcome == outcome, [(c.outcome, c.detail) for c in made]
    assert "started" not in {c.outcome for c in made}
    assert sum(c.cost_microusd for c in made) == run.cost_microusd


def test_a_faithful_report_is_used_and_its_numbers_open_their_rows(agency, fake_anthropic):
    lab.schedule()
    run = lab.run()
    assert run.state == RunState.SUCCEEDED, run.error
    assert run.output["composer"] == get_settings().model
    assert run.output["note"] is None
    facts = lab.facts(run.id)
    cited = prose.cited_keys(run.output["text"])
    assert cited
    assert all(facts[key].rows for key in cited)
    [call] = lab.calls(run.id)
    assert (call.outcome, call.input_tokens, call.output_tokens) == ("ok", 1200, 300)
    assert call.prompt == "report@1"
    assert (run.tokens, run.cost_microusd) == (1500, 1200 * 2 + 300 * 10)


def test_one_correction_is_asked_for_and_used(agency, fake_anthropic):
    lab.schedule()
    fake_anthropic.script(fake.adding("Also 57 deals slipped."), fake.faithful())
    run = lab.run()
    assert run.output["composer"] == get_settings().model
    assert [c.outcome for c in lab.calls(run.id)] == ["rejected", "repaired"]
    asked = fake.prompt_of(fake_anthropic.bodies[1])
    assert "57" in asked
    assert "no fact" in asked


def test_trouble_that_passes_is_waited_out(agency, fake_anthropic):
    lab.schedule()
    broken = fake.turn(lambda b: fake.Turn([{"type": "text", "text": fake.report(b)}]), share=0.5)
    fake_anthropic.script(fake.overloaded(), fake.rate_limited("0.05"), broken, fake.overloaded(), fake.faithful())
    run = lab.run()
    outcomes = [c.outcome for c in lab.calls(run.id)]
    assert outcomes[:2] == ["overloaded", "rate_limited"]
    assert run.state == RunState.SUCCEEDED


def test_a_long_wait_puts_the_run_aside_and_it_goes_on_later(agency, fake_anthropic):
    lab.schedule()
    fake_anthropic.script(fake.rate_limited("120"))
    run = lab.run()
    assert (run.state, run.reason) == (RunState.WAITING, "retry")
    assert run.run_after is not None
    assert len(lab.collected) == 3
    assert [c.outcome for c in lab.calls(run.id)] == ["rate_limited"]


def test_slow_but_steady_answers_are_fine(agency, fake_anthropic):
    lab.schedule()
    fake_anthropic.script(fake.turn(lambda b: fake.Turn([{"type": "text", "text": fake.report(b)}]), slow_s=0.01))
    assert lab.run().output["composer"] == get_settings().model


def test_an_unreachable_service_means_the_template(agency, fake_anthropic):
    lab.schedule()
    fake_anthropic.close()
    run = lab.run()
    assert run.output["composer"] == "template"
    assert {c.outcome for c in lab.calls(run.id)} == {"unreachable"}


def test_no_key_no_call_and_no_note(agency):
    lab.schedule()
    run = lab.run()
    assert (run.output["composer"], run.output["note"]) == ("template", None)
    assert lab.calls(run.id) == []
    assert "Nothing to report." in run.output["text"]


def test_neither_key_nor_prompt_is_logged_or_stored(agency, fake_anthropic, capsys):
    lab.schedule()
    fake_anthropic.script(fake.overloaded(), fake.says("nonsense"), fake.error(401, "authentication_error", "bad " + fake.KEY))
    run = lab.run()
    told = capsys.readouterr()
    everything = told.out + told.err + json.dumps(run.output) + " ".join(str(c.detail) for c in lab.calls(run.id))
    assert fake.KEY not in everything
    assert "fact sheet" not in told.err
    assert all(fake.key_of(r) == fake.KEY and fake.KEY.encode() not in r.body for r in fake_anthropic.requests)


def test_facts_are_read_back_as_they_were_saved(agency):
    lab.schedule()
    run = lab.run()
    from core.kit import db as database
    from core.kit.db import STAFF

    with database.transaction(STAFF) as session:
        loaded = store.load_facts(session, run.id)
    assert loaded["lab.deals.value"].value == 123_456_700
    assert loaded["lab.deals.count"].row_count == 12
