"""The numbers of policies: what holds, and changing them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.errors import BadInput, Conflict, NotAllowed, NotFound
from core.kit.actor import Actor
from core.runtime.audit import service as audit
from core.runtime.events import service as events
from core.runtime.orgs import people
from core.runtime.orgs.models import AGENCY_ID, Organisation
from core.runtime.policies import numbers, registry, rules
from core.runtime.policies.models import PolicySetting
from core.runtime.policies.registry import Policy

__all__ = ["Changed", "Setting", "change", "confirm", "drop", "everything", "rules", "setting", "values"]


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of a change. `pending` means that a second admin has to confirm it; `values` hold now."""

    values: dict[str, Any]
    version: int
    pending: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One organisation's own numbers. `own` are those that differ from what it would have without; version 0: no row yet."""

    own: dict[str, Any]
    version: int
    pending: dict[str, Any] | None


def values(session: Session, org_id: UUID, policy: str) -> dict[str, Any]:
    """The numbers that hold: the built-in ones, the agency's over them, the client's over those. Raises NotFound."""
    _known(policy)
    return everything(session, org_id, policy)[policy]


def everything(session: Session, org_id: UUID, only: str | None = None) -> dict[str, dict[str, Any]]:
    """The numbers that hold of every policy, in one query."""
    rows = session.execute(_HOLDING, {"agency": AGENCY_ID, "org": org_id, "only": only}).all()
    found = sorted(rows, key=lambda r: r.org_id != AGENCY_ID)
    made = {p.key: p.defaults for p in registry.policies()}
    for row in found:
        if row.policy in made:
            made[row.policy] |= {k: v for k, v in row.numbers.items() if k in made[row.policy]}
    return made


_HOLDING = text("""
    SELECT org_id, policy, values AS numbers FROM policy_settings
    WHERE org_id IN (CAST(:agency AS uuid), CAST(:org AS uuid)) AND (CAST(:only AS text) IS NULL OR policy = :only)
""")


def setting(session: Session, policy: str, org_id: UUID = AGENCY_ID) -> Setting:
    """The organisation's own row."""
    row = _row(session, policy, org_id)
    return Setting(dict(row.values), row.version, row.pending) if row else Setting({}, 0, None)


def change(
    session: Session, policy: str, changes: Mapping[str, Any], by: Actor, version: int, org_id: UUID = AGENCY_ID
) -> Changed:  # fmt: skip
    """Change numbers of a policy for one organisation; None as a value goes back to what holds without it.

    `version` is the one that was shown (0: there was no row); Conflict when somebody changed it since. A policy that takes two
    people keeps the change as pending until another admin confirms it. Raises BadInput and NotAllowed.
    """
    known = _known(policy)
    _admin(session, by)
    wanted = numbers.check(known, {k: v for k, v in changes.items() if v is not None})
    back = [k for k, v in changes.items() if v is None]
    row = _locked(session, known, org_id, by, version)
    own = {k: v for k, v in row.values.items() if k not in back} | wanted
    before = values(session, org_id, policy)
    after = _with(session, known, org_id, own)
    if before == after and own == row.values:
        raise BadInput("Nothing was changed.", "Change a number first.")
    told = numbers.differences(known, before, after)
    if known.two_people:
        row.pending = {"changes": {**wanted, **dict.fromkeys(back)}, "by": by.label, "by_id": by.id, "at": _now(session)}
        row.version += 1
        session.flush()
        sentence = f"{by.label} wants to change “{known.title}”: {_words(told)} A second admin has to confirm it."
        _tell(session, known, row, by, "policy.change_asked", sentence, before, after)
        return Changed(before, row.version, True, sentence)
    return _apply(session, known, row, by, own, before, after)


def confirm(session: Session, policy: str, by: Actor, version: int, org_id: UUID = AGENCY_ID) -> Changed:
    """A second admin confirms a pending change. Raises Conflict when it is gone or `by` asked for it, NotAllowed, BadInput."""
    known = _known(policy)
    _admin(session, by)
    row = _locked(session, known, org_id, by, version)
    waiting = _waiting(row)
    if waiting["by_id"] == by.id:
        raise NotAllowed("You asked for this change yourself.", "Another admin has to confirm it: two people, always.")
    asker = people.find(session, waiting["by_id"]) if waiting["by_id"] is not None else None
    if not people.is_admin(asker):
        raise Conflict(
            f"{waiting['by']} is no admin any more, so this change can't be confirmed.", "Drop it, and ask for it anew."
        )
    wanted = numbers.check(known, {k: v for k, v in waiting["changes"].items() if v is not None})
    own = {k: v for k, v in row.values.items() if waiting["changes"].get(k, ...) is not None} | wanted
    before, after = values(session, org_id, policy), _with(session, known, org_id, own)
    row.pending = None
    return _apply(session, known, row, by, own, before, after, asked_by=waiting["by"])


def drop(session: Session, policy: str, by: Actor, version: int, org_id: UUID = AGENCY_ID) -> Changed:
    """Any admin takes a pending change away, whoever asked for it."""
    known = _known(policy)
    _admin(session, by)
    row = _locked(session, known, org_id, by, version)
    waiting = _waiting(row)
    row.pending = None
    row.version += 1
    session.flush()
    now = values(session, org_id, policy)
    sentence = f"{by.label} dropped the change of “{known.title}” that {waiting['by']} asked for."
    _tell(session, known, row, by, "policy.change_dropped", sentence, now, now)
    return Changed(now, row.version, False, sentence)


def _known(policy: str) -> Policy:
    try:
        return registry.get(policy)
    except KeyError:
        raise NotFound(f"There is no policy “{policy}”.", "See the Policies page.") from None


def _admin(session: Session, by: Actor) -> None:
    """Only an admin, as the database has them now; never an API key, an agent or the command line."""
    if not people.is_admin(people.acting(session, by)):
        raise NotAllowed("Only an admin can change a policy.", "Ask one of them.")


def _row(session: Session, policy: str, org_id: UUID) -> PolicySetting | None:
    wanted = select(PolicySetting).where(PolicySetting.policy == policy, PolicySetting.org_id == org_id)
    return session.execute(wanted.execution_options(populate_existing=True)).scalar_one_or_none()


def _locked(session: Session, policy: Policy, org_id: UUID, by: Actor, version: int) -> PolicySetting:
    if session.get(Organisation, org_id) is None:
        raise NotFound("There is no such organisation.", "Choose one of the list.")
    made = {"org_id": org_id, "policy": policy.key, "values": {}, "version": 0, "edited_by": by.label}
    session.execute(insert(PolicySetting).values(made).on_conflict_do_nothing(constraint="policy_settings_once"))
    wanted = select(PolicySetting).where(PolicySetting.policy == policy.key, PolicySetting.org_id == org_id)
    row = session.execute(wanted.with_for_update().execution_options(populate_existing=True)).scalar_one()
    if row.version != version:
        who = (row.pending or {}).get("by") or row.edited_by
        raise Conflict(f"{who} changed “{policy.title}” since you opened it.", "Look at it again, then change it.")
    return row


def _waiting(row: PolicySetting) -> dict[str, Any]:
    if row.pending is None:
        raise Conflict("There is no change that waits any more.", "Look at the page again.")
    return row.pending


def _with(session: Session, policy: Policy, org_id: UUID, own: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers that would hold with `own` as the organisation's."""
    base = policy.defaults
    if org_id != AGENCY_ID:
        base = everything(session, AGENCY_ID, policy.key)[policy.key]
    return base | {k: v for k, v in own.items() if k in base}


def _apply(
    session: Session, policy: Policy, row: PolicySetting, by: Actor, own: dict[str, Any], before: Mapping[str, Any],
    after: dict[str, Any], asked_by: str | None = None,
) -> Changed:  # fmt: skip
    row.values, row.edited_by, row.edited_at = own, by.label, func.clock_timestamp()
    row.version += 1
    session.flush()
    told = _words(numbers.differences(policy, before, after)) or "It goes back to what holds for everybody."
    who = f"{by.label} confirmed what {asked_by} asked for and" if asked_by else by.label
    sentence = f"{who} changed “{policy.title}”: {told}"
    _tell(session, policy, row, by, "policy.changed", sentence, before, after, asked_by)
    return Changed(after, row.version, False, sentence)


def _words(told: list[tuple[str, str, str]]) -> str:
    return " ".join(f"{label}: {was} → {now}." for label, was, now in told)


def _now(session: Session) -> str:
    at = session.execute(select(func.clock_timestamp())).scalar_one()
    return str(at.isoformat())


def _tell(
    session: Session, policy: Policy, row: PolicySetting, by: Actor, type_: str, sentence: str, before: Mapping[str, Any],
    after: Mapping[str, Any], asked_by: str | None = None,
) -> None:  # fmt: skip
    changed = [n.key for n in policy.numbers if before.get(n.key) != after.get(n.key)]
    detail = {
        "policy": policy.key, "before": {k: before.get(k) for k in changed}, "after": {k: after.get(k) for k in changed},
        "asked_by": asked_by,
    }  # fmt: skip
    subject = ("policy", row.id)
    events.publish(session, type_, sentence, org_id=row.org_id, payload=detail, actor=by, subject=subject)
    audit.write(session, type_, subject, by, detail, org_id=row.org_id)
