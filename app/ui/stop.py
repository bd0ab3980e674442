"""The kill switch and the bell in the frame of every page: a quiet button, a red bar while something is stopped, unread lines."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from uuid import UUID

from app.auth.current import current_user
from app.ui import assets, live, page
from core.domains.users.service import CurrentUser
from core.errors import BadInput, OpsError
from core.kit import db
from core.kit.db import STAFF
from core.runtime.notifications import queries as notifications
from core.runtime.switches import queries, service
from core.runtime.switches.models import Reach
from core.runtime.switches.queries import Stopped, Switch

KEEP_S = 4.0


@dataclass(frozen=True, slots=True)
class Frame:
    """What the frame shows to everybody: what is stopped, and how many lines each person has not read."""

    stopped: Stopped = field(default_factory=Stopped)
    unread: Mapping[int, int] = field(default_factory=dict)
    agents: tuple[str, ...] = ()
    organisations: tuple[tuple[UUID, str], ...] = ()


_lock = Lock()
_kept: tuple[float, str, Frame] | None = None


def now() -> Frame:
    """The frame as of the ledger's last change, asked at most every few seconds per process while nothing changes."""
    global _kept
    version = live.now().version
    with _lock:
        if _kept is None or _kept[1] != version or time.monotonic() - _kept[0] > KEEP_S:
            _kept = (time.monotonic(), version, _look())
        return _kept[2]


def forget() -> None:
    """Ask the database at the next question."""
    global _kept
    live.forget()
    _kept = None


def _look() -> Frame:
    with db.transaction(STAFF) as session:
        return Frame(
            queries.state(session),
            notifications.unread_by_person(session),
            tuple(queries.agents(session)),
            tuple(queries.organisations(session)),
        )


def style(person: CurrentUser) -> str:
    """Room for the bar and the button, sent ahead of the page, so that nothing jumps when they arrive."""
    button = "34px" if _may(person, Reach.AGENT) else "0px"
    bar = "var(--bar)" if now().stopped else "0px"
    return f"<style>:root{{--stop-row:{button};--stop-h:{bar}}}</style>"


def draw(person: CurrentUser) -> None:
    """Bell, button and bar. Part of the frame's fragment, which reruns when anything changes."""
    assets.renderer("stop")(
        key="ops_stop", data=shown(now(), person), on_pull_change=_pulled, on_resume_change=_resumed
    )  # fmt: skip


def shown(frame: Frame, person: CurrentUser) -> dict[str, Any]:
    """What the component gets: only what this person may see and do."""
    stopped, reaches = frame.stopped, [r.value for r in Reach if _may(person, r)]
    return {
        "unread": frame.unread.get(person.id, 0),
        "reaches": reaches,
        "agents": list(frame.agents) if reaches else [],
        "orgs": [[str(o), n] for o, n in frame.organisations] if Reach.ORGANISATION in reaches else [],
        "env": stopped.env,
        "held": stopped.held,
        "everything": stopped.everything,
        "on": [_one(s, person) for s in stopped.switches],
    }


def _one(switch: Switch, person: CurrentUser) -> dict[str, Any]:
    two = switch.reach is Reach.EVERYTHING
    return {
        "id": switch.id,
        "what": switch.what,
        "by": switch.by,
        "at": int(switch.at.timestamp() * 1000),
        "why": switch.reason,
        "two": two,
        "asked": switch.asked_by if two else None,
        "mine": two and switch.asked_by_id == person.id,
        "may": service.may(person.actor, str(person.role), switch.reach, resume=True),
    }


def _may(person: CurrentUser, reach: Reach) -> bool:
    return service.may(person.actor, str(person.role), reach)


def _pulled() -> None:
    wanted = assets.sent("ops_stop", "pull")
    if wanted:
        pull(dict(wanted))


def _resumed() -> None:
    wanted = assets.sent("ops_stop", "resume")
    if wanted:
        resume(dict(wanted))


def pull(wanted: Mapping[str, Any]) -> bool:
    """Stop what the dialog names: {"reach", "org" (an id), "agent", "reason"}. The service asks who may."""
    person = current_user()

    def work() -> str:
        org_id = _org(wanted.get("org")) if wanted.get("reach") == Reach.ORGANISATION else None
        agent = str(wanted.get("agent") or "") if wanted.get("reach") == Reach.AGENT else None
        with db.transaction(STAFF) as session:
            reach, reason = str(wanted.get("reach")), str(wanted.get("reason") or "")
            made = service.pull(session, reach, reason, person.actor, org_id=org_id, agent=agent)
        forget()
        return made.sentence

    return page.attempt(work)


def resume(wanted: Mapping[str, Any]) -> bool:
    """Let it go on, or be the first of two who want that: {"id"}."""
    person = current_user()

    def work() -> str:
        try:
            with db.transaction(STAFF) as session:
                done = service.resume(session, int(wanted.get("id") or 0), person.actor)
        except OpsError:
            forget()  # somebody else was first: show what there is now
            raise
        forget()
        return done.sentence

    return page.attempt(work)


def _org(raw: Any) -> UUID:
    try:
        return UUID(str(raw))
    except ValueError:
        raise BadInput("Choose the organisation.", "Nothing was stopped.") from None
