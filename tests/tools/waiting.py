"""Waiting for something to become true, instead of for some time."""

import inspect
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], seconds: float = 30.0, what: str = "", step_s: float = 0.02) -> T:
    """Wait until `condition()` is true and return what it gave. AssertionError says what was waited for."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what or _text(condition)}")
        time.sleep(step_s)
    return found


def _text(condition: Callable[[], object]) -> str:
    try:
        return " ".join(inspect.getsource(condition).split())
    except (OSError, TypeError):
        return repr(condition)
