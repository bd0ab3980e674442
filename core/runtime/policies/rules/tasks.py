"""Work for people is made only when something justifies it."""

from datetime import date, datetime
from typing import Any, Final

from core.runtime.policies.registry import Inputs, Number, Policy, Said, Values, allow, deny
from core.runtime.policies.situation import Situation
from core.runtime.policies.words import many

KIND: Final = "task.create"
_REASONS: Final = {
    "client_asked": "the client asked",
    "compliance_due": "a deadline of law or contract is due",
    "safety": "safety demands it",
}


def _task(s: Situation) -> Inputs | None:
    if s.action.kind != KIND:
        return None
    p = s.action.payload
    due = _day(p.get("due_at") or p.get("due"), s)
    return {
        "reason": p.get("reason"),
        "evidence": len(str(p.get("evidence") or "").strip()),
        "due_days": None if due is None else (due - s.now.astimezone(s.zone).date()).days,
    }


def _day(given: Any, s: Situation) -> date | None:
    """The local day that is meant; None for none or something that is no day."""
    if isinstance(given, datetime):
        return given.astimezone(s.zone).date()
    if isinstance(given, date):
        return given
    try:
        at = datetime.fromisoformat(str(given))
    except ValueError:
        return None
    return at.astimezone(s.zone).date() if at.tzinfo else at.date()


def _justified(i: Inputs, values: Values) -> Said | None:
    reason = i["reason"]
    if reason not in _REASONS:
        return deny(
            "No reason justifies work for a person: a client asked, a deadline of law or contract is due, or safety demands it."
        )
    if i["evidence"] < values["evidence_letters"]:
        least = many(int(values["evidence_letters"]), "letter")
        has = many(i["evidence"], "letter")
        return deny(f"Nothing shows that {_REASONS[reason]}: the evidence has {has}, at least {least} are wanted.")
    if reason != "compliance_due":
        return allow(f"It is justified: {_REASONS[reason]}.")
    days, most = i["due_days"], values["due_within_days"]
    if days is None:
        return deny("A deadline of law or contract needs its date, and none was given.")
    if days > most:
        return deny(f"The deadline is in {many(days, 'day')}; work for a person is made at most {many(int(most), 'day')} ahead.")
    return allow(
        f"It is justified: the deadline is in {many(days, 'day')}." if days >= 0 else "It is justified: the deadline has passed."
    )


HUMAN_TASKS = Policy(
    "human_tasks",
    "Work for people",
    "Keeps agents from making work for people unless a client asked, a deadline of law or contract is due, or safety demands it.",
    _task,
    _justified,
    (
        Number(
            "evidence_letters",
            "Evidence has at least",
            "count",
            15,
            1,
            500,
            help="Letters: the client's words, the rule, the danger.",
        ),
        Number("due_within_days", "A deadline is at most so many days away", "count", 30, 1, 365),
    ),
)
