"""Our own people, as the runtime needs to know them. The users domain says who they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session

from core.kit.actor import Actor

ADMIN = "admin"
"""The role that may decide everything."""


@dataclass(frozen=True, slots=True)
class Person:
    """One of our people who may sign in."""

    id: int
    name: str
    email: str
    role: str
    slack_user_id: str | None = None


class Directory(Protocol):
    """Who looks people up; those who may no longer sign in are not found."""

    def __call__(
        self, session: Session, *, ids: Sequence[int] | None = None, role: str | None = None, slack: str | None = None
    ) -> list[Person]: ...


_directory: list[Callable[..., list[Person]]] = []


def register(directory: Directory) -> None:
    """Make the directory known; the users domain does."""
    _directory[:] = [directory]


def find(session: Session, user_id: int) -> Person | None:
    """The person, read from the database now; None when there is none who may sign in."""
    found = _directory[0](session, ids=[user_id])
    return found[0] if found else None


def acting(session: Session, by: Actor) -> Person | None:
    """The person who acts, as the database has them now; None for an API key, an agent, the command line and the system."""
    return find(session, by.id) if by.kind == "user" and by.id is not None else None


def is_admin(person: Person | None) -> bool:
    """Whether that is one of our admins."""
    return person is not None and person.role == ADMIN


def with_role(session: Session, role: str) -> list[Person]:
    """Everybody of that role."""
    return _directory[0](session, role=role)


def everybody(session: Session) -> list[Person]:
    """All who may sign in."""
    return _directory[0](session)


def by_slack(session: Session, slack_user_id: str) -> Person | None:
    """Whose Slack account that is."""
    found = _directory[0](session, slack=slack_user_id)
    return found[0] if found else None
