"""Ceilings on money: each action, each day, any seven days. Each currency stands alone; nothing is converted."""

from collections.abc import Mapping
from typing import Any

from core.kit.money import show
from core.runtime.policies.registry import Inputs, Number, Policy, Said, Values, allow, deny
from core.runtime.policies.situation import Situation

_HIGHEST = 1_000_000_000


def _money(s: Situation) -> Inputs | None:
    if s.action.cost_minor == 0:
        return None
    return {
        "cost": s.action.cost_minor,
        "currency": s.action.currency,
        "today": s.spent_today_minor,
        "week": s.spent_week_minor,
        "organisation": s.org_name,
    }


def _under(i: Inputs, values: Values) -> Said | None:
    cost, currency = i["cost"], i["currency"]
    if cost < 0:
        return deny("It says that it costs less than nothing.")
    for key, spent, when in (("action", 0, ""), ("day", i["today"], "today"), ("week", i["week"], "in the last 7 days")):
        most = _ceiling(values[key], currency)
        if most is None:
            return deny(f"There is no ceiling for {currency}, so nothing is spent in it.")
        if spent + cost <= most:
            continue
        if not when:
            return deny(f"It costs {show(cost, currency)}, the most allowed for one action is {show(most, currency)}.")
        total = f"{show(spent, currency)} {'was' if spent else 'were'} spent {when}"
        return deny(f"{total}; {show(cost, currency)} more would pass the ceiling of {show(most, currency)}.")
    return allow(f"{show(cost, currency)} is below every ceiling.")


def _ceiling(by_currency: Mapping[str, Any], currency: str) -> int | None:
    found = by_currency.get(currency)
    return None if found is None else int(found)


MONEY_CEILINGS = Policy(
    "money_ceilings",
    "Ceilings on money",
    "Keeps one action, one day and any seven days from costing more than they may; a currency without a ceiling is not spent.",
    _money,
    _under,
    (
        Number("action", "One action at most", "by_currency", {"USD": 50_000}, 0, _HIGHEST),
        Number(
            "day", "One day at most", "by_currency", {"USD": 100_000}, 0, _HIGHEST, help="A day of the organisation's own zone."
        ),
        Number("week", "Any 7 days at most", "by_currency", {"USD": 300_000}, 0, _HIGHEST, help="The last 7 times 24 hours."),
    ),
    two_people=True,
)
