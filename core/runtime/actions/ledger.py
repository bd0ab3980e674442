"""Writing the effect ledger: calls, and how effects ended. Each in the caller's transaction."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import String, bindparam, column, func, select, text
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from core.config import get_settings
from core.errors import NotFound, OpsError
from core.kit import clock
from core.kit.actor import Actor
from core.runtime.actions import kinds, proposing, telling
from core.runtime.actions.binding import digest
from core.runtime.actions.kinds import Account, Outgoing, Receipt, Refused
from core.runtime.actions.models import Action, ActionState, Effect, EffectCall, EffectState
from core.runtime.runs.outcome import to_json

_OURS = Actor("Effects")
# all of an effect's statements are written out or made once: making one anew costs as much as running it
_EFFECT = select(Effect).where(Effect.action_id == bindparam("action")).with_for_update()
# a refused one may have been edited since: the limits count whom and what this intent is about
_INTENT = text("""
    WITH under_way AS (
        UPDATE actions SET state = 'executing', deferred_until = NULL, error = NULL WHERE id = :action
    ),
    effect AS (
        INSERT INTO effects AS e (org_id, action_id, effect_key, kind, vendor, connection_id, state, dry_run, wire_sha256,
            audience, recipients, cost_minor, currency, intent_at, first_sent_at, receipt, run_id, demo)
        VALUES (CAST(:org AS uuid), :action, CAST(:key AS uuid), :kind, :vendor, CAST(:connection AS bigint), 'intent', :dry_run,
            :wire, :audience, CAST(:recipients AS text[]), :cost, :currency, :now, :now, '{}', :run, :demo)
        ON CONFLICT (action_id) DO UPDATE SET state = 'intent', vendor = excluded.vendor, connection_id = excluded.connection_id,
            dry_run = excluded.dry_run, wire_sha256 = excluded.wire_sha256, audience = excluded.audience,
            recipients = excluded.recipients, cost_minor = excluded.cost_minor, currency = excluded.currency,
            intent_at = excluded.intent_at, first_sent_at = excluded.first_sent_at, run_id = excluded.run_id
        RETURNING e.id
    ),
    call AS (
        INSERT INTO effect_calls (org_id, effect_id, vendor, what)
        SELECT CAST(:org AS uuid), effect.id, :vendor, 'send' FROM effect WHERE :calls RETURNING id
    )
    SELECT effect.id, (SELECT id FROM call) FROM effect
""")
# the action is locked before its effect, as everywhere
_DONE = text("""
    WITH held AS MATERIALIZED (SELECT id FROM actions WHERE id = :action FOR UPDATE),
    effect AS (
        UPDATE effects SET state = 'done', finished_at = :now, external_ref = :ref, external_url = :url,
            receipt = CAST(:receipt AS jsonb)
        WHERE action_id = (SELECT id FROM held) AND state <> 'done' RETURNING dry_run, wire_sha256
    ),
    call AS (
        UPDATE effect_calls SET outcome = 'applied', duration_ms = extract(epoch FROM clock_timestamp() - at) * 1000
        WHERE id = CAST(:call AS bigint) AND EXISTS (SELECT FROM effect)
    )
    UPDATE actions SET state = 'done', finished_at = :now, error = NULL, external_ref = :ref, external_url = :url,
        mode = CASE WHEN effect.dry_run THEN 'dry_run' ELSE 'live' END
    FROM effect WHERE id = :action RETURNING actions.*, effect.wire_sha256 AS sent
""")
_SENT = column("sent", String)
_DONE_ACTION = (
    select(Action, _SENT)
    .from_statement(_DONE.columns(*Action.__table__.columns, _SENT))
    .execution_options(populate_existing=True)
)
_NEW_CALL = text("""
    INSERT INTO effect_calls (org_id, effect_id, vendor, what) VALUES (CAST(:org_id AS uuid), :effect_id, :vendor, :what)
    RETURNING id
""")
_END_CALL = text("""
    UPDATE effect_calls SET outcome = :outcome, status = CAST(:status AS integer), detail = CAST(:detail AS text),
        duration_ms = extract(epoch FROM clock_timestamp() - at) * 1000
    WHERE id = :id
""")


@dataclass(frozen=True, slots=True)
class Stop:
    """Why an effect may not be sent now. `held`: only a kill switch stands against it; `until`: it goes on by itself then."""

    reason: str
    held: bool = False
    until: datetime | None = None

    @property
    def goes_on(self) -> bool:
        """Whether it may be sent later."""
        return self.held or self.until is not None


@dataclass(frozen=True, slots=True)
class Begun:
    """An effect whose intent is committed. `resumed`: an earlier attempt may have sent it.

    `stop` says why it may not be sent now; `unclear` is how many calls for it ended without a usable answer.
    """

    action_id: int
    effect_id: int
    call_id: int | None
    org_id: UUID
    kind: str
    vendor: str | None
    connection_id: int | None
    wire: bytes
    effect_key: UUID
    first_sent_at: datetime
    dry_run: bool
    resumed: bool
    unclear: int
    stop: Stop | None = None

    @property
    def outgoing(self) -> Outgoing:
        """What is sent."""
        return Outgoing(self.wire, self.effect_key, self.org_id, self.first_sent_at if self.resumed else None)


def open_account(session: Session, begun: Begun, run_id: int) -> Account | Refused | None:
    """The account that carries it out, with its secret; None when it is gone, a Refused when it can't be opened."""
    from core.runtime.connections import service as connections

    if begun.connection_id is None:
        return None
    try:
        return connections.open_account(session, begun.connection_id, f"action {begun.action_id}", run_id)
    except NotFound:
        return None
    except OpsError as error:  # e.g. no key for its secret: that shows before anything leaves
        return Refused(error.message, error.next_step)


def record_not_sent(session: Session, begun: Begun, call_id: int) -> None:
    """This attempt sent nothing after all. What an earlier one did stays to be found out."""
    effect = _both(session, begun.action_id)[1]
    end_call(session, call_id, "not sent")
    if not begun.resumed:
        effect.first_sent_at = None


def new_call(session: Session, begun: Begun, what: str) -> int:
    """Write down that a vendor is about to be called. Returns the call's id."""
    values = {"org_id": begun.org_id, "effect_id": begun.effect_id, "vendor": begun.vendor, "what": what}
    return int(session.execute(_NEW_CALL, values).scalar_one())


def end_call(session: Session, call_id: int, outcome: str, error: Exception | None = None) -> None:
    """Write down what a call led to."""
    detail = str(error)[:500] if isinstance(error, OpsError) else type(error).__name__ if error else None
    session.execute(_END_CALL, {"id": call_id, "outcome": outcome, "status": getattr(error, "status", None), "detail": detail})


def _both(session: Session, action_id: int) -> tuple[Action, Effect]:
    action, effect = proposing.get_locked(session, action_id), effect_locked(session, action_id)
    if effect is None:
        raise NotFound(f"Action {action_id} has no effect.", "This is a fault of the program.")
    return action, effect


def effect_locked(session: Session, action_id: int) -> Effect | None:
    """The action's line in the ledger, locked until the transaction ends; None before its first intent."""
    return session.execute(_EFFECT, {"action": action_id}).scalar_one_or_none()


def intend(
    session: Session, action: Action, effect: Effect | None, account: Account | None, dry_run: bool, run_id: int, now: datetime,
    *, calls: bool,
) -> tuple[int, int | None]:  # fmt: skip
    """Write the intent down, and with `calls` that the vendor is about to be called. Returns the effect's id and the call's."""
    vendor, connection = (account.vendor, account.id) if account else (None, None)
    values = {
        "org": action.org_id, "action": action.id, "key": action.effect_key, "kind": action.kind, "vendor": vendor,
        "connection": connection, "dry_run": dry_run, "wire": digest(action.wire), "audience": action.audience,
        "recipients": list(action.recipients), "cost": action.cost_minor, "currency": action.currency, "now": now, "run": run_id,
        "demo": action.demo, "calls": calls,
    }  # fmt: skip
    effect_id, call_id = session.execute(_INTENT, values).one()
    _is_now(action, state=ActionState.EXECUTING, deferred_until=None, error=None)
    if effect is not None:
        session.expire(effect)
    return effect_id, call_id


def _is_now(action: Action, **values: Any) -> None:
    """Let the object say what a statement of ours wrote."""
    for name, value in values.items():
        set_committed_value(action, name, value)


def record_done(session: Session, action_id: int, receipt: Receipt, call_id: int | None, run_id: int) -> str:
    """It happened (or would have, in a dry run)."""
    values = {"call": call_id, "action": action_id, "now": clock.now(), "ref": receipt.ref, "url": receipt.url}
    recorded = session.execute(_DONE_ACTION, values | {"receipt": to_json(dict(receipt.data))}).first()
    if recorded is None:  # recorded before, but the database went away before it could say so
        return proposing.get_locked(session, action_id).state
    action: Action = recorded[0]
    wire = recorded[1]
    if action.undo_of is not None:
        undone(session, action.undo_of)
    said = f"Dry run, nothing was sent: {action.title}." if action.mode == "dry_run" else f"Done: {action.title}."
    telling.event(session, action, "done", said, cause_run_id=run_id, payload={"mode": action.mode, "url": receipt.url})
    telling.seal(session, action, "effect.done", _OURS, {"mode": action.mode, "ref": receipt.ref, "wire": wire})
    return action.state


def undone(session: Session, action_id: int) -> None:
    """What it did was taken back."""
    first = proposing.get_locked(session, action_id)
    first.state = ActionState.UNDONE
    telling.event(session, first, "undone", f"Undone: {first.title}.")


def record_refused(session: Session, action_id: int, error: Refused, most: int) -> str:
    """The vendor said no: nothing happened. It is tried again later when that can help."""
    action, effect = _both(session, action_id)
    refused = session.execute(
        select(func.count()).where(EffectCall.effect_id == effect.id, EffectCall.outcome == "refused")
    ).scalar_one()
    if error.retryable and refused < most:
        effect.first_sent_at = None  # certainly not sent: every policy is asked again
        pause = error.retry_after_s if error.retry_after_s is not None else get_settings().effect_retry_s * 2 ** min(refused, 8)
        proposing.defer(session, action, clock.now() + timedelta(seconds=max(0.05, pause)), str(error))
        return action.state
    return _failed(session, action, effect, error.message, error.next_step)


def _failed(session: Session, action: Action, effect: Effect | None, message: str, next_step: str) -> str:
    now = clock.now()
    if effect is not None:
        effect.state, effect.finished_at = EffectState.FAILED, now
    action.state, action.finished_at = ActionState.FAILED, now
    action.error = {"message": message, "next_step": next_step or "Propose it again when that is mended."}
    telling.event(session, action, "failed", f"Failed: {action.title}. {message}")
    telling.notify("action_failed", session, action)
    telling.seal(session, action, "effect.failed", _OURS, {"reason": message})
    return action.state


def record_unknown(session: Session, action_id: int, why: str) -> str:
    """Nobody can tell whether it happened: a person must."""
    action, effect = _both(session, action_id)
    effect.state = EffectState.UNKNOWN
    action.state = ActionState.UNKNOWN
    action.error = {"message": why, "next_step": f"Look at the {kinds.get(action.kind).word} there, then say here what happened."}
    telling.event(session, action, "unknown", f"Unknown whether it happened: {action.title}. {why}")
    telling.notify("effect_unknown", session, action)
    telling.seal(session, action, "effect.unknown", _OURS, {"reason": why})
    return action.state


def stop(session: Session, action_id: int, why: Stop) -> str:
    """It may not be sent now but later. Whether an earlier attempt did stays to be found out then."""
    action, _ = _both(session, action_id)
    proposing.defer(session, action, None if why.held else why.until, why.reason)
    return action.state


def may_have_happened(session: Session, action_id: int) -> bool:
    """Whether something was sent for it, or may have been."""
    sent = select(Effect.first_sent_at).where(Effect.action_id == action_id)
    return session.execute(sent).scalar_one_or_none() is not None


def abandoned(session: Session, action_id: int) -> str:
    """The run that carried it out has ended without an end for the action, e.g. because somebody cancelled it."""
    action = proposing.get_locked(session, action_id)
    effect = effect_locked(session, action_id)
    if effect is not None and effect.first_sent_at is not None:
        return record_unknown(session, action_id, "Its run ended before it was known whether it happened.")
    return _failed(session, action, effect, "Its run ended before anything was sent.", "Propose it again if it is still wanted.")
