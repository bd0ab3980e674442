"""The words the screen uses for runs. Pure: no database, no clock."""

import enum

from core.runtime.runs.models import Reason, RunState


class Word(enum.StrEnum):
    """How a run stands, in the one word used on pages, in the CLI and in charts."""

    QUEUED = "Queued"
    RUNNING = "Running"
    WAITING = "Waiting"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TIMED_OUT = "Timed out"
    CANCELLED = "Cancelled"
    MISSED = "Missed"
    COALESCED = "Coalesced"
    QUARANTINED = "Quarantined"


STATE_WORDS = {
    RunState.QUEUED: Word.QUEUED,
    RunState.RUNNING: Word.RUNNING,
    RunState.WAITING: Word.WAITING,
    RunState.SUCCEEDED: Word.SUCCEEDED,
    RunState.FAILED: Word.FAILED,
    RunState.CANCELLED: Word.CANCELLED,
    RunState.QUARANTINED: Word.QUARANTINED,
}
REASON_WORDS = {
    (RunState.FAILED, Reason.TIMED_OUT): Word.TIMED_OUT,
    (RunState.CANCELLED, Reason.MISSED): Word.MISSED,
    (RunState.CANCELLED, Reason.COALESCED): Word.COALESCED,
}
"""Pairs of state and reason that have a word of their own; every other reason leaves the state's word."""

NEEDS_A_PERSON = (Word.FAILED, Word.TIMED_OUT, Word.MISSED, Word.QUARANTINED)
"""Outcomes somebody should look at."""


def run_word(state: str, reason: str | None = None, late: bool = False) -> str:
    """The word for a run; with `late` it says so too: "Succeeded, late"."""
    word = STATE_WORDS[RunState(state)]
    if reason is not None:
        word = REASON_WORDS.get((RunState(state), Reason(reason)), word)
    return f"{word}, late" if late else word.value


def states_of(word: Word) -> tuple[RunState, tuple[Reason, ...], bool]:
    """What a word means in the ledger: its state, and the reasons that are the only ones (True) or the ones left out (False)."""
    for (state, reason), special in REASON_WORDS.items():
        if special == word:
            return state, (reason,), True
    state = next(s for s, w in STATE_WORDS.items() if w == word)
    return state, tuple(r for (s, r) in REASON_WORDS if s == state), False
