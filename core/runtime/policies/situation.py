"""What policies may look at: an action and the state of the world around it, read once and frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from core.runtime.actions.models import Audience, Origin
from core.runtime.policies.models import Stage


@dataclass(frozen=True, slots=True)
class Facing:
    """The action as policies see it. Money in minor units."""

    id: int
    kind: str
    org_id: UUID
    agent: str | None
    requested_by_kind: str
    requested_by_id: int | None
    payload: Mapping[str, Any]
    origin: Origin
    untrusted_fields: tuple[str, ...]
    """Protected payload fields whose value came from untrusted text and no person has confirmed."""
    audience: Audience
    recipients: tuple[str, ...]
    marketing: bool
    cost_minor: int
    currency: str
    account: str
    """"none" means dry run."""
    approved_by_people: int
    """People who approved exactly this version."""
    undo: bool
    words: tuple[str, ...] = ()
    """Every text in the payload, for patterns."""


@dataclass(frozen=True, slots=True)
class Situation:
    """The world around one action at one instant. Counts leave the action itself out.

    `sent_in_hour` are the instants of this organisation's effects of this kind within the last hour, oldest first, those under
    way as now; `booked` is how many others wait for a slot after them. Contact counts are by person key.
    """

    stage: Stage
    now: datetime
    zone: ZoneInfo
    action: Facing
    org_name: str
    org_enabled: bool
    env_stop: str | None
    """Why the environment stops everything; None when it does not."""
    stops: tuple[Mapping[str, Any], ...] = ()
    """Switches that are on and reach this action: {"reach", "reason", "by", "at"}."""
    readable: bool = True
    """False when the switches could not be read: everything stops then."""
    suppressed: Mapping[str, str] = field(default_factory=dict)
    """Person key to why."""
    contacts: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    """Person key to when they were reached within the last 31 days, by any sender, oldest first."""
    sent_in_hour: tuple[datetime, ...] = ()
    booked: int = 0
    spent_today_minor: int = 0
    spent_week_minor: int = 0
    """Over the last seven times 24 hours, in the action's currency."""
    internal_domains: tuple[str, ...] = ()
    staff: tuple[str, ...] = ()
    """Person keys of our own people."""
