"""Calling the model within a run: budget first, waits where waiting helps, one row per call."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from core.config import get_settings
from core.errors import BudgetExceeded, RateLimited
from core.integrations.anthropic.client import Answer, Client, Request
from core.integrations.anthropic.errors import Cut, ModelError, Overloaded, Throttled, Unreachable
from core.kit import log
from core.runtime.agents import budgets, outcomes, prices, sheet

MAX_TRIES = 5
LONGEST_WAIT_S = 30.0
LONGEST_LATER_S = 3_600.0
"""A vendor that asks for a longer wait gets no second visit from this run: the template is used."""

logger = log.get(__name__)


class Asks(Protocol):
    """What makes a call: the client, or anything with its `ask`."""

    def ask(self, request: Request, deadline_s: float) -> Answer: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer and the row of its call."""

    answer: Answer
    call_id: int


class Caller:
    """Makes the model calls of one attempt of a run.

    `deadline_s` is wall time for all of them together; `check` raises when the run was stopped; `may_come_back` says that a
    run asked to wait long may be put aside and tried again later.
    """

    def __init__(
        self, client: Asks, model: str, run_id: int, org_id: UUID, *,
        deadline_s: float, check: Callable[[], None], may_come_back: bool,
    ) -> None:  # fmt: skip
        self.model = model
        self._client = client
        self._run_id, self._org_id = run_id, org_id
        self._end = time.monotonic() + deadline_s
        self._check = check
        self._may_come_back = may_come_back

    @property
    def remaining_s(self) -> float:
        """Seconds left for calls."""
        return self._end - time.monotonic()

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def ask(self, request: Request, *, purpose: str, prompt: str, org_id: UUID | None = None) -> Asked:
        """The answer. Raises BudgetExceeded before a call that could pass a budget, a ModelError when there is no usable answer,
        and RateLimited when the run should come back later. `org_id` is whom the call is for, when not for the run's own.
        """
        failed = 0
        while True:
            self._check()
            self._check_time()
            try:
                return self._once(request, purpose, prompt, org_id)
            except Throttled as error:
                failed += 1
                self._wait_as_told(error, failed)
            except (Overloaded, Unreachable, Cut) as error:
                failed += 1
                tries = 2 if isinstance(error, Cut) else MAX_TRIES
                pause = min(20.0, get_settings().model_backoff_s * 2 ** (failed - 1)) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
                if failed >= tries or pause >= self.remaining_s:
                    raise
                self._sleep(pause)

    def _check_time(self) -> None:
        if self.remaining_s <= 0:
            stop = BudgetExceeded("The run's time for the model is used up.", "Raise the job's time limit if it needs more.")
            budgets.tell_stop(self._run_id, stop)
            raise stop

    def _once(self, request: Request, purpose: str, prompt: str, org_id: UUID | None) -> Asked:
        held = budgets.reserve(
            self._run_id, org_id or self._org_id, purpose=purpose, model=request.model, prompt=prompt,
            input_tokens=sheet.request_tokens(request), max_tokens=request.max_tokens,
        )  # fmt: skip
        began = time.monotonic()

        def took() -> int:
            return round((time.monotonic() - began) * 1000)

        try:
            deadline_s = max(0.1, min(get_settings().model_call_deadline_s, self.remaining_s))
            answer = self._client.ask(request, deadline_s)
        except ModelError as error:
            known = None if error.billed else error.spent or (0, 0)
            budgets.settle(held, error.outcome, spent=known, duration_ms=took(), detail=error.detail or error.message)
            logger.warning("model_call", run_id=self._run_id, outcome=error.outcome, detail=error.detail)
            raise
        except BaseException:
            budgets.settle(held, outcomes.ABANDONED, spent=None, duration_ms=took())
            raise
        spent = (answer.input_tokens, answer.output_tokens)
        budgets.settle(held, outcomes.OK, spent=spent, duration_ms=took(), detail=answer.request_id)
        logger.info("model_call", run_id=self._run_id, outcome=outcomes.OK, input_tokens=spent[0], output_tokens=spent[1])
        return Asked(answer, held.call_id)

    def _wait_as_told(self, error: Throttled, failed: int) -> None:
        wait_s = error.retry_after_s
        if failed < MAX_TRIES and wait_s <= LONGEST_WAIT_S and wait_s < self.remaining_s:
            self._sleep(max(wait_s, 0.05))
            return
        if self._may_come_back and wait_s <= LONGEST_LATER_S:
            raise RateLimited(error.message, error.next_step, retry_after_s=max(wait_s, 1.0)) from None
        raise error

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._check()
            time.sleep(min(0.2, left))


def make_client() -> Client | None:
    """A client for the account in the settings, or None when there is no key."""
    settings = get_settings()
    key = settings.anthropic_api_key.get_secret_value().strip() if settings.anthropic_api_key else ""
    return Client(key, settings.anthropic_base_url) if key else None


def effort(model: str) -> str | None:
    """How hard the model should think about prose: little. None where the model can't be told."""
    return "low" if prices.takes_effort(model) else None
