"""Commands on drafts: save one (again). The mail that sends it decides it, see `following`."""

import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import literal_column, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.domains.drafts.models import Draft, DraftKind, DraftStatus
from core.runtime.orgs.models import AGENCY_ID

_REPLACEABLE = (DraftStatus.PENDING_REVIEW, DraftStatus.SUPERSEDED)


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
    """What marks the draft's text."""
    return hashlib.sha256(f"{title}\n{body}".encode()).hexdigest()
