"""Commands on the kill switch: stop everything, one organisation or one agent, and go on again.

Who may pull: an admin, everything; engineering, one agent. The server's command line and an API key with control:write may pull
all of them: stopping must be easy. Only people resume: whoever might have pulled it, and for everything two different admins, the
first asks and the second resumes. The command line counts as one of the two, whoever sits at it; an API key as none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.errors import BadInput, Conflict, NotAllowed, NotFound, OpsError
from core.kit import log
from core.kit.actor import Actor
from core.runtime.audit import service as audit
from core.runtime.events import service as events
from core.runtime.events.models import Priority
from core.runtime.orgs import people
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.switches import queries
from core.runtime.switches.env import env_stop as env_stop
from core.runtime.switches.models import KillSwitch, Reach
from core.runtime.switches.queries import Stopped as Stopped
from core.runtime.switches.queries import Switch
from core.runtime.switches.queries import state as state
from core.runtime.switches.queries import stops as stops

COMMAND_LINE: Final = Actor("The server's command line", "cli")
MAX_REASON: Final = 500
logger = log.get(__name__)
_ON: Final = text("resumed_at IS NULL")


@dataclass(frozen=True, slots=True)
class Pulled:
    """`created` is False when it was on already; `sentence` says so."""

    id: int
    created: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """`done` is False when a second admin has to agree first. `released`: held actions that go on now, a few at a time."""

    done: bool
    sentence: str
    released: int = 0


def may(by: Actor, role: str | None, reach: Reach, *, resume: bool = False) -> bool:
    """Whether somebody of this role may pull such a switch, or resume it."""
    if by.kind == "cli":
        return True
    if by.kind == "api":
        return not resume
    return role == people.ADMIN or (role == "engineering" and reach is Reach.AGENT)


def pull(
    session: Session, reach: Reach | str, reason: str, by: Actor, *, org_id: UUID | None = None, agent: str | None = None
) -> Pulled:
    """Stop effects in that reach from now on. Two pulls of the same at once are one, and a pull ends a wish to resume.

    Raises BadInput (no reason, nothing to stop by that name) and NotAllowed.
    """
    reach, reason = _reach(reach), _reason(reason)
    _check(session, by, reach)
    where = _target(session, reach, org_id, agent)
    values = {"reach": reach.value, "reason": reason, "pulled_by": by.label, "pulled_by_id": by.user_id, **where}
    once = insert(KillSwitch).on_conflict_do_nothing(index_elements=["reach", "org_id", "agent"], index_where=_ON)
    while True:
        made = session.execute(once.values(values).returning(KillSwitch.id)).scalar_one_or_none()
        if made is not None:
            return _tell_pulled(session, made, by)
        # whoever was first may have been resumed since: then it is pulled anew
        match = [getattr(KillSwitch, k).is_not_distinct_from(v) for k, v in where.items()]
        found = select(KillSwitch).where(KillSwitch.reach == reach.value, *match, _ON).with_for_update()
        known = session.scalars(found.execution_options(populate_existing=True)).first()
        if known is not None:
            return _still_on(session, known, reason, by)


def resume(session: Session, switch_id: int, by: Actor) -> Resumed:
    """Let effects go on. For everything the first admin's call asks, and a different admin's call resumes.

    What was held goes on a few at a time. Raises Conflict (over already, the same person twice), NotAllowed and NotFound.
    """
    switch = _locked(session, switch_id, by)
    if switch.reach is Reach.EVERYTHING:
        if switch.asked_by is None or not _asker_stands(session, switch):
            return _ask(session, switch, by)
        if switch.asked_by_id == by.user_id:
            raise Conflict("You have asked to resume already.", "A different admin has to resume it: two people, always.")
    session.execute(
        update(KillSwitch).where(KillSwitch.id == switch.id, _ON).values(resumed_by=by.label, resumed_at=func.clock_timestamp())
    )
    released = release_unstopped(session)
    title = f"{by.label} resumed {switch.what}"
    more = {"released": released, "asked_by": switch.asked_by}
    sentence = _tell(session, "switch.resumed", (title, _goes_on(released)), switch, by, more)
    return Resumed(True, sentence, released)


def _goes_on(released: int) -> str:
    from core.runtime.actions.service import RELEASE_A_TURN

    if not released:
        return "Nothing was held."
    pace = "a few at a time" if released <= RELEASE_A_TURN else f"{RELEASE_A_TURN} a minute"
    return f"{released} held {'action goes' if released == 1 else 'actions go'} on, {pace}."


def release_unstopped(session: Session) -> int:
    """Let held actions go on that nothing stops any more, a few at a time. Returns how many there are.

    One call takes some; `resume` calls it, and the clock every minute, since the environment's switch goes off without a call.
    """
    from core.runtime.actions import service as actions  # it asks this module before each effect

    if env_stop() is not None:
        return 0
    first, many = queries.held_unstopped(session, actions.RELEASE_A_TURN)
    if first:
        actions.release_held(session, first)
    return many


def _reach(reach: Reach | str) -> Reach:
    try:
        return Reach(reach)
    except ValueError:
        raise BadInput("A switch stops everything, one organisation or one agent.", "Say which.") from None


def _reason(reason: str) -> str:
    told = " ".join(reason.replace("\0", "").split())
    if not told:
        raise BadInput("Say why.", "One sentence is enough; everybody sees it while things are stopped.")
    return told[:MAX_REASON]


def _target(session: Session, reach: Reach, org_id: UUID | None, agent: str | None) -> dict[str, UUID | str | None]:
    if (org_id is not None) != (reach is Reach.ORGANISATION) or (bool(agent) != (reach is Reach.AGENT)):
        raise BadInput("Name one organisation or one agent, or stop everything.", "Nothing was stopped.")
    if reach is Reach.ORGANISATION:
        if org_id not in {o for o, _ in queries.organisations(session)}:
            raise BadInput("There is no such organisation.", "Nothing was stopped.")
        return {"org_id": org_id, "agent": None}
    if reach is Reach.AGENT:
        known = queries.agents(session)
        named = next((a for a in known if a.lower() == str(agent).strip().lower()), None)
        if named is None:
            raise BadInput(f"There is no agent called “{str(agent)[:80]}”.", f"Nothing was stopped. Known: {', '.join(known)}.")
        return {"org_id": AGENCY_ID, "agent": named}
    return {"org_id": AGENCY_ID, "agent": None}


def _check(session: Session, by: Actor, reach: Reach, *, resume: bool = False) -> None:
    person = people.find(session, by.user_id) if by.user_id is not None else None
    if may(by, person.role if person else None, reach, resume=resume):
        return
    if by.kind == "api":
        raise NotAllowed("Only a person can resume.", "An admin can do it in the app.")
    whom = "an admin or engineering" if reach is Reach.AGENT else "an admin"
    raise NotAllowed(f"Only {whom} can do that.", "Ask one of them.")


def _locked(session: Session, switch_id: int, by: Actor) -> Switch:
    """The switch, which nobody else can change meanwhile."""
    session.execute(select(KillSwitch.id).where(KillSwitch.id == switch_id).with_for_update())
    switch = queries.find(session, switch_id)
    if switch is None:
        raise NotFound(f"There is no kill switch {switch_id}.", "`ops kill status` shows which are on.")
    _check(session, by, switch.reach, resume=True)
    if switch.resumed_at is not None:
        raise Conflict(f"{switch.resumed_by} has resumed {switch.what} already.", "Nothing is left to do.")
    return switch


def _asker_stands(session: Session, switch: Switch) -> bool:
    """Whether whoever asked may still ask: an admin who is none any more does not count as one of two."""
    if switch.asked_by_id is None:
        return switch.asked_by == COMMAND_LINE.label
    person = people.find(session, switch.asked_by_id)
    return person is not None and person.role == people.ADMIN


def _ask(session: Session, switch: Switch, by: Actor) -> Resumed:
    session.execute(
        update(KillSwitch).where(KillSwitch.id == switch.id, _ON).values(resume_asked_by=by.label, resume_asked_by_id=by.user_id)
    )
    told = (f"{by.label} asks to resume everything", "A second admin has to agree.")
    return Resumed(False, _tell(session, "switch.resume_asked", told, switch, by, {}))


def _still_on(session: Session, known: KillSwitch, reason: str, by: Actor) -> Pulled:
    switch = queries.find(session, known.id)
    assert switch is not None
    already = f"{switch.by} has stopped {switch.what} already."
    if known.resume_asked_by is None:
        return Pulled(known.id, False, already)
    known.resume_asked_by = known.resume_asked_by_id = None
    session.flush()
    told = (f"{by.label} keeps {switch.what} stopped, although {switch.asked_by} asked to resume", reason)
    return Pulled(known.id, False, _tell(session, "switch.pulled", told, switch, by, {"again": True, "reason": reason}))


def _tell_pulled(session: Session, switch_id: int, by: Actor) -> Pulled:
    switch = queries.find(session, switch_id)
    assert switch is not None
    told = (f"{by.label} stopped {switch.what}", switch.reason)
    return Pulled(switch_id, True, _tell(session, "switch.pulled", told, switch, by, {"reason": switch.reason}))


def _tell(
    session: Session, type_: str, told: tuple[str, str], switch: Switch, by: Actor, more: Mapping[str, object]
) -> str:  # fmt: skip
    """Event, notice and audit entry; `told` is the notice's title and body. Returns them as one sentence."""
    from core.runtime.notifications import service as notifications  # which sends by actions, which ask this module

    title, body = told
    payload = {"reach": switch.reach.value, "organisation": switch.org_name, "agent": switch.agent, **more}
    about = {"org_id": switch.org_id, "actor": by, "subject": ("switch", switch.id)}
    sentence = f"{title}: {body}" if type_ == "switch.pulled" else f"{title}. {body}"
    event_id = events.publish(session, type_, sentence, payload=payload, priority=Priority.URGENT, **about)  # type: ignore[arg-type]
    try:
        with session.begin_nested():
            notifications.notify(
                session, role=people.ADMIN, kind="switch", key=f"switch:{switch.id}:{event_id}", title=title,
                body=body, href="/activity?kind=safety", urgent=True, org_id=switch.org_id,
            )  # fmt: skip
    except OpsError as error:  # stopping must not fail because telling does
        logger.warning("switch_untold", switch_id=switch.id, error=str(error))
    audit.write(session, type_, ("switch", switch.id), by, payload, org_id=switch.org_id)
    return sentence
