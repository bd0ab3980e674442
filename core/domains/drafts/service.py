"""Commands on drafts: save one (again), decide on one."""

import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import literal_column, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.domains.drafts import following
from core.domains.drafts.models import Draft, DraftKind, DraftStatus
from core.errors import BadInput, Conflict, NotFound
from core.kit.actor import Actor
from core.runtime.actions.models import Decided
from core.runtime.agents import proposals
from core.runtime.events import service as events
from core.runtime.orgs.models import AGENCY_ID

_REPLACEABLE = (DraftStatus.PENDING_REVIEW, DraftStatus.SUPERSEDED)
_DECISIONS = {DraftStatus.APPROVED: "approved", DraftStatus.DISMISSED: "dismissed"}


def save(
    session: Session,
    *,
    kind: DraftKind | str,
    key: str,
    title: str,
    body: str,
    subject: tuple[str, int] | None = None,
    for_role: str | None = None,
    fact_keys: Sequence[str] = (),
    composer: str = "template",
    run_id: int | None = None,
    org_id: UUID = AGENCY_ID,
    demo: bool = False,
) -> tuple[int, bool]:
    """Write the draft `key` of an organisation, replacing the text a former run left under that key.

    Returns (id, created). A draft that a person has approved or dismissed keeps its text: its id comes back, untouched.
    `subject` is (type, id) of what the draft is about; `composer` is "template" or the model's name;
    `demo` says that the subject is one of the demo's.
    """
    values = {
        "org_id": org_id,
        "kind": DraftKind(kind).value,
        "key": key,
        "title": title,
        "body": body,
        "status": DraftStatus.PENDING_REVIEW.value,
        "subject_type": subject[0] if subject else None,
        "subject_id": subject[1] if subject else None,
        "for_role": for_role,
        "fact_keys": list(fact_keys),
        "composer": composer,
        "run_id": run_id,
        "demo": demo,
    }
    replaced = {k: v for k, v in values.items() if k not in ("org_id", "key")}
    statement: Any = (
        insert(Draft)
        .values(values)
        .on_conflict_do_update(constraint="drafts_key", set_=replaced, where=Draft.status.in_(_REPLACEABLE))
        .returning(Draft.id, literal_column("xmax = 0").label("created"))
    )
    row = session.execute(statement).first()
    if row is not None:
        return row.id, row.created
    kept = session.execute(select(Draft.id).where(Draft.org_id == org_id, Draft.key == key)).scalar_one()
    return kept, False


def fingerprint(title: str, body: str) -> str:
    """What a decision binds to: the draft's text as the person saw it."""
    return hashlib.sha256(f"{title}\n{body}".encode()).hexdigest()


def decide(session: Session, draft_id: int, status: DraftStatus, by: Actor, *, seen: str | None = None) -> None:
    """Approve or dismiss a draft that waits for review, and with it the mail that would send it, if it has one.

    `seen` is the `fingerprint` of the text the person read; when the text has changed since, nothing is decided.
    Raises BadInput, NotFound, or Conflict when somebody else was first.
    """
    word = _DECISIONS.get(status)
    if word is None:
        raise BadInput("A draft can be approved or dismissed.", "Choose one of the two.")
    draft = session.execute(select(Draft).where(Draft.id == draft_id).with_for_update()).scalar_one_or_none()
    if draft is None:
        raise NotFound(f"There is no draft {draft_id}.", "It may have been cleared; reload the list.")
    if draft.status == status:
        return  # a double click
    if draft.status != DraftStatus.PENDING_REVIEW:
        raise Conflict(f"This draft was already {draft.status.replace('_', ' ')}.", "Reload to see who decided.")
    if seen is not None and seen != fingerprint(draft.title, draft.body):
        raise Conflict("This draft was rewritten after you opened it.", "Read the new text, then decide.")
    session.execute(update(Draft).where(Draft.id == draft_id).values(status=status.value))
    asked = Decided.APPROVE if status is DraftStatus.APPROVED else Decided.REJECT
    proposals.decide(session, following.prefix(draft_id), asked, by)
    events.publish(
        session,
        f"draft.{word}",
        f"{by.label} {word} “{draft.title}”.",
        org_id=draft.org_id,
        actor=by,
        subject=("draft", draft_id),
        cause_run_id=draft.run_id,
        demo=draft.demo,
    )
