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
    word: str
    """The kind for people, as the end of a sentence has it: "Slack message", "mail"."""
    org_id: UUID
    agent: str | None
    requested_by_kind: str
    requested_by_id: int | None
    payload: Mapping[str, Any]
    origin: Origin
    untrusted_fields: tuple[str, ...]
    """Protected payload fields whose value came from untrusted text and no person has confirmed, by their labels."""
    audience: Audience
    recipients: tuple[str, ...]
    marketing: bool
    cost_minor: int
    currency: str
    account: str
    """"none" means dry run, "inside" our own database."""
    approved_by_people: int
    """People who approved exactly this version; for money without whoever asked for it."""
    undo: bool
    words: tuple[str, ...] = ()
    """Every text in the payload, for patterns."""


@dataclass(frozen=True, slots=True)
class Window:
    """What counts in a sliding window. `free_at` is when the next one fits, None when it fits now.

    `count` are effects that came to their end within it, and those under way; `ahead` are others whose turn is before this one.
    """

    count: int = 0
    ahead: int = 0
    free_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """The world around one action at one instant. Counts leave the action itself out."""

    stage: Stage
    now: datetime
    zone: ZoneInfo
    action: Facing
    org_name: str
    env_stop: str | None
    """Why the environment stops everything; None when it does not."""
    stops: tuple[Mapping[str, Any], ...] = ()
    """Switches that are on and reach this action: {"reach", "reason", "by", "at"}."""
    readable: bool = True
    """False when the switches could not be read: everything stops then."""
    suppressed: Mapping[str, str] = field(default_factory=dict)
    """Person key to why."""
    suppression_readable: bool = True
    contacts: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    """Person key to when they were reached within the last 31 days, by any sender, oldest first; those under way as now."""
    rate: Window = Window()
    """This organisation's effects of this kind."""
    outside: Window = Window()
    """This organisation's effects that reached somebody outside within 24 hours; read only under limited live."""
    spent_today_minor: int = 0
    spent_week_minor: int = 0
    """Over the last seven times 24 hours, in the action's currency."""
    strangers: tuple[str, ...] = ()
    """Recipients who are none of our people, by their accounts here."""
    our_domains: tuple[str, ...] = ()
    """Domains whose addresses are our people too."""
    api_scopes: tuple[str, ...] = ()
    """What the API key that asked may do; empty when none asked or it was revoked."""
