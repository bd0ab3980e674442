"""The model budget on the policy page: its numbers, to be changed by a person. It judges no action; see `limits`."""

from collections.abc import Mapping
from typing import Any

from core.config import get_settings
from core.runtime.agents import limits
from core.runtime.policies.registry import Inputs, Number, Policy, Said, Values, register
from core.runtime.policies.situation import Situation


def _nothing(_situation: Situation) -> Inputs | None:
    return None


def _no_word(_inputs: Inputs, _values: Values) -> Said | None:
    return None


def _numbers(values: Mapping[str, Any]) -> tuple[Number, ...]:
    return (
        Number("run_cents", "One run", "money", values["run"], 0, 100_000, help="The most one run may spend on the model."),
        Number("run_tokens", "Tokens of one run", "count", values["tokens"], 0, 2_000_000, help="Read and written together."),
        Number("run_calls", "Model calls of one run", "count", values["calls"], 0, 500, help="Steps, look-ups and drafts."),
        Number("org_day_cents", "One organisation a day", "money", values["org"], 0, 1_000_000, help="A client's own wins."),
        Number("day_cents", "All together a day", "money", values["day"], 0, 1_000_000, help="Only the agency's number counts."),
        Number("warn_percent", "Warn at", "percent", limits.WARN_PERCENT, 10, 100, help="Only the agency's number counts."),
        Number("hops", "Events in a chain", "count", limits.MAX_HOPS, 1, 20, help="How often agents may answer each other."),
    )  # fmt: skip


def _policy() -> Policy:
    settings = get_settings()
    return Policy(
        limits.KEY,
        "Model budget",
        "Keeps agents from spending more on the model, or going on for longer, than a person set; checked before each call.",
        _nothing,
        _no_word,
        _numbers(
            {
                "run": round(settings.run_budget_usd * 100), "tokens": settings.run_budget_tokens,
                "calls": settings.run_budget_calls, "org": round(settings.org_day_budget_usd * 100),
                "day": round(settings.day_budget_usd * 100),
            }
        ),
        stages=(),
    )  # fmt: skip


register(_policy())
