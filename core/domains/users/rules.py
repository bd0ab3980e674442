"""Pure rules of sign-in: what an address, a password and a key look like, and how many wrong guesses are too many."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final

from core.domains.users.models import Role
from core.errors import BadInput

SESSION_DAYS: Final = 14
LINK_MINUTES: Final = 30
MIN_PASSWORD: Final = 12
MAX_PASSWORD: Final = 256
SCOPES: Final = {
    "jobs:read": "List jobs and see when they run.",
    "jobs:run": "Run a job now.",
    "jobs:write": "Enable and disable jobs.",
    "runs:read": "List runs and see what they did.",
    "runs:write": "Cancel and retry runs.",
    "actions:read": "List actions and see what they send.",
    "actions:decide": "Approve, reject and undo actions that reach nobody outside and cost nothing.",
    "actions:propose": "Propose actions; policies and people decide about them.",
    "control:write": "Pull the kill switch and see what is stopped; only people resume.",
    "deals:read": "List deals.",
    "facts:read": "Collect facts.",
    "metrics:read": "Read the metrics from another machine.",
}
"""Every scope an API key may have, with what it allows."""

ROLE_WORDS: Final = {
    Role.ADMIN: "Admin",
    Role.ENGINEERING: "Engineering",
    Role.DELIVERY: "Delivery",
    Role.SALES: "Sales",
    Role.MARKETING: "Marketing",
}

_EMAIL = re.compile(r"[^@\s<>\"',;\x00-\x1f\x7f]{1,64}@[^@\s<>\"',;\x00-\x1f\x7f]{1,190}")
_KEY = re.compile(r"ops_([a-z0-9]{8})_([A-Za-z0-9_-]{43})")
_SLACK = re.compile(r"[UW][A-Z0-9]{6,20}", re.ASCII)
_PREFIX_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Limits:
    """Wrong passwords allowed within `window_s` seconds before further ones wait.

    `pair` is for one address from one source: somebody guessing at one person. `source` is for one source over
    all addresses. `address` is for one address from everywhere, and does not bind a browser that has signed in
    to that address before, so that strangers can't lock its owner out.
    """

    window_s: int = 900
    pair: int = 5
    source: int = 30
    address: int = 50


LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Failures:
    """Wrong passwords within the window."""

    pair: int
    source: int
    address: int


def must_wait(failed: Failures, *, known_browser: bool, limits: Limits = LIMITS) -> bool:
    """Whether the next password is turned away unread."""
    if failed.pair >= limits.pair or failed.source >= limits.source:
        return True
    return failed.address >= limits.address and not known_browser


def clean_email(raw: str) -> str:
    """The address as it is stored. Raises BadInput."""
    email = raw.strip().lower()
    if not _EMAIL.fullmatch(email):
        raise BadInput("That is not an e-mail address.", "It should look like name@company.com.")
    return email


def looks_like_email(raw: str) -> str | None:
    """The address as it is stored, or None when it can't be one."""
    email = raw.strip().lower()
    return email if _EMAIL.fullmatch(email) else None


def clean_name(raw: str) -> str:
    """A person's or a key's name. Raises BadInput."""
    name = " ".join(raw.split())
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise BadInput("A name needs 1 to 80 letters.", "Give a name people know.")
    return name


def clean_role(raw: str) -> Role:
    """The role. Raises BadInput that lists the known ones."""
    try:
        return Role(raw.strip().lower())
    except ValueError:
        raise BadInput(f"There is no role “{raw}”.", f"Choose one of {', '.join(Role)}.") from None


def check_password(password: str, *, email: str, name: str) -> None:
    """Raises BadInput when the password is too short, too long or the person's own name or address."""
    if len(password) < MIN_PASSWORD:
        raise BadInput(f"A password needs at least {MIN_PASSWORD} characters.", "A few words in a row are easy to remember.")
    if len(password) > MAX_PASSWORD:
        raise BadInput(f"A password may have at most {MAX_PASSWORD} characters.", "Choose a shorter one.")
    plain = password.lower()
    if len(set(plain)) < 5 or plain in {email, email.partition("@")[0], name.lower()}:
        raise BadInput("That password is too easy to guess.", "A few words in a row are easy to remember.")


def clean_slack(raw: str) -> str:
    """A Slack member's id. Raises BadInput."""
    wanted = raw.strip().upper()
    if not _SLACK.fullmatch(wanted):
        raise BadInput("That is not a Slack member id.", "In Slack: the person's profile → ⋮ → Copy member ID (U0123ABCD).")
    return wanted


def clean_scopes(raw: list[str] | tuple[str, ...]) -> list[str]:
    """Scopes without doubles, sorted. Raises BadInput that lists the known ones."""
    wanted = sorted({s.strip().lower() for s in raw})
    unknown = [s for s in wanted if s not in SCOPES]
    if unknown or not wanted:
        what = f"There is no scope “{unknown[0]}”." if unknown else "A key needs at least one scope."
        raise BadInput(what, f"Choose from {', '.join(SCOPES)}.")
    return wanted


def new_token() -> str:
    """256 random bits, safe in a URL (43 characters)."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """What is stored of a random token. A plain hash is enough: 256 random bits can't be guessed from it."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_key() -> tuple[str, str, str]:
    """A new API key: (prefix, secret, the whole key as its owner uses it)."""
    prefix = "".join(secrets.choice(_PREFIX_LETTERS) for _ in range(8))
    secret = secrets.token_urlsafe(32)
    return prefix, secret, f"ops_{prefix}_{secret}"


def split_key(presented: str) -> tuple[str, str] | None:
    """(prefix, secret) of a key, or None when it can't be one."""
    match = _KEY.fullmatch(presented)
    return (match[1], match[2]) if match else None


def same_hash(one: str, other: str) -> bool:
    """Compares two hashes in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())
