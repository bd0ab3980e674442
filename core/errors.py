"""The error hierarchy. What a person sees is `message` and `next_step`, never a traceback."""


class OpsError(Exception):
    """Base of every expected error.

    `message` is one sentence for a person; `next_step` says what to do about it; `retryable` tells the
    run ledger whether trying again can help.
    """

    retryable = False

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()


class BadInput(OpsError):
    """Somebody gave us something we can't use. Nothing was changed."""


class NotFound(OpsError):
    """The named thing does not exist, or the caller may not see it."""


class Conflict(OpsError):
    """Somebody else was first. The message says who or what won."""


class NotAllowed(OpsError):
    """The caller's role may not do this."""


class BudgetExceeded(OpsError):
    """A token or money budget would be passed; checked before the call that would pass it."""


class Unavailable(OpsError):
    """A dependency (database, Redis, vendor) did not answer; trying again later can help."""

    retryable = True


class RateLimited(Unavailable):
    """A vendor asked us to wait. `retry_after_s` is the vendor's own figure in seconds, or None."""

    def __init__(self, message: str, next_step: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, next_step)
        self.retry_after_s = retry_after_s
