"""Budgets hold before the call, whoever calls at the same time."""

import threading

import pytest
import time_machine
from sqlalchemy import func, select, text

from core.errors import BudgetExceeded
from core.kit import db as database
from core.kit.db import STAFF
from core.runtime.agents import budgets, prices, queries
from core.runtime.agents.limits import KEY
from core.runtime.agents.models import ModelCall
from core.runtime.orgs.models import AGENCY_ID
from tests.core.runtime.agents import lab
from tests.fakeworld import anthropic as fake
from tests.gates import set_numbers


def limits(**values) -> None:
    """These numbers hold from now on."""
    with database.transaction(STAFF) as session:
        set_numbers(session, KEY, **values)


def reserve(run_id: int, tokens: int = 1000, most: int = 1000) -> budgets.Reservation:
    return budgets.reserve(
        run_id, AGENCY_ID, purpose="test", model="claude-sonnet-5", prompt="test@1", input_tokens=tokens, max_tokens=most
    )


def test_twenty_workers_cannot_spend_the_same_dollar(agency):
    """A call costs at most 12,000 millionths here; 0.1 dollars hold 8 of them, however many ask at once."""
    limits(day_cents=10, run_cents=10_000, run_tokens=10**9)
    runs = [lab.enqueue() for _ in range(20)]
    gate, got, refused = threading.Barrier(20), [], []

    def ask(run_id):
        gate.wait()
        try:
            got.append(reserve(run_id))
        except BudgetExceeded as error:
            refused.append(error.message)

    threads = [threading.Thread(target=ask, args=(r,)) for r in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(got), len(refused)) == (8, 12)
    assert set(refused) == {"The day budget is used up."}
    with database.transaction(STAFF) as session:
        assert queries.cost_today(session) == 96_000
        assert session.scalar(select(func.count()).select_from(ModelCall)) == 8


def test_what_a_call_did_not_use_is_given_back(agency):
    limits(day_cents=2, run_cents=10_000)
    run_id = lab.enqueue()
    held = reserve(run_id)
    with pytest.raises(BudgetExceeded):
        reserve(run_id)
    budgets.settle(held, "ok", spent=(500, 100), duration_ms=5)
    budgets.settle(held, "ok", spent=(9_999, 9_999), duration_ms=5)  # a second time changes nothing
    run = lab.get(run_id)
    assert (run.tokens, run.cost_microusd) == (600, 2_000)
    reserve(run_id)


def test_unknown_use_counts_as_the_worst_case(agency):
    held = reserve(lab.enqueue())
    budgets.settle(held, "timed_out", spent=None, duration_ms=5)
    assert lab.get(held.run_id).cost_microusd == held.cost_microusd == 12_000


def test_a_run_has_its_own_limits(agency):
    limits(run_tokens=3_999)
    run_id = lab.enqueue()
    reserve(run_id)
    with pytest.raises(BudgetExceeded, match="token budget"):
        reserve(run_id)
    limits(run_tokens=10**9, run_cents=2)
    with pytest.raises(BudgetExceeded, match="run's budget"):
        reserve(run_id)
    reserve(lab.enqueue())


@pytest.mark.parametrize(
    "values", [{"run_calls": 0}, {"run_tokens": 1}, {"run_cents": 0}, {"day_cents": 0}, {"org_day_cents": 0}]
)
def test_a_stop_says_where_the_number_stands(agency, values):
    limits(**values)
    with pytest.raises(BudgetExceeded) as stopped:
        reserve(lab.enqueue())
    assert stopped.value.next_step.startswith("Raise it on the policy page")


def test_a_new_day_has_a_new_budget(agency):
    limits(day_cents=1.2)
    held = reserve(lab.enqueue())
    with database.transaction(STAFF) as session:
        session.execute(text("UPDATE model_calls SET created_at = created_at - interval '25 hours'"))
    assert reserve(lab.enqueue()).call_id != held.call_id


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"day_cents": 0.1}, "The day budget is used up."),
        ({"run_cents": 0.1}, "The run's budget is used up."),
        ({"run_tokens": 100}, "The run's token budget is used up."),
    ],
)
def test_without_budget_no_call_is_made_and_the_report_says_so(values, words, agency, fake_anthropic):
    limits(**values)
    lab.schedule()
    run = lab.run()
    assert run.output["composer"] == "template"
    assert words in run.output["note"]
    assert fake_anthropic.requests == []
    assert lab.calls(run.id) == []


def test_the_correction_is_not_asked_for_when_the_budget_ends_between(agency, fake_anthropic):
    fake_anthropic.script(fake.adding("Also 57 deals slipped."))
    limits(run_tokens=6_500)
    lab.schedule()
    run = lab.run()
    assert [c.outcome for c in lab.calls(run.id)] == ["rejected"]
    assert "token budget" in run.output["note"]


def test_prices():
    assert prices.of("claude-sonnet-5").cost(1_000_000, 1_000_000) == 12_000_000
    assert prices.of("claude-sonnet-5-5-20260901").input == 2
    assert prices.of("claude-opus-5-5").output == 20
    assert prices.of("brand-new").assumed
    assert prices.of("brand-new").output >= max(p.output for p in prices._PRICES.values())
    assert not prices.takes_effort("claude-haiku-4-5-20251001")


def test_cost_read_models(agency, fake_anthropic):
    number = lab.schedule()
    with time_machine.travel("2026-11-21T12:00:00Z", tick=True):
        run = lab.run(schedule_id=number)
    with database.transaction(STAFF) as session:
        assert queries.cost_today(session) == run.cost_microusd == 5_400
        [line] = queries.cost_by_schedule(session)
        assert (line.schedule_id, line.name, line.runs, line.cost_microusd) == (number, "lab-brief", 1, 5_400)
        [(_, cost)] = queries.cost_by_day(session)
        assert cost == 5_400
        [call] = queries.calls_of_run(session, run.id)
        assert (call.purpose, call.outcome) == ("report", "ok")
