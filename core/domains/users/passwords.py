"""Password hashes: argon2id with OWASP's minimum (19 MiB, two passes, one lane), about 25 to 50 ms a check."""

import secrets
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@lru_cache(maxsize=1)
def _nobody() -> str:
    """A hash no password fits, verified when there is no user, so that an unknown address takes as long."""
    return _hasher.hash(secrets.token_urlsafe(32))


def hash_password(password: str) -> str:
    """The hash to store."""
    return _hasher.hash(password)


def verify(stored: str | None, password: str) -> bool:
    """Whether the password fits. Takes the same time when there is nothing stored."""
    try:
        return _hasher.verify(stored or _nobody(), password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def outdated(stored: str) -> bool:
    """Whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def warm() -> None:
    """Make the stand-in hash before the first sign-in needs it."""
    _nobody()
