"""What can go wrong with users, links and keys, in sentences for people."""

from core.errors import Conflict, NotAllowed, NotFound


class LinkDead(NotAllowed):
    """The sign-in link is unknown, used or expired; which of them it is stays unsaid."""

    def __init__(self) -> None:
        super().__init__(
            "This sign-in link has expired or was already used.",
            "Ask for a new one: on the server, `ops users link EMAIL` prints it.",
        )


class UnknownUser(NotFound):
    """There is no such person."""

    def __init__(self, who: str | int) -> None:
        super().__init__(f"There is no user {who}.", "`ops users list` shows everybody; `ops users add` adds somebody.")


class UserDisabled(Conflict):
    """The person is disabled and can't be given a way in."""

    def __init__(self, email: str) -> None:
        super().__init__(f"{email} is disabled.", f"Enable them first: `ops users enable {email}`.")


class LastAdmin(Conflict):
    """The change would leave nobody who may change settings."""

    def __init__(self) -> None:
        super().__init__("This is the last admin.", "Make somebody else an admin first: `ops users role EMAIL admin`.")
