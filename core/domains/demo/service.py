"""The demo agency: load it, clear it, ask whether it is there."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.config import get_settings
from core.domains.demo import acts, builds, clearing, history, latest, people, sales, usage
from core.domains.demo.clearing import Cleared
from core.domains.demo.world import World
from core.domains.users import service as users
from core.kit import clock
from core.runtime.schedules import service as schedules

SEED = 20261121
_LOCK = 7210401
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Rows made by table, and what a former demo left because the agency's own records refer to it."""

    made: dict[str, int]
    kept: dict[str, int]

    @property
    def rows(self) -> int:
        """All rows made."""
        return sum(self.made.values())


def load(session: Session, now: datetime | None = None, progress: Progress | None = None) -> Loaded:
    """Put eight weeks of an invented agency into the database, every row of it marked; a demo that is there is replaced.

    Needs the registry loaded and a staff transaction. The jobs' schedules and a first admin are made too if they are
    missing; those are not part of the demo and stay.
    """
    say = progress or (lambda _share, _what: None)
    _lock(session)
    cleared = clearing.clear(session)
    schedules.sync_builtin(session)
    # whoever looks after the agency is no part of the demo: clearing it must not take their account away
    users.ensure_first_admin(session)
    world = World(
        session, now or clock.now(), clock.zone(get_settings().time_zone), random.Random(SEED)  # noqa: S311 - not for secrets
    )  # fmt: skip
    say(0.1, "People and clients")
    people.build(world)
    say(0.2, "Deals")
    sales.build(world)
    say(0.4, "Builds and deployments")
    made = builds.build(world)
    say(0.5, "Automations")
    usage.build(world, made)
    say(0.6, "Past runs")
    last = history.build(world)
    say(0.7, "The latest reports")
    latest.build(world, last)
    say(0.85, "Actions")
    acts.odd_ones(world)
    say(0.9, "Events")
    world.put_many("events", sorted(world.events, key=lambda e: e["created_at"]))
    say(1.0, "Done")
    return Loaded(dict(world.made), cleared.kept)


def clear(session: Session, progress: Progress | None = None) -> Cleared:
    """Remove the demo and nothing else. What the agency's own records refer to stays and is named in `kept`."""
    _lock(session)
    return clearing.clear(session, progress)


def is_loaded(session: Session) -> bool:
    """Whether there is a demo agency."""
    return bool(
        session.scalar(text("SELECT EXISTS (SELECT 1 FROM clients WHERE demo) OR EXISTS (SELECT 1 FROM deals WHERE demo)"))
    )


def _lock(session: Session) -> None:
    # two loads at once would each clear nothing and then meet in the unique names
    session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
