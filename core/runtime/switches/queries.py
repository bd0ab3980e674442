"""Which kill switches are on: the question before each effect, and what people see."""

from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.errors import NotFound, Unavailable
from core.runtime.switches.env import env_stop
from core.runtime.switches.models import Reach

# the outer row is always there, so that an answer without a scope can be told from an answer without switches; a reach that
# this version does not know counts as everything
_STOPS = text("""
    SELECT current_setting('app.scope', true) AS scope, k.id, k.reach, k.reason, k.pulled_by AS by, k.pulled_at AS at
    FROM (SELECT 1) AS always LEFT JOIN kill_switches k ON k.resumed_at IS NULL AND CASE k.reach
        WHEN 'organisation' THEN k.org_id = CAST(:org_id AS uuid)
        WHEN 'agent' THEN lower(k.agent) = lower(CAST(:agent AS text))
        ELSE true END
    ORDER BY k.id
""")


def stops(session: Session, org_id: UUID, agent: str | None) -> tuple[dict[str, Any], ...]:
    """Switches that are on and reach this organisation or agent, as plain JSON: {"id", "reach", "reason", "by", "at"}.

    Raises when it can't be read, also in a transaction that may not see every switch: never an empty answer then.
    """
    rows = session.execute(_STOPS, {"org_id": org_id, "agent": agent}).all()
    if not rows or rows[0].scope != "staff":
        raise Unavailable("The kill switch can't be read from here.", "Ask in a transaction of the staff's scope.")
    return tuple(
        {"id": r.id, "reach": r.reach, "reason": r.reason, "by": r.by, "at": r.at.isoformat()} for r in rows if r.id is not None
    )


_HELD_UNSTOPPED = text("""
    SELECT a.id, count(*) OVER () AS n FROM actions a WHERE a.state = 'deferred' AND a.deferred_until IS NULL AND NOT EXISTS (
        SELECT FROM kill_switches k WHERE k.resumed_at IS NULL AND CASE k.reach
            WHEN 'organisation' THEN k.org_id = a.org_id WHEN 'agent' THEN lower(k.agent) = lower(a.agent) ELSE true END)
    ORDER BY a.id LIMIT :most
""")


def held_unstopped(session: Session, most: int) -> tuple[list[int], int]:
    """The oldest actions a switch held that no switch in the database reaches any more, and how many there are in all."""
    found = session.execute(_HELD_UNSTOPPED, {"most": most}).all()
    return [r.id for r in found], found[0].n if found else 0


@dataclass(frozen=True, slots=True)
class Switch:
    """A pull of the switch. `asked_by`: who asked to resume everything, while a second admin has not."""

    id: int
    reach: Reach
    org_id: UUID
    org_name: str
    agent: str | None
    reason: str
    by: str
    by_id: int | None
    at: datetime
    asked_by: str | None
    asked_by_id: int | None
    resumed_by: str | None
    resumed_at: datetime | None

    @property
    def what(self) -> str:
        """What it stops, in words that fit into a sentence."""
        if self.reach is Reach.EVERYTHING:
            return "everything"
        return f"everything for {self.org_name}" if self.reach is Reach.ORGANISATION else str(self.agent)


@dataclass(frozen=True, slots=True)
class Stopped:
    """What is stopped now. `env` is why the environment stops everything; `held` counts actions that wait for a resume."""

    switches: tuple[Switch, ...] = ()
    env: str | None = None
    held: int = 0

    def __bool__(self) -> bool:
        return bool(self.switches or self.env)

    @property
    def everything(self) -> bool:
        """Whether nothing at all leaves."""
        return self.env is not None or any(s.reach is Reach.EVERYTHING for s in self.switches)


_COLUMNS = """k.id, k.reach, k.org_id, o.name, k.agent, k.reason, k.pulled_by, k.pulled_by_id, k.pulled_at, k.resume_asked_by,
    k.resume_asked_by_id, k.resumed_by, k.resumed_at"""
_STATE = text(f"""
    SELECT held.n, {_COLUMNS}
    FROM (SELECT count(*) AS n FROM actions WHERE state = 'deferred' AND deferred_until IS NULL) AS held
    LEFT JOIN (kill_switches k JOIN organisations o ON o.id = k.org_id) ON k.resumed_at IS NULL
    ORDER BY k.reach <> 'everything', k.id
""")  # noqa: S608
_HISTORY = text(f"""
    SELECT {_COLUMNS} FROM kill_switches k JOIN organisations o ON o.id = k.org_id ORDER BY k.id DESC LIMIT :most
""")  # noqa: S608
_ONE = text(f"SELECT {_COLUMNS} FROM kill_switches k JOIN organisations o ON o.id = k.org_id WHERE k.id = :id")  # noqa: S608


def _switch(values: Any) -> Switch:
    id_, reach, *rest = values
    return Switch(id_, Reach(reach), *rest)


def state(session: Session) -> Stopped:
    """What is stopped now, the widest first, in one query."""
    rows = session.execute(_STATE).all()
    on = tuple(_switch(r[1:]) for r in rows if r.id is not None)
    return Stopped(on, env_stop(), rows[0].n)


def history(session: Session, limit: int = 50) -> list[Switch]:
    """Pulls of the switch, newest first, those that are over too."""
    return [_switch(r) for r in session.execute(_HISTORY, {"most": limit})]


def find(session: Session, switch_id: int) -> Switch | None:
    """One pull of the switch."""
    row = session.execute(_ONE, {"id": switch_id}).first()
    return None if row is None else _switch(row)


# not of all actions there ever were: each page asks this
_AGENTS = text("""
    SELECT agent FROM schedules UNION
    SELECT agent FROM (SELECT agent FROM actions ORDER BY id DESC LIMIT 500) recent WHERE agent IS NOT NULL UNION
    SELECT agent FROM actions WHERE agent IS NOT NULL
    AND state IN ('proposed', 'awaiting_approval', 'deferred', 'approved', 'executing', 'unknown')
""")


def agents(session: Session) -> list[str]:
    """Agents that can be stopped, by name: those with a job, and those of recent and open actions."""
    from core.runtime.agents.specs import specs
    from core.runtime.notifications.models import AGENT

    found = {str(a) for a in session.scalars(_AGENTS)} | {s.agent for s in specs()} | {AGENT}
    return sorted(found, key=str.lower)


_ORGS = text("SELECT id, name FROM organisations ORDER BY kind <> 'agency', lower(name), id")


def organisations(session: Session) -> list[tuple[UUID, str]]:
    """Organisations that can be stopped: (id, name), the agency first."""
    return [(r.id, r.name) for r in session.execute(_ORGS)]


def organisation(session: Session, name: str) -> UUID:
    """The organisation of that name, however it is capitalised. Raises NotFound, with the nearest name."""
    known = {n.lower(): (o, n) for o, n in organisations(session)}
    wanted = name.strip().lower()
    if wanted not in known:
        near = get_close_matches(wanted, known, n=1, cutoff=0.5)
        hint = f" Did you mean “{known[near[0]][1]}”?" if near else ""
        raise NotFound(f"There is no organisation called “{name[:80]}”.", f"Nothing was stopped.{hint}")
    return known[wanted][0]
