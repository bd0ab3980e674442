"""How a vendor call ended, in the words of the effect engine."""

from collections.abc import Iterator
from contextlib import contextmanager

from core.kit.http import NoAnswer, NotApplied
from core.runtime.actions.kinds import Refused, Unclear


@contextmanager
def told_by_vendor() -> Iterator[None]:
    """Around a connector's call: NotApplied becomes Refused, NoAnswer becomes Unclear."""
    try:
        yield
    except NotApplied as error:
        raise Refused(
            error.message, error.next_step, retryable=error.retryable, retry_after_s=error.retry_after_s, status=error.status
        ) from None
    except NoAnswer as error:
        raise Unclear(error.message, error.next_step, status=error.status) from None
