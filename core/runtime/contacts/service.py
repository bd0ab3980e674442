"""Putting people on the suppression list, and taking them off it."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.errors import BadInput, NotAllowed, NotFound
from core.kit.actor import SYSTEM, Actor
from core.runtime.audit import service as audit
from core.runtime.contacts import queries, rules
from core.runtime.contacts.models import Suppression, Why
from core.runtime.events import service as events
from core.runtime.orgs.models import AGENCY_ID, Organisation

OWN_WORD = (Why.OPT_OUT, Why.COMPLAINT)
"""What a person said themself: only they can take it back."""
_SAID = {
    Why.BOUNCE: "mail to them bounces",
    Why.COMPLAINT: "they complained about our mail",
    Why.OPT_OUT: "they opted out",
    Why.MANUAL: "added by hand",
}


@dataclass(frozen=True, slots=True)
class Suppressed:
    """The entry that now holds. `changed` is False when it was there already, for this or a weightier reason."""

    id: int
    person: str
    why: Why
    changed: bool


def suppress(
    session: Session, address: str, why: Why, source: str, *, org_id: UUID = AGENCY_ID, note: str | None = None,
    by: Actor = SYSTEM, demo: bool = False,
) -> Suppressed:  # fmt: skip
    """Write to this person no more, for whichever organisation and by whichever sender. Doing it again changes nothing.

    An entry of a lighter reason takes the weightier one: a person's own word can't hide behind a manual entry. `source` is
    who or what said so, in words. Raises BadInput.
    """
    one, source = rules.parse(address), _words(source, "source")
    given = {
        "org_id": org_id, "person": one.person, "address": address.strip()[:320], "why": why.value, "source": source,
        "note": _words(note, "note") if note else None, "demo": demo,
    }  # fmt: skip
    put = insert(Suppression).values(**given)
    weight = queries.heaviest
    row = session.execute(
        put.on_conflict_do_update(
            constraint="suppressions_once",
            set_={k: put.excluded[k] for k in ("why", "source", "note", "address")} | {"created_at": func.clock_timestamp()},
            where=weight > queries.WEIGHT.index(why),
        ).returning(Suppression.id)
    ).one_or_none()
    if row is None:
        held = session.execute(
            select(Suppression.id, Suppression.why).where(Suppression.org_id == org_id, Suppression.person == one.person)
        ).one()
        return Suppressed(held.id, one.person, Why(held.why), changed=False)
    subject = ("suppression", int(row.id))
    events.publish(
        session, "contact.suppressed", f"{one.person} gets no more messages: {_SAID[why]} ({source}).", org_id=org_id,
        payload={"person": one.person, "why": why.value, "source": source}, actor=by, subject=subject, demo=demo,
    )  # fmt: skip
    detail = {"person": one.person, "why": why.value, "source": source}
    audit.write(session, "contact.suppressed", subject, by, detail, org_id=org_id)
    return Suppressed(row.id, one.person, why, changed=True)


def opt_out(session: Session, asked: rules.OptOut) -> Suppressed:
    """What an opt-out link asks for. An organisation that is gone by now makes no difference."""
    known = session.execute(select(Organisation.id).where(Organisation.id == asked.org_id)).scalar_one_or_none()
    return suppress(
        session, asked.person, Why.OPT_OUT, "opt-out link", org_id=known or AGENCY_ID, by=Actor("Opt-out link")
    )  # fmt: skip


def lift(session: Session, suppression_id: int, by: Actor, reason: str, *, person_asked: bool = False) -> str:
    """Take an entry off the list; returns a sentence. Admins only. Other organisations' entries for the person stay.

    What the person said themself (opt-out, complaint) needs `person_asked`: that they asked to be written to again, with the
    reason saying when and how. Raises BadInput, NotAllowed, NotFound.
    """
    _admin(session, by)
    reason = _words(reason, "reason")
    row = session.execute(select(Suppression).where(Suppression.id == suppression_id).with_for_update()).scalar_one_or_none()
    if row is None:
        raise NotFound("That entry is not on the suppression list.", "It may have been lifted meanwhile; reload the list.")
    why = Why(row.why)
    if why in OWN_WORD and not person_asked:
        raise NotAllowed(
            f"{row.person} said so themself ({_SAID[why]}), so only they can take it back.",
            "Say that the person asked for it, and note when and how.",
        )
    session.execute(delete(Suppression).where(Suppression.id == row.id))
    others = queries.suppressed(session, [row.person])
    detail = {"person": row.person, "why": why.value, "reason": reason, "person_asked": person_asked}
    summary = f"{by.label} took {row.person} off the suppression list: {reason}"
    subject = ("suppression", row.id)
    events.publish(
        session, "contact.lifted", summary, org_id=row.org_id, payload=detail, actor=by, subject=subject, demo=row.demo
    )
    audit.write(session, "contact.lifted", subject, by, detail, org_id=row.org_id)
    if others:
        return f"That entry is lifted, but {row.person} stays on the list: {_SAID[Why(others[row.person])]}."
    return f"{row.person} may be written to again."


def _words(text: str | None, what: str) -> str:
    said = " ".join((text or "").split())
    if not 3 <= len(said) <= 300 or not said.isprintable():
        raise BadInput(f"The {what} needs 3 to 300 letters.", "Say it so that others understand it later.")
    return said


def _admin(session: Session, by: Actor) -> None:
    from core.runtime.orgs import people

    if not people.is_admin(people.acting(session, by)):
        raise NotAllowed("Only an admin takes people off the suppression list.", "Ask an admin.")
