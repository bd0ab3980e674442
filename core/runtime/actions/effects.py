"""Carrying an action out exactly once: intent, send, record; and after a crash, look up before anything is sent again.

`first_sent_at` is set in the transaction that commits the intent, before the first byte leaves: an effect that has it may have
happened, one without it certainly has not. Everything is done under the fencing token of the run that carries it out.
"""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

from sqlalchemy.exc import OperationalError

from core.config import get_settings
from core.errors import Conflict, RateLimited, Unavailable
from core.kit import clock, db, log
from core.kit.crashpoints import crashpoint, register
from core.kit.db import STAFF
from core.runtime.actions import gate, kinds, ledger
from core.runtime.actions.kinds import Account, ActionKind, Receipt, Refused, Unclear
from core.runtime.actions.ledger import Begun
from core.runtime.policies import look as policies
from core.runtime.runs.context import RunContext

register(
    "action.after_claim",
    "action.before_intent_committed",
    "action.after_intent_committed",
    "action.after_look_up_before_send",
    "action.after_refusal_before_record",
    "action.after_no_answer",
    "action.after_send_before_record",
    "action.after_record_before_ack",
    "run.after_ack",
)

MAX_UNCLEAR = 5
"""After so many calls without a usable answer a person is asked what happened."""
MAX_REFUSED = 8
"""A vendor that is busy is asked so often."""
FRESH_S = 0.5
"""What the gate said is acted on within so many seconds, or the gate is asked again: a process that was frozen, or had to wait,
sends nothing on the strength of a kill switch, a limit or a lease it looked at before."""
STALE_PASSES = 5
"""So often in a row, before it rests."""
RECORD_S = 20.0
"""So long the record of what a vendor answered is tried for while the database is away."""

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class _Passed:
    """What came through the gate: whose account carries it out (or why none does), and when the gate was asked (monotonic)."""

    begun: Begun
    account: Account | Refused | None
    asked_at: float
    stale: int = 0


class Ended(Exception):
    """The action has its end, there is nothing more to do for this run."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


def perform(ctx: RunContext) -> dict[str, Any]:
    """Handler of `action.execute`. Returns {"action_id", "state"}; the action's own page tells the rest."""
    action_id = int(ctx.payload["action_id"])
    crashpoint("action.after_claim", action_id)
    try:
        state = _carry_out(ctx, _pass(ctx, action_id, absent=False))
    except Ended as ended:
        state = ended.state
    crashpoint("action.after_record_before_ack", action_id)
    return {"action_id": action_id, "state": state}


def _pass(ctx: RunContext, action_id: int, *, absent: bool, stale: int = 0) -> _Passed:
    """Through the gate, or Ended. `absent`: a look-up said that no earlier attempt did anything."""
    asked_at = time.monotonic()
    account: Account | Refused | None = None
    with ctx.transaction(staff=True) as session:
        begun = gate.begin(session, ctx.run_id, action_id, absent=absent)
        # others at the same limit are waited for before the switch is read: that wait makes the answer no older
        asked_at = policies.asked_at(session) or asked_at
        if isinstance(begun, Begun) and not begun.dry_run:
            account = ledger.open_account(session, begun, ctx.run_id)
        crashpoint("action.before_intent_committed", action_id)
    crashpoint("action.after_intent_committed", action_id)
    if not isinstance(begun, Begun):
        raise Ended(begun)
    return _Passed(begun, account, asked_at, stale)


def _carry_out(ctx: RunContext, passed: _Passed) -> str:
    begun = passed.begun
    if begun.dry_run:
        return _record(ctx, begun, Receipt())
    if not isinstance(passed.account, Account):
        removed = Refused("Its connection was removed.", "Connect it again, then propose it anew.")
        return _refused(ctx, begun, passed.account or removed)
    if not begun.resumed:
        return _send(ctx, passed, passed.account)
    kind = kinds.get(begun.kind)
    if kind.look_up is not None or not _key_holds(kind, begun):
        found = _look_up(ctx, kind, begun, passed.account)
        if found is not None:
            return _record(ctx, begun, found)
        crashpoint("action.after_look_up_before_send", begun.action_id)
        return _carry_out(ctx, _pass(ctx, begun.action_id, absent=True))  # the look-up took time: everything is asked again
    if begun.stop is not None:
        return _stopped(ctx, begun, begun.stop)
    return _send(ctx, passed, passed.account)


def _key_holds(kind: ActionKind, begun: Begun) -> bool:
    """Whether the vendor would take a repeated send for the first one. A margin, since its clock is not ours."""
    window = kind.key_valid_for.get(begun.vendor or "")
    return window is not None and clock.now() - begun.first_sent_at < window * 0.9


def _look_up(ctx: RunContext, kind: ActionKind, begun: Begun, account: Account) -> Receipt | None:
    """The receipt of an earlier attempt's effect; None when it certainly did not happen. Raises to come back later."""
    look_up = kind.look_up
    if look_up is None:
        _unknown(ctx, begun, "No answer came, and it can't be looked up there.")
    settle = timedelta(seconds=get_settings().effect_settle_s)
    young = settle - (clock.now() - begun.first_sent_at)
    if young > timedelta():
        # what was on its way when the process died may still arrive
        raise RateLimited(
            "It may still be on its way.", "It is looked up in a moment.", retry_after_s=young.total_seconds() + 0.1
        )
    call_id = _new_call(ctx, begun, "look-up")
    try:
        found = look_up(begun.outgoing, account)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong, nothing is known
        _end_call(call_id, "unclear", error)
        _unclear(ctx, begun, error)
    _end_call(call_id, "found" if found else "absent")
    return found


def _send(ctx: RunContext, passed: _Passed, account: Account) -> str:
    begun = passed.begun
    kind = kinds.get(begun.kind)
    call_id = begun.call_id if begun.call_id is not None else _new_call(ctx, begun, "send")
    send = kind.send
    if send is None:
        raise Conflict(f"A {kind.word} is not sent.", "This is a fault of the program.")
    ctx.check()
    if time.monotonic() - passed.asked_at > min(FRESH_S, max(0.1, get_settings().effect_settle_s / 2)):
        return _too_slow(ctx, passed, call_id)
    try:
        receipt = send(begun.outgoing, account)
    except Refused as error:
        _end_call(call_id, "refused", error)
        crashpoint("action.after_refusal_before_record", begun.action_id)
        return _refused(ctx, begun, error)
    except Exception as error:  # noqa: BLE001 - anything else may have happened
        _end_call(call_id, "unclear", error)
        crashpoint("action.after_no_answer", begun.action_id)
        if kind.look_up is None and not _key_holds(kind, begun):
            _unknown(ctx, begun, "No answer came, and it can't be looked up there.")
        _unclear(ctx, begun, error)
    crashpoint("action.after_send_before_record", begun.action_id)
    return _record(ctx, begun, receipt, call_id)


def _too_slow(ctx: RunContext, passed: _Passed, call_id: int) -> str:
    """The gate's word is too old: nothing was sent in this attempt. Fenced, so a run that was lost meanwhile ends here."""
    with ctx.transaction(staff=True) as session:
        ledger.record_not_sent(session, passed.begun, call_id)
    if passed.stale + 1 >= STALE_PASSES:
        raise RateLimited("The machine is too busy, so nothing was sent.", "It is tried again.", retry_after_s=2.0)
    return _carry_out(ctx, _pass(ctx, passed.begun.action_id, absent=False, stale=passed.stale + 1))


def _new_call(ctx: RunContext, begun: Begun, what: str) -> int:
    with ctx.transaction(staff=True) as session:
        return ledger.new_call(session, begun, what)


def _end_call(call_id: int, outcome: str, error: Exception | None = None) -> None:
    # not fenced: what a call led to is so, whoever holds the run by now
    with db.transaction(STAFF) as session:
        ledger.end_call(session, call_id, outcome, error)


def _record(ctx: RunContext, begun: Begun, receipt: Receipt, call_id: int | None = None) -> str:
    """Write down that it happened; insists while the database is away, since some vendors can't be asked again."""
    end = time.monotonic() + RECORD_S
    while True:
        try:
            with ctx.transaction(staff=True) as session:
                return ledger.record_done(session, begun.action_id, receipt, call_id, ctx.run_id)
        except (Unavailable, OperationalError) as error:
            if time.monotonic() > end:
                raise
            logger.warning("effect_not_recorded_yet", run_id=ctx.run_id, action_id=begun.action_id, error=type(error).__name__)
            time.sleep(0.2)


def _refused(ctx: RunContext, begun: Begun, error: Refused) -> str:
    """Nothing was applied by this call. What an earlier one did, it does not tell."""
    if begun.resumed:
        if error.retryable:
            _unclear(ctx, begun, error, error.retry_after_s)
        _unknown(ctx, begun, f"No answer came at first, and then: {error.message}")
    with ctx.transaction(staff=True) as session:
        return ledger.record_refused(session, begun.action_id, error, MAX_REFUSED)


def _stopped(ctx: RunContext, begun: Begun, stop: ledger.Stop) -> str:
    """An earlier attempt may have sent it, and now it may not be sent: it waits, or a person must say what happened."""
    if not stop.goes_on:
        _unknown(ctx, begun, f"No answer came, and it may not be sent again. {stop.reason}")
    with ctx.transaction(staff=True) as session:
        return ledger.stop(session, begun.action_id, stop)


def _unknown(ctx: RunContext, begun: Begun, why: str) -> NoReturn:
    with ctx.transaction(staff=True) as session:
        state = ledger.record_unknown(session, begun.action_id, why)
    raise Ended(state)


def _unclear(ctx: RunContext, begun: Begun, error: Exception, retry_after_s: float | None = None) -> NoReturn:
    """No usable answer: come back, look it up or send it with the same key; after MAX_UNCLEAR a person is asked."""
    if begun.unclear + 1 >= MAX_UNCLEAR:
        _unknown(ctx, begun, f"After {MAX_UNCLEAR} tries it is still unclear whether it happened.")
    wait_s = max(get_settings().effect_retry_s * 2**begun.unclear, retry_after_s or 0)
    said = error.message if isinstance(error, Unclear | Refused) else f"The call ended with an unexpected {type(error).__name__}."
    logger.warning("effect_unclear", run_id=ctx.run_id, action_id=begun.action_id, error=type(error).__name__)
    raise RateLimited(f"It is not clear yet whether it happened. {said}", "It is looked up again.", retry_after_s=wait_s)
