"""An action as a line of a list, and who may decide it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from core.runtime.actions.models import Action, ActionDecision, ActionState, Decided
from core.runtime.orgs.models import Organisation
from core.runtime.orgs.people import ADMIN


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One action without its bytes. Money in minor units; `due_at` is when the next thing happens to it by itself.

    `approvals` counts the people who approved this version; `stale` how many facts under it have changed since;
    `unconfirmed` whether a value came from untrusted text.
    """

    id: int
    org_id: UUID
    org_name: str
    kind: str
    state: str
    outcome: str | None
    title: str
    target: str
    reason: str | None
    audience: str
    recipients: int
    cost_minor: int
    currency: str
    origin: str
    reversible: bool
    agent: str | None
    requested_by: str
    requested_by_kind: str
    requested_by_id: int | None
    run_id: int | None
    undo_of: int | None
    facts: int
    stale: int
    version: int
    payload_sha256: str
    approvals_needed: int
    approvals: int
    owner_role: str | None
    owner_user_id: int | None
    deadline_at: datetime | None
    expires_at: datetime
    deferred_until: datetime | None
    mode: str | None
    external_url: str | None
    error: str | None
    decided_by: str | None
    decided_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    demo: bool

    @property
    def due_at(self) -> datetime:
        """By when somebody must have decided."""
        return self.deadline_at or self.expires_at

    @property
    def unconfirmed(self) -> bool:
        """A value in it came from text that nobody vouches for."""
        return self.origin == "untrusted"

    @property
    def needs_person(self) -> bool:
        """It goes nowhere until somebody says something."""
        return self.state in (ActionState.AWAITING, ActionState.UNKNOWN)


def is_theirs(user_id: int, role: str) -> ColumnElement[bool]:
    """Whether this person may decide, in SQL (see `service.may_decide`)."""
    if role == ADMIN:
        return Action.id.is_not(None)
    return or_(Action.owner_role == role, Action.owner_user_id == user_id)


def approved_by(user_id: int) -> ColumnElement[bool]:
    """This person has approved the version as it stands."""
    return exists(select(ActionDecision.id).where(_approval(), ActionDecision.user_id == user_id).correlate(Action))


def edited_by(user_id: int) -> ColumnElement[bool]:
    """This person has edited it."""
    wanted = (
        ActionDecision.action_id == Action.id,
        ActionDecision.decision == Decided.EDIT,
        ActionDecision.user_id == user_id,
    )
    return exists(select(ActionDecision.id).where(*wanted).correlate(Action))


def _approval() -> ColumnElement[bool]:
    return and_(
        ActionDecision.action_id == Action.id,
        ActionDecision.version == Action.version,
        ActionDecision.decision == Decided.APPROVE,
    )


def row_columns() -> tuple[Any, ...]:
    """What `to_row` wants, in its order; join Organisation."""
    approvals = select(func.count()).where(_approval()).correlate(Action).scalar_subquery()
    return (
        Action.id, Action.org_id, Organisation.name, Action.kind, Action.state, Action.outcome, Action.title, Action.target,
        Action.reason, Action.audience, func.cardinality(Action.recipients), Action.cost_minor, Action.currency, Action.origin,
        Action.reversible, Action.agent, Action.requested_by, Action.requested_by_kind, Action.requested_by_id, Action.run_id,
        Action.undo_of, func.jsonb_array_length(Action.facts), func.coalesce(func.jsonb_array_length(Action.stale["changed"]), 0),
        Action.version, Action.payload_sha256, Action.approvals_needed, approvals, Action.owner_role, Action.owner_user_id,
        Action.deadline_at, Action.expires_at, Action.deferred_until, Action.mode, Action.external_url,
        Action.error["message"].astext, Action.decided_by, Action.decided_at, Action.created_at, Action.finished_at, Action.demo,
    )  # fmt: skip


def to_row(values: tuple[Any, ...]) -> ActionRow:
    """A row of `row_columns`."""
    return ActionRow(*values)
