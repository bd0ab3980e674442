"""Budgets of model use, held BEFORE each call: a call that could pass one is not made.

The row in `model_calls` is the reservation: it is written with the most the call can cost, under one lock for the whole
agency, and corrected when the call has ended. Two workers can't spend the same dollar, and a worker that dies mid-call
leaves the money counted as spent.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.orm import Session

from core.config import get_settings
from core.errors import BudgetExceeded
from core.kit import clock, db
from core.kit.db import STAFF
from core.runtime.agents import limits, outcomes, prices
from core.runtime.agents.limits import Limits
from core.runtime.agents.models import ModelCall
from core.runtime.agents.queries import DAY_START
from core.runtime.alerts.models import Alert, Severity
from core.runtime.orgs.models import AGENCY_ID, Organisation
from core.runtime.runs.models import Run

_PAGE = f"/policy?policy={limits.KEY}"
_RAISE = "Raise it on the policy page if the job needs more."
_RAISE_OR_WAIT = "Raise it on the policy page, or wait until tomorrow."
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
    worst = prices.of(model).cost(input_tokens, max_tokens)
    try:
        with db.transaction(STAFF) as session:
            session.execute(_LOCK)
            allowed = limits.of(session, org_id)
            _check_run(session, run_id, input_tokens + max_tokens, worst, allowed)
            _check_day(session, org_id, worst, allowed)
            call_id = session.execute(
                insert(ModelCall)
                .values(
                    org_id=org_id, run_id=run_id, purpose=purpose, model=model, prompt=prompt, outcome=outcomes.STARTED,
                    input_tokens=input_tokens, output_tokens=max_tokens, cost_microusd=worst,
                )
                .returning(ModelCall.id)
            ).scalar_one()  # fmt: skip
    except Stopped as stop:
        tell_stop(run_id, stop)
        raise
    return Reservation(call_id, run_id, model, input_tokens, max_tokens, worst)


class Stopped(BudgetExceeded):
    """A budget would be passed. `cause` names the alert that tells of it: one a budget and day, or one a job."""

    def __init__(self, message: str, next_step: str, cause: str = "run") -> None:
        super().__init__(message, next_step)
        self.cause = cause


def _check_run(session: Session, run_id: int, tokens: int, worst: int, allowed: Limits) -> None:
    spent_tokens, cost, calls = _spent_by_run(session, run_id)
    if calls >= allowed.run_calls:
        raise Stopped(f"The run made {calls:,} model calls, which is all it may.", _RAISE)
    if spent_tokens + tokens > allowed.run_tokens:
        raise Stopped("The run's token budget is used up.", _RAISE)
    if cost + worst > allowed.run_microusd:
        raise Stopped("The run's budget is used up.", _RAISE)


def _check_day(session: Session, org_id: UUID, worst: int, allowed: Limits) -> None:
    day, together, own = _spent_today(session, org_id)
    if together + worst > allowed.day_microusd:
        raise Stopped("The day budget is used up.", _RAISE_OR_WAIT, f"day:{day}")
    if own + worst > allowed.org_day_microusd:
        raise Stopped("The organisation's day budget is used up.", _RAISE_OR_WAIT, f"org:{org_id}:{day}")
    _warn(session, f"day:{day}", "All agents together", together + worst, allowed.day_microusd, allowed.warn_percent)
    if (own + worst) * 100 >= allowed.org_day_microusd * allowed.warn_percent:
        name = session.scalar(select(Organisation.name).where(Organisation.id == org_id)) or "An organisation"
        _warn(session, f"org:{org_id}:{day}", name, own + worst, allowed.org_day_microusd, allowed.warn_percent, org_id)


def _spent_by_run(session: Session, run_id: int) -> tuple[int, int, int]:
    row = session.execute(
        select(
            func.coalesce(func.sum(ModelCall.input_tokens + ModelCall.output_tokens), 0),
            func.coalesce(func.sum(ModelCall.cost_microusd), 0),
            func.count(),
        ).where(ModelCall.run_id == run_id)
    ).one()
    return int(row[0]), int(row[1]), int(row[2])


def _spent_today(session: Session, org_id: UUID) -> tuple[str, int, int]:
    """(local day, of all organisations, of this one), calls under way counted at the most they can cost."""
    zone = get_settings().time_zone
    start: datetime = session.execute(select(DAY_START.bindparams(zone=zone))).scalar_one()
    cost = func.sum(ModelCall.cost_microusd)
    spent = session.execute(
        select(func.coalesce(cost, 0), func.coalesce(cost.filter(ModelCall.org_id == org_id), 0)).where(
            ModelCall.created_at >= start
        )
    ).one()
    return start.astimezone(clock.zone(zone)).date().isoformat(), int(spent[0]), int(spent[1])


# ---- telling people


def _warn(session: Session, scope: str, who: str, spent: int, most: int, percent: int, org_id: UUID = AGENCY_ID) -> None:
    """Tell once a day that a budget is nearly used up, while there is still time to raise it."""
    if spent * 100 < most * percent:
        return
    cause = f"model_budget:{scope}"
    if session.scalar(select(Alert.id).where(Alert.org_id == org_id, Alert.cause == cause).limit(1)) is not None:
        return
    from core.runtime.alerts import service as alerts

    alerts.raise_alert(
        session, cause, f"{who}: {percent} % of today's model budget is used",
        f"{_usd(spent)} of {_usd(most)} is spent or set aside. Agents stop asking the model when it is used up and write from "
        "templates instead. Raise the budget on the policy page, or leave it.",
        severity=Severity.WARNING, numbers={"spent_microusd": spent, "budget_microusd": most}, href=_PAGE, org_id=org_id,
    )  # fmt: skip


def tell_stop(run_id: int, stop: BudgetExceeded) -> None:
    """One alert for each job, or for each budget of a day, however often it stops something."""
    from core.runtime.alerts import service as alerts

    cause = getattr(stop, "cause", "run")
    with db.transaction(STAFF) as session:
        name = session.scalar(select(Run.name).where(Run.id == run_id)) or "A run"
        own = cause == "run"
        alerts.raise_alert(
            session, f"agent_stopped:{name}" if own else f"model_budget_stop:{cause}",
            f"{name} was stopped by a limit" if own else "A model budget is used up",
            f"{stop.message} What was left to write comes from templates. {stop.next_step}",
            severity=Severity.HIGH, numbers={"run_id": run_id}, href=f"/run?run={run_id}" if own else _PAGE,
        )  # fmt: skip


def _usd(microusd: int) -> str:
    return f"${microusd / 1_000_000:,.2f}"


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
