"""Judging an action: every policy is asked, every answer is stored, and together they are one verdict.

Denied by one is denied. What one wants a person for waits for a person. What one defers is deferred. And what no policy grants is
denied, even when none has anything against it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.kit import clock, log
from core.runtime.actions.models import Action
from core.runtime.policies import look, registry, rules, settings
from core.runtime.policies.models import Stage, Verdict
from core.runtime.policies.registry import Inputs, Policy, Said, Values, deny
from core.runtime.policies.situation import Situation
from core.runtime.policies.windows import apart
from core.runtime.runs.outcome import to_json

__all__ = ["Judgement", "combine", "judge", "rules"]
logger = log.get(__name__)
_STORE = text("""
    INSERT INTO policy_verdicts (org_id, action_id, policy, stage, verdict, reason, inputs, values, until, demo)
    SELECT CAST(:org AS uuid), :action, r.policy, :stage, r.verdict, r.reason, r.inputs, r.values, r.until, :demo
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS r (policy text, verdict text, reason text, inputs jsonb, values jsonb, until timestamptz)
""")


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict of all policies together, and what each of them said.

    `approvals` is how many people it needs, `owner_role` whose, None when the kind's own. `dry_run`: nothing may leave.
    """

    verdict: Verdict
    reason: str
    until: datetime | None = None
    approvals: int = 0
    said: tuple[tuple[str, Said], ...] = ()
    dry_run: bool = False
    owner_role: str | None = None


def judge(session: Session, action: Action, stage: Stage, *, lock: bool = False) -> Judgement:
    """Ask every policy about the action as it is now, and store what each says.

    `lock` at the moment of sending: see `look`; the intent is written in the same transaction. Needs the scope of staff.
    """
    numbers = settings.everything(session, action.org_id)
    try:
        situation = look.look(session, action, stage, numbers, lock=lock)
    except look.Busy as busy:  # no verdict of any policy: it has not been asked yet
        return Judgement(Verdict.DEFER, str(busy), apart(clock.now() + timedelta(seconds=1), action.id, 5))
    answers = [(p, *_ask(p, situation, numbers[p.key])) for p in registry.policies() if stage in p.stages]
    spoken = [(policy, inputs, said) for policy, inputs, said in answers if said is not None]
    _store(session, action, stage, spoken, numbers)
    return combine([(p, said) for p, _, said in spoken], situation)


def _ask(policy: Policy, situation: Situation, values: Values) -> tuple[Inputs, Said | None]:
    """Its inputs and its answer. A policy that can't answer denies."""
    inputs: Inputs = {}
    try:
        found = policy.inputs(situation)
        if found is None:
            return {}, None
        inputs = found
        return inputs, policy.decide(inputs, values)
    except Exception as error:  # noqa: BLE001 - fails closed
        logger.error("policy_failed", policy=policy.key, action_id=situation.action.id, error=repr(error)[:300])
        return inputs, deny(f"The rule “{policy.title}” could not be applied, so nothing is done. Check its numbers.")


def _store(
    session: Session, action: Action, stage: Stage, spoken: Sequence[tuple[Policy, Inputs, Said]], numbers: Mapping[str, Values]
) -> None:
    rows = [
        {
            "policy": p.key, "verdict": said.verdict.value, "reason": said.reason,
            "inputs": {k: v for k, v in inputs.items() if k not in p.unstored}, "values": dict(numbers[p.key]),
            "until": said.until.isoformat() if said.until else None,
        }
        for p, inputs, said in spoken
    ]  # fmt: skip
    if rows:
        params = {"org": action.org_id, "action": action.id, "stage": stage.value, "demo": bool(action.demo)}
        session.execute(_STORE, params | {"rows": to_json(rows)})


def combine(spoken: Sequence[tuple[Policy, Said]], situation: Situation) -> Judgement:
    """One verdict out of all: deny over approval over defer over allow, and no grant is a deny. Pure."""
    said = tuple((p.key, s) for p, s in spoken)
    dry_run = any(s.dry_run for _, s in said)
    denied = [s for _, s in said if s.verdict == Verdict.DENY]
    if denied:
        return Judgement(Verdict.DENY, _first(denied), said=said, dry_run=dry_run)
    granted = [s for p, s in spoken if p.grants and s.verdict == Verdict.ALLOW]
    if not granted:
        return Judgement(Verdict.DENY, "No policy allows it.", said=said, dry_run=dry_run)
    asked = [s for _, s in said if s.verdict == Verdict.APPROVAL]
    approvals = max((s.approvals for s in asked), default=0)
    role = "admin" if situation.action.cost_minor else None
    met = situation.stage == Stage.SEND and situation.action.approved_by_people >= approvals
    if asked and not met:
        most = [s for s in asked if s.approvals == approvals]
        return Judgement(Verdict.APPROVAL, _first(most), None, approvals, said, dry_run, role)
    deferred = [s for _, s in said if s.verdict == Verdict.DEFER]
    if deferred:
        latest = max(deferred, key=lambda s: s.until or situation.now)
        return Judgement(Verdict.DEFER, latest.reason, latest.until or situation.now, approvals, said, dry_run, role)
    return Judgement(Verdict.ALLOW, granted[0].reason, None, approvals, said, dry_run, role)


def _first(said: Sequence[Said]) -> str:
    more = len(said) - 1
    return said[0].reason + (f" (And {more} more {'reason' if more == 1 else 'reasons'}.)" if more else "")
