"""The audit chain: what was decided and what left, append-only, each entry sealed with the one before it."""

from sqlalchemy import BigInteger, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.columns import CreatedAt, Id, Json
from core.kit.db import Base
from core.runtime.orgs.models import OrgId


class AuditEntry(Base):
    """One entry of an organisation's chain. The database fills `seq`, `previous` and `hash`, and lets nobody change a row.

    `hash` is the SHA-256 of previous, seq, what, subject, actor, detail and time, each as text, joined by newlines.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (UniqueConstraint("org_id", "seq", name="audit_entries_seq"),)

    id: Mapped[Id]
    # found by (org_id, seq); an index of its own would be taken for the way to the last entry while the table is small
    org_id: Mapped[OrgId] = mapped_column(index=False)
    seq: Mapped[int] = mapped_column(BigInteger)
    what: Mapped[str]
    """action.approved, effect.done, policy.changed, switch.pulled, secret.read …"""
    subject_type: Mapped[str]
    subject_id: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str]
    detail: Mapped[Json]
    previous: Mapped[str]
    hash: Mapped[str]
    at: Mapped[CreatedAt]
