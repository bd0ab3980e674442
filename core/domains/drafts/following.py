"""Drafts that are sent as they are: the mail is an action, and the draft is decided with it."""

from sqlalchemy import update
from sqlalchemy.orm import Session

from core.domains.drafts.models import Draft, DraftStatus
from core.runtime.actions import followers
from core.runtime.actions.followers import Told
from core.runtime.actions.models import Action
from core.runtime.agents import proposals

PREFIX = "draft:"
_STATUS = {"approved": DraftStatus.APPROVED, "done": DraftStatus.APPROVED, "rejected": DraftStatus.DISMISSED}


def prefix(draft_id: int) -> str:
    """How the keys of the draft's actions start."""
    return f"{PREFIX}{draft_id}:"


def follow(session: Session, action: Action, told: Told) -> None:
    """Follower of drafts' mails. A note is of its day: one whose mail came to nothing is not asked about again."""
    status = DraftStatus.DISMISSED if proposals.came_to_nothing(told) else _STATUS.get(told.what)
    number = (action.key or "").removeprefix(PREFIX).partition(":")[0]
    if status is not None and number.isdigit():
        session.execute(update(Draft).where(Draft.id == int(number)).values(status=status.value))


followers.register(PREFIX, follow)
