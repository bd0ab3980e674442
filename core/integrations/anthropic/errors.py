"""How a call of the model can end badly. `outcome` is the word written to `model_calls`.

Status and error words: https://platform.claude.com/docs/en/api/errors
"""

from core.errors import OpsError


class ModelError(OpsError):
    """A call that gave no usable answer. `spent` is (input, output) tokens when the vendor told, else None.

    `billed` says whether tokens may have been charged although nobody told how many.
    """

    outcome = "failed"
    billed = False

    def __init__(self, message: str, next_step: str = "", *, spent: tuple[int, int] | None = None, detail: str = "") -> None:
        super().__init__(message, next_step)
        self.spent = spent
        self.detail = detail


class Overloaded(ModelError):
    """529 and other passing trouble on the vendor's side: wait and try again."""

    outcome = "overloaded"
    retryable = True


class Throttled(ModelError):
    """429 with `retry-after`: `retry_after_s` is the vendor's own figure."""

    outcome = "rate_limited"
    retryable = True

    def __init__(self, message: str, next_step: str = "", *, retry_after_s: float, detail: str = "") -> None:
        super().__init__(message, next_step, detail=detail)
        self.retry_after_s = retry_after_s


class SpendCap(ModelError):
    """The account's spend limit or credit is used up (429 without `retry-after`, 402, or a 400 that says so). Not retried."""

    outcome = "spend_cap"


class TimedOut(ModelError):
    """No whole answer before the deadline."""

    outcome = "timed_out"
    billed = True


class Cut(ModelError):
    """The connection ended before the answer did. Nothing of it is used."""

    outcome = "cut"
    billed = True


class Unreachable(ModelError):
    """The vendor could not be reached at all."""

    outcome = "unreachable"
    retryable = True


class Malformed(ModelError):
    """What came back is not what the Messages API sends, or not the form that was asked for."""

    outcome = "malformed"
    billed = True


class Refused(ModelError):
    """The model declined to answer."""

    outcome = "refused"


class TooLong(ModelError):
    """The answer hit its length limit and is incomplete."""

    outcome = "max_tokens"


class Empty(ModelError):
    """The answer holds no text."""

    outcome = "empty"


class BadKey(ModelError):
    """401 or 403: the key is wrong or may not use the model."""

    outcome = "bad_key"


class BadRequest(ModelError):
    """Another 4xx: our own fault or an unknown model."""

    outcome = "bad_request"
