"""What can go wrong with Pipedrive. Whether trying again can help is part of each error."""

from core.errors import BadInput, NotAllowed, Unavailable


class NotConnected(BadInput):
    """There is no API token."""

    def __init__(self) -> None:
        super().__init__(
            "Pipedrive is not connected.", "Enter its API token in Settings → Connections, or set PIPEDRIVE_API_TOKEN."
        )


class BadToken(NotAllowed):
    """Pipedrive does not accept the token, or its user may not read deals."""

    def __init__(self, status: int) -> None:
        why = "does not accept the API token" if status == 401 else "does not let this token read deals"
        super().__init__(f"Pipedrive {why}.", "Check it in Settings → Connections, and the permissions of its user.")


class Unreachable(Unavailable):
    """Pipedrive did not answer, or answered with an error of its own, several times in a row."""


class Malformed(Unavailable):
    """Pipedrive answered something that is not its API."""


class StaleCursor(Exception):
    """Pipedrive no longer knows the place in the list; the caller starts again at the first page."""


class NoSuchPath(Exception):
    """The account does not offer this version of the API; the caller falls back."""
