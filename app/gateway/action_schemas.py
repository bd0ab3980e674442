"""Shapes of the API's answers about actions. Times are UTC, money is in minor units with its currency."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.gateway.schemas import Shape


class ActionSummary(Shape):
    """An action as a list shows it."""

    id: int
    kind: str
    state: str = Field(
        description="proposed, denied, deferred, awaiting_approval, approved, executing, done, failed, unknown, dismissed, undone"
    )
    outcome: str | None = Field(description="Why a dismissed one ended: rejected, expired or withdrawn.")
    title: str
    target: str
    reason: str | None
    organisation: str
    org_id: UUID
    audience: str = Field(description="Whom it reaches: nobody, internal or outside.")
    recipients: int
    cost_minor: int
    currency: str
    origin: str = Field(description="trusted, or untrusted when a value came from text that nobody vouches for")
    reversible: bool
    agent: str | None
    requested_by: str
    run_id: int | None
    undo_of: int | None
    version: int
    payload_sha256: str = Field(description="Binds all that an approval is about; send it along when you decide.")
    approvals_needed: int
    approvals: int
    owner_role: str | None
    due_at: datetime = Field(description="By when somebody must have decided.")
    expires_at: datetime
    deferred_until: datetime | None
    mode: str | None = Field(description="How it was carried out: live or dry_run.")
    external_url: str | None
    error: str | None
    decided_by: str | None
    decided_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    href: str = Field(examples=["/api/v1/actions/17"])


class ActionList(BaseModel):
    """A page of actions."""

    actions: list[ActionSummary]
    next: str | None = Field(description="Ask for the following page with `after=` this; null on the last page.")


class ActionFact(Shape):
    """A fact it rests on, as it was then."""

    key: str
    label: str
    shown: str
    section: str | None
    now: str | None = Field(description="What it is now, when it has changed since.")


class ActionVerdict(Shape):
    """What a policy said last at one stage."""

    policy: str
    title: str
    stage: str
    verdict: str
    reason: str
    until: datetime | None
    at: datetime


class ActionDecisionLine(Shape):
    """Something somebody decided."""

    decision: str
    version: int
    by: str
    via: str
    note: str | None
    at: datetime


class ActionMoment(Shape):
    """One line of its story."""

    at: datetime
    text: str
    note: str | None


class ActionFull(ActionSummary):
    """An action with all that was known when it was decided, and what became of it."""

    payload: dict[str, Any]
    wire: str = Field(description="The final bytes as text: exactly this is sent.")
    people: list[str] = Field(description="Whom it reaches, one spelling a person.")
    provenance: dict[str, Any] = Field(description="Where each value came from, by field.")
    facts: list[ActionFact]
    verdicts: list[ActionVerdict]
    decisions: list[ActionDecisionLine]
    story: list[ActionMoment] = Field(description="Oldest first.")


class DecisionInput(BaseModel):
    """A decision about exactly one version."""

    model_config = ConfigDict(extra="forbid")

    payload_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="As the action showed it when you read it.")
    note: str | None = Field(None, max_length=1000, pattern=r"^[^\x00]*$")


class ActionDecided(BaseModel):
    """What the decision led to."""

    action_id: int
    state: str
    sentence: str


class ProposalInput(BaseModel):
    """An action you would like."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(max_length=100, pattern=r"^[^\x00]+$", examples=["slack.post"])
    payload: dict[str, Any] = Field(description="The kind's fields.")
    reason: str | None = Field(None, max_length=1000, pattern=r"^[^\x00]*$", description="Why, for whoever decides.")


class ActionProposed(BaseModel):
    """What became of a proposal. `created` is false for a repeated Idempotency-Key."""

    action_id: int
    state: str
    reason: str
    created: bool
    href: str
