"""The only source of the current time, so that tests can move it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.errors import BadInput


def now() -> datetime:
    """The current time, timezone-aware UTC."""
    return datetime.now(UTC)


def zone(name: str) -> ZoneInfo:
    """The IANA time zone `name`. Raises BadInput with a next step when there is no such zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        raise BadInput(
            f"There is no time zone called “{name}”.", "Use an IANA name such as America/Chicago or Europe/London."
        ) from None
