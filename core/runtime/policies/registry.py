"""Which policies there are. A policy is two pure functions: what it looks at, and what it says about that.

`inputs` takes from a frozen situation what the policy depends on, as plain JSON; `decide` judges those inputs by the policy's
numbers. Inputs are stored with each verdict, so that "what would another number have decided" is the same `decide` again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.runtime.policies.models import Stage, Verdict
from core.runtime.policies.situation import Situation

Inputs = dict[str, Any]
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """A policy's verdict with the reason a person reads. `until` goes with DEFER; `approvals` with APPROVAL.

    `dry_run` goes with ALLOW: it may be gone through with, but nothing may leave.
    """

    verdict: Verdict
    reason: str
    until: datetime | None = None
    approvals: int = 1
    dry_run: bool = False


def allow(reason: str, *, dry_run: bool = False) -> Said:
    """It may; of a policy that does not grant it means: nothing against it."""
    return Said(Verdict.ALLOW, reason, dry_run=dry_run)


def deny(reason: str) -> Said:
    """It may not."""
    return Said(Verdict.DENY, reason)


def ask(reason: str, approvals: int = 1) -> Said:
    """A person must decide; `approvals` people."""
    return Said(Verdict.APPROVAL, reason, approvals=approvals)


def defer(reason: str, until: datetime) -> Said:
    """Not now."""
    return Said(Verdict.DEFER, reason, until=until)


@dataclass(frozen=True, slots=True)
class Number:
    """One setting of a policy. `kind`: count, money, hours, percent, yes_no, choice, clock ("21:00"), words (a list),
    by_agent (agent to list of kinds), by_kind (kind of action to a count) or by_currency (currency to minor units).

    `low` and `high` bound each number in it.
    """

    key: str
    label: str
    kind: str
    default: Any
    low: float | None = None
    high: float | None = None
    options: tuple[str, ...] = ()
    help: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """`inputs` returns None when the policy has nothing to say about such an action. Stages: when it is asked.

    What no granting policy allows is denied: ALLOW of any other policy only means that it has nothing against it.
    """

    key: str
    title: str
    purpose: str
    """One sentence: what it keeps from happening."""
    inputs: Callable[[Situation], Inputs | None]
    decide: Callable[[Inputs, Values], Said | None]
    numbers: tuple[Number, ...] = ()
    stages: tuple[Stage, ...] = (Stage.PROPOSE, Stage.EDIT, Stage.SEND)
    two_people: bool = False
    """Changing its numbers needs a second admin."""
    grants: bool = False
    """Whether its ALLOW is an authority to act."""
    unstored: tuple[str, ...] = ()
    """Inputs that are not stored with the verdict, since the action has them: see `refill`."""
    refill: Callable[[Inputs, Mapping[str, Any]], Inputs] | None = None
    """Completes stored inputs from the action's payload."""

    @property
    def defaults(self) -> dict[str, Any]:
        """The built-in numbers."""
        return {n.key: n.default for n in self.numbers}


_policies: dict[str, Policy] = {}


def register(policy: Policy) -> Policy:
    """Make a policy known."""
    known = _policies.get(policy.key)
    if known is not None and known != policy:
        raise ValueError(f"two policies {policy.key!r}")
    _policies[policy.key] = policy
    return policy


def policies() -> tuple[Policy, ...]:
    """All policies, in the order they were registered: the order people read them in."""
    return tuple(_policies.values())


def get(key: str) -> Policy:
    """The policy; KeyError when there is none."""
    return _policies[key]
