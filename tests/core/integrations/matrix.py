"""What each way to fail must mean to whoever called, whichever vendor it is."""

from typing import Any

from core.kit.http import NoAnswer, NotApplied

REFUSED, LATER, UNCLEAR, DONE = "refused", "refused for now", "unclear", "done"
HTTP = [
    ("ok", DONE), ("slow:0.05", DONE), ("reject_before", REFUSED), ("429:30", LATER), ("429", LATER),
    ("redirect_internal", REFUSED), ("redirect_internal:308", REFUSED), ("redirect_internal:303", UNCLEAR),
    ("redirect_internal:302", UNCLEAR), ("reject_before:500", UNCLEAR), ("reject_before:503", UNCLEAR), ("529", UNCLEAR),
    ("apply_then_drop", UNCLEAR), ("drop_before", UNCLEAR), ("apply_then_500", UNCLEAR), ("malformed", UNCLEAR),
    ("huge", UNCLEAR), ("hang", UNCLEAR), ("trickle", UNCLEAR), ("slow:5", UNCLEAR),
]  # fmt: skip
"""Mode of the fake world to what the connector must say."""


def outcome(call: Any) -> str:
    """How a connector's call ended; whatever went wrong is told in sentences."""
    ended: NotApplied | NoAnswer
    try:
        call()
    except (NotApplied, NoAnswer) as error:
        ended = error
    else:
        return DONE
    assert ended.message.endswith(".")
    assert ended.next_step
    return UNCLEAR if isinstance(ended, NoAnswer) else LATER if ended.retryable else REFUSED
