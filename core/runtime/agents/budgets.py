"""Budgets of model use, held BEFORE each call: a call that could pass one is not made.

The row in `model_calls` is the reservation: it is written with the most the call can cost, under one lock for the whole
agency, and corrected when the call has ended. Two workers can't spend the same dollar, and a worker that dies mid-call
leaves the money counted as spent.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.orm import Session

from core.config import get_settings
from core.errors import BudgetExceeded
from core.kit import db
from core.kit.db import STAFF
from core.runtime.agents import outcomes, prices
from core.runtime.agents.models import ModelCall
from core.runtime.agents.queries import DAY_START
from core.runtime.runs.models import Run

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('model budget', 0))")


@dataclass(frozen=True, slots=True)
class Reservation:
    """A call that may be made. Costs are millionths of a dollar."""

    call_id: int
    run_id: int
    model: str
    input_tokens: int
    max_tokens: int
    cost_microusd: int


def reserve(
    run_id: int, org_id: UUID, *, purpose: str, model: str, prompt: str, input_tokens: int, max_tokens: int
) -> Reservation:
    """Set the worst case of a call aside. Raises BudgetExceeded, having changed nothing, when that would pass a budget."""
    settings = get_settings()
    worst = prices.of(model).cost(input_tokens, max_tokens)
    with db.transaction(STAFF) as session:
        session.execute(_LOCK)
        tokens, cost = _spent_by_run(session, run_id)
        if tokens + input_tokens + max_tokens > settings.run_budget_tokens:
            raise BudgetExceeded("The run's token budget is used up.", "Raise OPS_RUN_BUDGET_TOKENS if the job needs more.")
        if cost + worst > settings.run_budget_usd * 1_000_000:
            raise BudgetExceeded("The run's budget is used up.", "Raise OPS_RUN_BUDGET_USD if the job needs more.")
        if _spent_today(session) + worst > settings.day_budget_usd * 1_000_000:
            raise BudgetExceeded("The day budget is used up.", "Raise OPS_DAY_BUDGET_USD, or wait until tomorrow.")
        call_id = session.execute(
            insert(ModelCall)
            .values(
                org_id=org_id, run_id=run_id, purpose=purpose, model=model, prompt=prompt, outcome=outcomes.STARTED,
                input_tokens=input_tokens, output_tokens=max_tokens, cost_microusd=worst,
            )
            .returning(ModelCall.id)
        ).scalar_one()  # fmt: skip
    return Reservation(call_id, run_id, model, input_tokens, max_tokens, worst)


def _spent_by_run(session: Session, run_id: int) -> tuple[int, int]:
    row = session.execute(
        select(
            func.coalesce(func.sum(ModelCall.input_tokens + ModelCall.output_tokens), 0),
            func.coalesce(func.sum(ModelCall.cost_microusd), 0),
        ).where(ModelCall.run_id == run_id)
    ).one()
    return int(row[0]), int(row[1])


def _spent_today(session: Session) -> int:
    start = session.scalar(select(DAY_START.bindparams(zone=get_settings().time_zone)))
    spent = session.scalar(select(func.coalesce(func.sum(ModelCall.cost_microusd), 0)).where(ModelCall.created_at >= start))
    return int(spent or 0)


def settle(
    held: Reservation, outcome: str, *, spent: tuple[int, int] | None, duration_ms: int, detail: str | None = None
) -> None:
    """Write down how the call ended and what it used, on the call and on its run. `spent` None keeps the worst case."""
    input_tokens, output_tokens = spent or (held.input_tokens, held.max_tokens)
    price = prices.of(held.model)
    cost = price.cost(input_tokens, output_tokens)
    said = [detail] if detail else []
    if spent is None:
        said.append("use unknown, the most it can be is counted")
    if price.assumed and cost:
        said.append("price assumed")
    with db.transaction(STAFF) as session:
        changed = session.execute(
            update(ModelCall)
            .where(ModelCall.id == held.call_id, ModelCall.outcome == outcomes.STARTED)
            .values(
                outcome=outcome, input_tokens=input_tokens, output_tokens=output_tokens, cost_microusd=cost,
                duration_ms=duration_ms, detail="; ".join(said)[:500] or None,
            )
            .returning(ModelCall.id)
        ).first()  # fmt: skip
        if changed:
            # what was spent was spent, whoever holds the run by now: no fencing
            session.execute(
                update(Run)
                .where(Run.id == held.run_id)
                .values(tokens=Run.tokens + input_tokens + output_tokens, cost_microusd=Run.cost_microusd + cost)
            )


def judge(call_id: int, outcome: str, detail: str | None = None) -> None:
    """Write down what became of an answer: used, used after a correction, or rejected and why."""
    values = {"outcome": outcome} | ({"detail": detail[:500]} if detail else {})
    with db.transaction(STAFF) as session:
        session.execute(update(ModelCall).where(ModelCall.id == call_id).values(values))
