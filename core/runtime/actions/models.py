"""Actions: the only way out. What somebody wants done outside, who may allow it, and what became of it."""

import enum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Currency, Demo, Id, Instant, Json, JsonList, one_of
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class ActionState(enum.StrEnum):
    PROPOSED = "proposed"
    DENIED = "denied"
    DEFERRED = "deferred"
    AWAITING = "awaiting_approval"
    APPROVED = "approved"
    EXECUTING = "executing"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DISMISSED = "dismissed"
    UNDONE = "undone"


OPEN = (ActionState.PROPOSED, ActionState.DEFERRED, ActionState.AWAITING, ActionState.APPROVED, ActionState.EXECUTING)
"""`unknown` is in neither: it waits for a person to say what happened."""


class Origin(enum.StrEnum):
    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"


class Audience(enum.StrEnum):
    """Whom it reaches: nobody (a record), our own people, or somebody outside."""

    NOBODY = "nobody"
    INTERNAL = "internal"
    OUTSIDE = "outside"


class Outcome(enum.StrEnum):
    """Why a dismissed action ended."""

    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Decided(enum.StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    REPLY = "reply"
    EDIT = "edit"
    DELEGATE = "delegate"
    UNDO = "undo"
    RESOLVE = "resolve"


class Action(Base):
    """One thing to be done outside our database. `payload_sha256` binds all that an approval is about (see `binding`)."""

    __tablename__ = "actions"
    __table_args__ = (
        one_of("state", ActionState),
        one_of("origin", Origin),
        one_of("audience", Audience),
        UniqueConstraint("key", name="actions_key"),
        UniqueConstraint("effect_key", name="actions_effect_key"),
        Index("actions_by_state", "state", text("id DESC")),
        Index("actions_waiting", "deadline_at", postgresql_where=text("state = 'awaiting_approval'")),
        Index("actions_expiring", "expires_at", postgresql_where=text("state IN ('awaiting_approval', 'approved', 'deferred')")),
        Index("actions_by_kind", "kind", text("id DESC")),
        Index("actions_by_run", "run_id"),
        Index("actions_under_way", "execute_run_id", postgresql_where=text("state IN ('approved', 'executing', 'deferred')")),
        Index("actions_deferred", "org_id", "kind", "deferred_until", postgresql_where=text("state = 'deferred'")),
        Index("actions_by_undo", "undo_of", postgresql_where=text("undo_of IS NOT NULL")),
        Index("actions_by_created", text("created_at DESC")),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'proposed'"))
    title: Mapped[str]
    """What it does, in a sentence for people: "Post the CEO Morning Brief to #leadership"."""
    target: Mapped[str]
    """Whom or what it reaches, as people read it."""
    reason: Mapped[str | None]
    """Why the proposer wants it."""
    payload: Mapped[Json]
    """The kind's fields, as its schema reads them."""
    wire: Mapped[bytes] = mapped_column(LargeBinary)
    """The FINAL bytes, rendered from `payload`; the connector sends exactly these."""
    payload_sha256: Mapped[str]
    approved_sha256: Mapped[str | None]
    """The binding that was approved, by policy or by people; it must equal `payload_sha256` at the moment of sending."""
    account: Mapped[str]
    """Whose account carries it out: "slack:12", "inside" for our own database, "none" while there is no connection."""
    version: Mapped[int] = mapped_column(server_default=text("1"))
    key: Mapped[str | None]
    """Idempotency of the proposal: a second one with the same key is not made."""
    effect_key: Mapped[UUID] = mapped_column(Uuid)
    """Marks the effect at the vendor: idempotency key, metadata or message id."""
    origin: Mapped[str]
    provenance: Mapped[Json]
    """Field to {"origin": trusted|untrusted, "source": words for people}."""
    audience: Mapped[str]
    recipients: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default=text("'{}'"))
    """People it reaches, as `core.runtime.contacts.rules.person_key` writes them."""
    marketing: Mapped[bool] = mapped_column(server_default=text("false"))
    cost_minor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    currency: Mapped[Currency]
    reversible: Mapped[bool] = mapped_column(server_default=text("false"))
    undo_of: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("actions.id", ondelete="SET NULL"))
    agent: Mapped[str | None]
    requested_by: Mapped[str]
    """In words."""
    requested_by_kind: Mapped[str]
    requested_by_id: Mapped[int | None] = mapped_column(BigInteger)
    run_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("runs.id", ondelete="SET NULL"))
    execute_run_id: Mapped[int | None] = mapped_column(BigInteger)
    """The run that carries it out."""
    facts: Mapped[JsonList]
    """What it rests on: [{"key", "label", "shown", "value", "section"}] out of the run's fact sheet."""
    stale: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """{"checked_at", "changed": [{"key", "label", "was", "now"}]} when facts under it changed since."""
    approvals_needed: Mapped[int] = mapped_column(server_default=text("1"))
    owner_role: Mapped[str | None]
    owner_user_id: Mapped[int | None] = mapped_column(BigInteger)
    """Set when it was delegated to one person."""
    deadline_at: Mapped[Instant | None]
    remind_at: Mapped[Instant | None]
    reminded_at: Mapped[Instant | None]
    expires_at: Mapped[Instant]
    deferred_until: Mapped[Instant | None]
    """When it goes on; null while deferred means that a kill switch holds it."""
    outcome: Mapped[str | None]
    mode: Mapped[str | None]
    """How it was carried out: live or dry_run."""
    external_ref: Mapped[str | None]
    external_url: Mapped[str | None]
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """{"message", "next_step"}."""
    decided_by: Mapped[str | None]
    decided_at: Mapped[Instant | None]
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[Instant | None]
    demo: Mapped[Demo]


class ActionDecision(Base):
    """One thing a person decided about one version of an action."""

    __tablename__ = "action_decisions"
    __table_args__ = (
        one_of("decision", Decided),
        Index("action_decisions_by_action", "action_id", "id"),
        Index(
            "action_decisions_once", "action_id", "version", "user_id", unique=True,
            postgresql_where=text("decision = 'approve'"),
        ),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    action_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("actions.id", ondelete="CASCADE"))
    version: Mapped[int]
    payload_sha256: Mapped[str]
    decision: Mapped[str]
    user_id: Mapped[int | None] = mapped_column(BigInteger)
    by: Mapped[str]
    via: Mapped[str]
    """web, slack, api, cli or clock."""
    note: Mapped[str | None]
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """An edit keeps the payload as it was."""
    at: Mapped[CreatedAt]
    demo: Mapped[Demo]


class EffectState(enum.StrEnum):
    INTENT = "intent"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Effect(Base):
    """The effect ledger: intent is committed before anything is sent, the result after. One row an action."""

    __tablename__ = "effects"
    __table_args__ = (
        one_of("state", EffectState),
        UniqueConstraint("action_id", name="effects_action"),
        Index("effects_window", "org_id", "kind", text("intent_at DESC")),
        Index("effects_by_time", text("intent_at DESC")),
        Index("effects_finished", "org_id", "kind", "finished_at"),
        Index("effects_open", "id", postgresql_where=text("state = 'intent'")),
        Index("effects_by_ref", "external_ref", postgresql_where=text("external_ref IS NOT NULL")),
        Index("effects_by_recipient", "recipients", postgresql_using="gin"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId] = mapped_column(index=False)  # effects_finished begins with it
    action_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("actions.id", ondelete="CASCADE"))
    effect_key: Mapped[UUID] = mapped_column(Uuid)
    kind: Mapped[str]
    vendor: Mapped[str | None]
    """Who was asked; None when it happens in our own database."""
    connection_id: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(server_default=text("'intent'"))
    dry_run: Mapped[bool] = mapped_column(server_default=text("false"))
    wire_sha256: Mapped[str]
    audience: Mapped[str]
    recipients: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default=text("'{}'"))
    cost_minor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    currency: Mapped[Currency]
    intent_at: Mapped[CreatedAt]
    first_sent_at: Mapped[Instant | None]
    finished_at: Mapped[Instant | None]
    external_ref: Mapped[str | None]
    external_url: Mapped[str | None]
    receipt: Mapped[Json]
    """What undo and look-up need to know, never a secret."""
    run_id: Mapped[int | None] = mapped_column(BigInteger)
    demo: Mapped[Demo]


class EffectCall(Base):
    """One call to a vendor for an effect: a send or a look-up, and how it ended."""

    __tablename__ = "effect_calls"
    __table_args__ = (
        Index("effect_calls_by_effect", "effect_id", "id"),
        Index("effect_calls_by_vendor", "vendor", text("at DESC")),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    effect_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("effects.id", ondelete="CASCADE"))
    vendor: Mapped[str | None]
    what: Mapped[str]
    """send or look-up."""
    outcome: Mapped[str | None]
    """applied, refused, unclear, found, absent; null while it is under way, or when its process died."""
    status: Mapped[int | None]
    """HTTP or SMTP status."""
    detail: Mapped[str | None]
    at: Mapped[CreatedAt]
    duration_ms: Mapped[int | None]
    demo: Mapped[Demo]
