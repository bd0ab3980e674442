"""One action with everything a person wants to know before, and after, they decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.runtime.actions.binding import binding
from core.runtime.actions.models import Action, ActionDecision, ActionState, Decided, Effect, EffectCall
from core.runtime.actions.rows import ActionRow, row_columns, to_row
from core.runtime.orgs.models import Organisation
from core.runtime.policies import registry
from core.runtime.policies.models import PolicyVerdict

SIBLINGS = 50
VERDICTS = 200


@dataclass(frozen=True, slots=True)
class Content:
    """What is sent and what it was made of. `wire` are the final bytes; `provenance` says by field where a value came from.

    `sealed`: all that an approval is bound to still has the hash that would be approved.
    """

    payload: dict[str, Any]
    wire: bytes
    account: str
    effect_key: UUID
    provenance: dict[str, Any]
    people: tuple[str, ...]
    approved_sha256: str | None
    sealed: bool
    marketing: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """A fact it rests on, as it was; `now` is set when it has changed since."""

    key: str
    label: str
    shown: str
    section: str | None
    now: str | None


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """Something a person decided."""

    id: int
    decision: str
    version: int
    user_id: int | None
    by: str
    via: str
    note: str | None
    before: dict[str, Any] | None
    at: datetime


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """What a policy said last at one stage; `title` is the policy's name for people."""

    policy: str
    title: str
    stage: str
    verdict: str
    reason: str
    until: datetime | None
    at: datetime


@dataclass(frozen=True, slots=True)
class CallLine:
    """One call to a vendor. `outcome` is None while it is under way, or when its process died."""

    what: str
    vendor: str | None
    outcome: str | None
    status: int | None
    detail: str | None
    at: datetime
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class EffectLine:
    """The ledger's row of the effect."""

    id: int
    state: str
    vendor: str | None
    dry_run: bool
    wire_sha256: str
    intent_at: datetime
    first_sent_at: datetime | None
    finished_at: datetime | None
    external_ref: str | None
    external_url: str | None
    calls: tuple[CallLine, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of an action's story, oldest first. `tone` is green, red, amber, blue or gray."""

    at: datetime
    text: str
    note: str | None
    tone: str


@dataclass(frozen=True, slots=True)
class ActionDetail:
    """Everything about one action. `siblings` are others of its kind that wait as well."""

    row: ActionRow
    content: Content
    facts: tuple[Evidence, ...]
    stale_at: datetime | None
    decisions: tuple[DecisionLine, ...]
    verdicts: tuple[VerdictLine, ...]
    effect: EffectLine | None
    undoes: ActionRow | None
    undone_by: ActionRow | None
    siblings: tuple[ActionRow, ...]
    timeline: tuple[Moment, ...]

    @property
    def approved_by(self) -> tuple[DecisionLine, ...]:
        """Who approved the version as it stands."""
        version = self.row.version
        return tuple(d for d in self.decisions if d.decision == Decided.APPROVE and d.version == version)


def _read(session: Session, *where: ColumnElement[bool]) -> list[tuple[ActionRow, Content, Action]]:
    found = session.execute(
        select(*row_columns(), Action).join(Organisation, Organisation.id == Action.org_id).where(*where).order_by(Action.id)
    )
    return [(to_row(tuple(values[:-1])), _content(values[-1]), values[-1]) for values in found]


def _content(action: Action) -> Content:
    return Content(
        action.payload, bytes(action.wire), action.account, action.effect_key, action.provenance, tuple(action.recipients),
        action.approved_sha256, binding(action) == action.payload_sha256, action.marketing,
    )  # fmt: skip


def contents(session: Session, ids: Sequence[int]) -> dict[int, tuple[ActionRow, Content]]:
    """Several actions with their bytes, by id; those that are gone are left out. One query."""
    return {row.id: (row, content) for row, content, _ in _read(session, Action.id.in_(list(ids)[:200]))} if ids else {}


def get(session: Session, action_id: int) -> ActionDetail:
    """One action. Raises NotFound. Six queries at most, however much happened to it."""
    found = _read(session, Action.id == action_id)
    if not found:
        raise NotFound(f"There is no action {action_id}.", "It may have been cleared; open the list of approvals.")
    row, content, action = found[0]
    facts, stale = action.facts, action.stale or {}
    decisions, effect = _decisions(session, action_id), _effect(session, action_id)
    related = _related(session, row)
    undone_by = next(
        (r for r in related if r.undo_of == row.id and r.state not in (ActionState.DENIED, ActionState.DISMISSED)), None
    )
    return ActionDetail(
        row=row,
        content=content,
        facts=_evidence(facts, stale),
        stale_at=datetime.fromisoformat(stale["checked_at"]) if stale.get("checked_at") else None,
        decisions=decisions,
        verdicts=_verdicts(session, action_id),
        effect=effect,
        undoes=next((r for r in related if r.id == row.undo_of), None),
        undone_by=undone_by,
        siblings=_siblings(session, row),
        timeline=_timeline(row, decisions, effect),
    )


def _evidence(facts: Sequence[dict[str, Any]], stale: dict[str, Any]) -> tuple[Evidence, ...]:
    changed = {c["key"]: str(c.get("now")) for c in stale.get("changed", ())}
    made = [
        Evidence(str(f["key"]), str(f.get("label") or f["key"]), str(f.get("shown", "")), f.get("section"), changed.get(f["key"]))
        for f in facts
    ]
    return tuple(sorted(made, key=lambda e: e.now is None))


def _decisions(session: Session, action_id: int) -> tuple[DecisionLine, ...]:
    found = session.execute(
        select(
            ActionDecision.id, ActionDecision.decision, ActionDecision.version, ActionDecision.user_id,
            ActionDecision.by, ActionDecision.via, ActionDecision.note, ActionDecision.before, ActionDecision.at,
        ).where(ActionDecision.action_id == action_id).order_by(ActionDecision.id)
    )  # fmt: skip
    return tuple(DecisionLine(*d) for d in found)


def _verdicts(session: Session, action_id: int) -> tuple[VerdictLine, ...]:
    """The last word of each policy at each stage, stages in the order they came."""
    found = session.execute(
        select(
            PolicyVerdict.policy, PolicyVerdict.stage, PolicyVerdict.verdict, PolicyVerdict.reason, PolicyVerdict.until,
            PolicyVerdict.at,
        ).where(PolicyVerdict.action_id == action_id).order_by(PolicyVerdict.id.desc()).limit(VERDICTS)
    )  # fmt: skip
    titles = {p.key: p.title for p in registry.policies()}
    last: dict[tuple[str, str], VerdictLine] = {}
    for policy, stage, verdict, reason, until, at in found:
        title = titles.get(policy) or policy.replace("_", " ").capitalize()
        last.setdefault((stage, policy), VerdictLine(policy, title, stage, verdict, reason, until, at))
    return tuple(reversed(last.values()))


def _effect(session: Session, action_id: int) -> EffectLine | None:
    found = session.execute(
        select(
            Effect.id, Effect.state, Effect.vendor, Effect.dry_run, Effect.wire_sha256, Effect.intent_at, Effect.first_sent_at,
            Effect.finished_at, Effect.external_ref, Effect.external_url,
            EffectCall.what, EffectCall.vendor, EffectCall.outcome, EffectCall.status, EffectCall.detail, EffectCall.at,
            EffectCall.duration_ms,
        ).outerjoin(EffectCall, EffectCall.effect_id == Effect.id).where(Effect.action_id == action_id).order_by(EffectCall.id)
    ).all()  # fmt: skip
    if not found:
        return None
    calls = []
    for what, vendor, outcome, status, detail, at, length in (f[10:] for f in found):
        if what is not None:
            calls.append(CallLine(what, vendor, outcome, status, detail, at, length))
    return EffectLine(*found[0][:10], calls=tuple(calls))


def _related(session: Session, row: ActionRow) -> list[ActionRow]:
    """What it undoes and what undoes it, the newest first."""
    conditions = [Action.undo_of == row.id]
    if row.undo_of is not None:
        conditions.append(Action.id == row.undo_of)
    found = session.execute(
        select(*row_columns())
        .join(Organisation, Organisation.id == Action.org_id)
        .where(or_(*conditions))
        .order_by(Action.id.desc())
    )
    return [to_row(tuple(r)) for r in found]


def _siblings(session: Session, row: ActionRow) -> tuple[ActionRow, ...]:
    if row.state != ActionState.AWAITING:
        return ()
    found = session.execute(
        select(*row_columns())
        .join(Organisation, Organisation.id == Action.org_id)
        .where(Action.kind == row.kind, Action.state == ActionState.AWAITING, Action.id != row.id)
        .order_by(Action.deadline_at, Action.id)
        .limit(SIBLINGS)
    )
    return tuple(to_row(tuple(r)) for r in found)


_SAID = {
    Decided.APPROVE: ("approved", "green"),
    Decided.REJECT: ("rejected", "red"),
    Decided.REPLY: ("replied", "blue"),
    Decided.EDIT: ("edited", "blue"),
    Decided.DELEGATE: ("delegated", "gray"),
    Decided.UNDO: ("asked to undo it", "amber"),
    Decided.RESOLVE: ("said what happened", "amber"),
}
_WAYS = {"web": "", "slack": " in Slack", "api": " over the API", "cli": " in the terminal", "clock": ""}
_VENDORS = {"smtp": "mail server"}
_CALLS = {
    ("send", "applied"): ("Sent", "green"),
    ("send", "refused"): ("Refused", "red"),
    ("send", "unclear"): ("Sent, but no clear answer came", "amber"),
    ("send", None): ("Sending, and no answer was recorded", "amber"),
    ("look-up", "found"): ("Looked it up: it is there", "green"),
    ("look-up", "absent"): ("Looked it up: it is not there", "gray"),
    ("look-up", "unclear"): ("Looked it up without a clear answer", "amber"),
}


def decided(line: DecisionLine) -> tuple[str, str]:
    """A decision in words, and its tone."""
    verb, tone = _SAID.get(Decided(line.decision), (line.decision, "gray"))
    version = f" version {line.version}" if line.version > 1 and line.decision in (Decided.APPROVE, Decided.REJECT) else ""
    return f"{line.by} {verb}{version}{_WAYS.get(line.via, '')}", tone


def called(call: CallLine) -> tuple[str, str]:
    """A call to a vendor in words, and its tone."""
    word, tone = _CALLS.get((call.what, call.outcome), (f"{call.what.capitalize()}: {call.outcome or 'no answer'}", "gray"))
    vendor = _VENDORS.get(call.vendor or "", (call.vendor or "").capitalize())
    return (f"{word} ({vendor})" if vendor else word), tone


def _timeline(row: ActionRow, decisions: Sequence[DecisionLine], effect: EffectLine | None) -> tuple[Moment, ...]:
    made = [Moment(row.created_at, f"{row.agent or row.requested_by} proposed it", row.reason, "gray")]
    made += [Moment(d.at, decided(d)[0], d.note, decided(d)[1]) for d in decisions]
    if effect is not None:
        if effect.dry_run:
            made.append(Moment(effect.intent_at, "Carried out as a dry run: nothing left", None, "violet"))
        elif effect.vendor is None and effect.finished_at is not None:
            made.append(Moment(effect.finished_at, "Done in our own records", None, "green"))
        made += [Moment(c.at, called(c)[0], c.detail, called(c)[1]) for c in effect.calls]
    ended = {ActionState.FAILED: ("It failed", "red"), ActionState.UNKNOWN: ("Nobody knows whether it happened", "amber")}
    if row.state in ended and row.finished_at is not None:
        made.append(Moment(row.finished_at, ended[ActionState(row.state)][0], row.error, ended[ActionState(row.state)][1]))
    if row.state == ActionState.DISMISSED and row.outcome == "expired" and row.finished_at is not None:
        made.append(Moment(row.finished_at, "Nobody decided in time: dropped, nothing was sent", None, "gray"))
    return tuple(sorted(made, key=lambda m: m.at))
