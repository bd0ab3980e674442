"""Tells the runtime who our people are."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domains.users.models import User
from core.runtime.orgs import people
from core.runtime.orgs.people import Person

_EVERYBODY = (
    select(User.id, User.name, User.email, User.role, User.slack_user_id)
    .where(User.disabled_at.is_(None))
    .order_by(User.name, User.id)
)


def look_up(
    session: Session, *, ids: Sequence[int] | None = None, role: str | None = None, slack: str | None = None
) -> list[Person]:
    """People who may sign in, by name."""
    wanted = _EVERYBODY
    if ids is not None:
        wanted = wanted.where(User.id.in_(ids))
    if role is not None:
        wanted = wanted.where(User.role == role)
    if slack is not None:
        wanted = wanted.where(User.slack_user_id == slack)
    return [Person(*r) for r in session.execute(wanted)]


people.register(look_up)
