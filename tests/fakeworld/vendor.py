"""What the played vendors have in common."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.fakeworld.server import Seen


@dataclass
class Reply:
    """An answer, and whether what was asked for was done."""

    status: int
    body: Any
    applied: bool = False
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class About:
    """What the log says of a call: the effect's key as the vendor sees it, and whom it reaches."""

    key: str | None = None
    recipients: tuple[str, ...] = ()


class Vendor(Protocol):
    """One played vendor. `path` never holds the mount."""

    name: str

    def endpoint(self, method: str, path: str) -> str | None:
        """Name of the endpoint, None when there is none."""
        ...

    def about(self, endpoint: str, path: str, seen: Seen) -> About: ...

    def handle(self, endpoint: str, path: str, seen: Seen) -> Reply:
        """Do it. Called by one thread at a time."""
        ...

    def refuse(self, endpoint: str, status: int | None) -> Reply:
        """The vendor's own way of saying no, with this status or its usual one."""
        ...

    def limited(self, retry_after: str | None) -> Reply: ...


def json_of(seen: Seen) -> dict[str, Any]:
    """The body as an object; empty when it is none."""
    try:
        found = seen.json
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
