"""How a vendor misbehaves, by endpoint and by call number.

ok · reject_before[:status] · apply_then_drop · drop_before · apply_then_500 · slow:SECONDS · hang · 429[:retry-after] · 529 ·
malformed · huge · trickle · redirect_internal. What is not applied says so in its name or here: reject_before, drop_before,
hang, 429, 529 and redirect_internal apply nothing; slow applies after the pause; the others apply and then answer badly.
"""

import fnmatch
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

NOT_APPLIED = frozenset({"reject_before", "drop_before", "hang", "429", "529", "redirect_internal"})
KNOWN = NOT_APPLIED | {"ok", "apply_then_drop", "apply_then_500", "slow", "malformed", "huge", "trickle"}


@dataclass
class _Rule:
    endpoint: str
    mode: str
    calls: frozenset[int] | None
    share: float | None
    chance: random.Random
    seen: int = field(default=0)


class Modes:
    """The rules in force. The newest that fits a call decides; each counts its own calls, from 1."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []

    def set(
        self, endpoint: str, mode: str, calls: int | Sequence[int] | None = None, *, share: float | None = None, seed: int = 0
    ) -> None:
        """From now on. `endpoint` may hold wildcards; `calls` are numbers of calls from now on; `share` of them by chance."""
        if mode.split(":")[0] not in KNOWN:
            raise ValueError(f"no mode {mode!r}")
        numbers = None if calls is None else frozenset([calls] if isinstance(calls, int) else calls)
        with self._lock:
            self._rules.append(_Rule(endpoint, mode, numbers, share, random.Random(seed)))

    def reset(self) -> None:
        """Everything behaves again."""
        with self._lock:
            self._rules.clear()

    def next(self, endpoint: str) -> str:
        """The mode of this call."""
        chosen = "ok"
        with self._lock:
            for rule in self._rules:
                if not fnmatch.fnmatchcase(endpoint, rule.endpoint):
                    continue
                rule.seen += 1
                if (rule.calls is None or rule.seen in rule.calls) and (rule.share is None or rule.chance.random() < rule.share):
                    chosen = rule.mode
        return chosen
