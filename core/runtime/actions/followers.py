"""What else changes when something becomes of an action, in the same transaction: a report counts as sent once its mail is.

A domain registers a follower for the actions whose key starts with its prefix.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from core.kit.actor import Actor
from core.runtime.actions.models import Action


@dataclass(frozen=True, slots=True)
class Told:
    """What became of it: the event's last word (awaiting, approved, done, replied …), its id, who did it, what it carries."""

    what: str
    event_id: int
    by: Actor | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)


Follower = Callable[[Session, Action, Told], None]
_followers: dict[str, list[Follower]] = {}


def register(prefix: str, follower: Follower) -> None:
    """Have `follower` called for actions whose key starts with `prefix`; "" means all. Registering twice is registering once."""
    known = _followers.setdefault(prefix, [])
    if follower not in known:
        known.append(follower)


def tell(session: Session, action: Action, told: Told) -> None:
    """Call everybody who follows this action."""
    for prefix, followers in _followers.items():
        if (action.key or "").startswith(prefix):
            for follower in followers:
                follower(session, action, told)
