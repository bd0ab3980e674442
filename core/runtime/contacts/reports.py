"""What became of mail after it was sent: bounces and complaints, as the vendor reports them."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import BadInput
from core.kit import log
from core.kit.actor import Actor
from core.runtime.actions.models import Action, Effect
from core.runtime.contacts import rules, service
from core.runtime.contacts.models import Why
from core.runtime.events import service as events
from core.runtime.events.models import Event, Priority
from core.runtime.orgs.models import AGENCY_ID

SOFT_BOUNCES: Final = 3
WITHIN: Final = timedelta(days=7)
"""So many soft bounces within this time: nothing is sent there any more."""
SOFT_EVENT: Final = "mail.bounced_soft"
logger = log.get("contacts")


class Fate(enum.StrEnum):
    """`hard`: it will never arrive there. `soft`: it did not arrive this time. `closed`: the vendor sends nothing there."""

    HARD = "hard"
    SOFT = "soft"
    COMPLAINT = "complaint"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Report:
    """One report. `to` has every recipient of that mail; `ref` is the vendor's id of it, "" when it names none."""

    fate: Fate
    to: tuple[str, ...]
    ref: str
    said: str
    """In the vendor's words."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a report led to: people who get nothing more, and the action it was about."""

    suppressed: tuple[str, ...]
    action_id: int | None


_EVENT: Final = {
    Fate.HARD: ("mail.bounced", "Mail to {0} bounced for good"),
    Fate.SOFT: (SOFT_EVENT, "Mail to {0} did not arrive this time"),
    Fate.COMPLAINT: ("mail.complained", "{0} complained about our mail"),
    Fate.CLOSED: ("mail.closed", "{1} sends nothing to {0} any more"),
}


def take(session: Session, report: Report, vendor: str, org_id: UUID = AGENCY_ID) -> Taken:
    """Suppress whom it says, count what may pass. Call it once a report. `org_id` is whose account the vendor speaks of."""
    people = _people(report)
    for person in people:  # of two reports at once the second one counts the first; all locks before the audit chain's
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"report:{person}", 0))))
    action = _action(session, report.ref, org_id)
    owner = action.org_id if action is not None else org_id
    by = Actor(vendor)
    gone = []
    for person in people:
        # which of several it was is not said: then it counts as one that may pass
        fate = Fate.SOFT if report.fate is Fate.HARD and len(people) > 1 and not _named(person, report.said) else report.fate
        _tell(session, fate, person, report, action, owner, by)
        why = _why(session, fate, person)
        if why is not None:
            service.suppress(session, person, why, f"reported by {vendor}", org_id=owner, note=_note(report), by=by)
            gone.append(person)
    return Taken(tuple(gone), action.id if action is not None else None)


def _people(report: Report) -> Sequence[str]:
    found = []
    for address in report.to[:100]:
        try:
            found.append(rules.person_key(address))
        except BadInput:
            logger.warning("a report names an address that can't be read", fate=report.fate.value, ref=report.ref[:80])
    return sorted(set(found))


def _action(session: Session, ref: str, org_id: UUID) -> Action | None:
    """What was sent under that id. Mail of a client may go out by the agency's account; a client's account knows its own only."""
    if not ref:
        return None
    found = select(Action).join(Effect, Effect.action_id == Action.id).where(Effect.external_ref == ref)
    if org_id != AGENCY_ID:
        found = found.where(Action.org_id == org_id)
    return session.execute(found.order_by(Action.id.desc()).limit(1)).scalar_one_or_none()


def _named(person: str, said: str) -> bool:
    """Whether the vendor's words name this person's address."""
    for word in said.replace("<", " ").replace(">", " ").replace(",", " ").split():
        try:
            if rules.person_key(word.strip("\"'();:.")) == person:
                return True
        except BadInput:
            continue
    return False


def _why(session: Session, fate: Fate, person: str) -> Why | None:
    if fate is Fate.COMPLAINT:
        return Why.COMPLAINT
    if fate is Fate.SOFT and _soft_bounces(session, person) < SOFT_BOUNCES:
        return None
    return Why.BOUNCE


def _soft_bounces(session: Session, person: str) -> int:
    recent = select(func.count()).where(
        Event.type == SOFT_EVENT,
        Event.payload["person"].astext == person,
        Event.created_at > func.statement_timestamp() - WITHIN,
    )
    return session.execute(recent).scalar_one()


def _note(report: Report) -> str | None:
    said = " ".join(report.said.split())
    return "".join(c for c in said if c.isprintable())[:200] if len(said) >= 3 else None


def _tell(
    session: Session, fate: Fate, person: str, report: Report, action: Action | None, org_id: UUID, by: Actor
) -> None:  # fmt: skip
    what, words = _EVENT[fate]
    about = f": {action.title}" if action is not None else ""
    events.publish(
        session, what, words.format(person, by.label) + f"{about}.", org_id=org_id, actor=by,
        payload={"person": person, "ref": report.ref[:200], "said": report.said[:500]},
        subject=("action", action.id) if action is not None else None,
        priority=Priority.HIGH if fate is Fate.COMPLAINT else Priority.NORMAL, demo=action.demo if action is not None else False,
    )  # fmt: skip
