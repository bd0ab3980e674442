"""Situations for the tests of single rules."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from core.runtime.actions.models import Audience, Origin
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.policies.models import Stage
from core.runtime.policies.registry import Policy, Said
from core.runtime.policies.situation import Facing, Situation

NOW = datetime(2026, 11, 18, 18, 0, tzinfo=UTC)
"""A Wednesday, noon in Chicago."""
ANN = "ann@northwind.example"

_MAIL = Facing(
    id=7, kind="mail.send", word="mail", org_id=AGENCY_ID, agent="Sales AI", requested_by_kind="run", requested_by_id=3,
    payload={}, origin=Origin.TRUSTED, untrusted_fields=(), audience=Audience.OUTSIDE, recipients=(ANN,), marketing=False,
    cost_minor=0, currency="USD", account="resend:1", approved_by_people=0, undo=False,
)  # fmt: skip
_WORLD = Situation(Stage.SEND, NOW, ZoneInfo("America/Chicago"), _MAIL, "ManageAI", None, strangers=(ANN,))


def seen(**changes: Any) -> Situation:
    """A mail of Sales AI to Ann outside, at noon; `changes` are fields of the action or of the situation."""
    facing = {k: v for k, v in changes.items() if hasattr(_MAIL, k)}
    world = {k: v for k, v in changes.items() if k not in facing}
    return replace(_WORLD, action=replace(_MAIL, **facing), **world)


def ask(policy: Policy, values: dict[str, Any] | None = None, **changes: Any) -> Said | None:
    """What a policy says with these numbers over its built-in ones."""
    inputs = policy.inputs(seen(**changes))
    return None if inputs is None else policy.decide(inputs, policy.defaults | (values or {}))


def word(policy: Policy, values: dict[str, Any] | None = None, **changes: Any) -> str | None:
    """Its verdict alone."""
    said = ask(policy, values, **changes)
    return None if said is None else said.verdict.value
