"""Read models of actions for the approvals page, the API, the CLI and notices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, and_, case, cast, func, or_, select, tuple_
from sqlalchemy.orm import Session

from core.runtime.actions import kinds
from core.runtime.actions.detail import ActionDetail as ActionDetail
from core.runtime.actions.detail import contents as contents
from core.runtime.actions.detail import get as get
from core.runtime.actions.models import Action, ActionState
from core.runtime.actions.rows import ActionRow as ActionRow
from core.runtime.actions.rows import approved_by, edited_by, is_theirs, row_columns, to_row
from core.runtime.orgs.models import Organisation
from core.runtime.switches import queries as switches

MAX_PAGE = 200
GROUPS: dict[str, tuple[ActionState, ...]] = {
    "needs": (ActionState.AWAITING, ActionState.UNKNOWN),
    "waiting": (ActionState.AWAITING,),
    "unknown": (ActionState.UNKNOWN,),
    "scheduled": (ActionState.PROPOSED, ActionState.DEFERRED, ActionState.APPROVED, ActionState.EXECUTING),
    "done": (ActionState.DONE,),
    "undone": (ActionState.UNDONE,),
    "failed": (ActionState.FAILED,),
    "denied": (ActionState.DENIED,),
    "dismissed": (ActionState.DISMISSED,),
}
"""States as people ask for them. The first one is what needs a person."""
_URGENT = ("needs", "waiting", "unknown")


@dataclass(frozen=True, slots=True)
class ActionFilter:
    """Which actions. Empty means all; several parts must all hold.

    `group` is a key of GROUPS. `mine` is (user id, role): only what this person may decide. `text` looks in title, target,
    reason, proposer and id. `after` is the cursor a page gave for the following one; one that makes no sense is ignored.
    """

    group: str = ""
    kinds: Sequence[str] = ()
    agent: str = ""
    mine: tuple[int, str] | None = None
    text: str = ""
    run_id: int | None = None
    after: str = ""


@dataclass(frozen=True, slots=True)
class ActionPage:
    """`after` asks for the following page; None when this is the last."""

    rows: tuple[ActionRow, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class Choices:
    """What a filter can be set to: the kinds and agents there are."""

    kinds: tuple[str, ...]
    agents: tuple[str, ...]


def _says(words: str) -> ColumnElement[bool]:
    found = [
        column.icontains(words, autoescape=True)
        for column in (Action.title, Action.target, Action.reason, Action.requested_by, Action.agent)
    ]
    digits = words.removeprefix("#")
    if digits.isascii() and digits.isdigit() and len(digits) < 18:
        found.append(Action.id == int(digits))
    return or_(*found)


def _conditions(wanted: ActionFilter, *, with_group: bool = True) -> list[ColumnElement[bool]]:
    parts: list[ColumnElement[bool] | None] = [
        Action.state.in_(GROUPS[wanted.group]) if with_group and wanted.group in GROUPS else None,
        Action.kind.in_(wanted.kinds) if wanted.kinds else None,
        Action.agent == wanted.agent if wanted.agent else None,
        is_theirs(*wanted.mine) if wanted.mine else None,
        Action.run_id == wanted.run_id if wanted.run_id is not None else None,
        _says(wanted.text.strip()) if wanted.text.strip() else None,
    ]
    return [p for p in parts if p is not None]


# what nobody knows the outcome of comes first, then by deadline
_RANK = case((Action.state == ActionState.UNKNOWN, 0), else_=1)
_DUE = cast(func.extract("epoch", func.coalesce(Action.deadline_at, Action.expires_at)) * 1_000_000, BigInteger)


def _numbers(cursor: str, many: int) -> tuple[int, ...] | None:
    parts = cursor.split(".")
    good = len(parts) == many and all(p.isascii() and p.isdigit() and len(p) < 18 for p in parts)
    return tuple(int(p) for p in parts) if good else None


def page(session: Session, wanted: ActionFilter | None = None, limit: int = 50) -> ActionPage:
    """A page of actions: what needs a person by its deadline, anything else newest first. One query."""
    wanted = wanted or ActionFilter()
    limit = max(1, min(limit, MAX_PAGE))
    urgent = wanted.group in _URGENT
    conditions = _conditions(wanted)
    if urgent and (place := _numbers(wanted.after, 3)):
        conditions.append(tuple_(_RANK, _DUE, Action.id) > place)
    elif not urgent and (place := _numbers(wanted.after, 1)):
        conditions.append(Action.id < place[0])
    order = (_RANK, _DUE, Action.id) if urgent else (Action.id.desc(),)
    statement: Select[Any] = (
        select(*row_columns(), _RANK, _DUE)
        .join(Organisation, Organisation.id == Action.org_id)
        .where(*conditions)
        .order_by(*order)
        .limit(limit + 1)
    )
    found = [tuple(r) for r in session.execute(statement)]
    rows = tuple(to_row(r[:-2]) for r in found[:limit])
    if len(found) <= limit:
        return ActionPage(rows, None)
    rank, due, last = *found[limit - 1][-2:], rows[-1].id
    return ActionPage(rows, f"{rank}.{due}.{last}" if urgent else str(last))


def counts(session: Session, wanted: ActionFilter | None = None) -> dict[str, int]:
    """How many actions stand in each group of GROUPS, for chips: the filter's own group and page are left out. One query."""
    statement = select(Action.state, func.count()).where(*_conditions(wanted or ActionFilter(), with_group=False))
    by_state: dict[str, int] = {r[0]: r[1] for r in session.execute(statement.group_by(Action.state))}
    return {group: sum(by_state.get(s, 0) for s in states) for group, states in GROUPS.items()}


def choices(session: Session) -> Choices:
    """All kinds, and the agents there are, by name. One query."""
    return Choices(tuple(k.name for k in kinds.kinds()), tuple(switches.agents(session)))


def _waits_for(user_id: int, role: str) -> ColumnElement[bool]:
    """What this person can move: theirs to decide, not yet approved by them, and no money they asked for or edited."""
    own = or_(and_(Action.requested_by_kind == "user", Action.requested_by_id == user_id), edited_by(user_id))
    return and_(
        is_theirs(user_id, role),
        or_(
            Action.state == ActionState.UNKNOWN,
            and_(
                Action.state == ActionState.AWAITING,
                ~approved_by(user_id),
                or_(Action.cost_minor == 0, ~func.coalesce(own, False)),
            ),
        ),
    )


def waiting(session: Session, user_id: int, role: str) -> int:
    """How many actions wait for this person's word: to approve, or to say what happened. One query."""
    return int(session.execute(select(func.count()).where(_waits_for(user_id, role))).scalar_one())


def next_waiting(session: Session, user_id: int, role: str, limit: int = 5, *, besides: int | None = None) -> list[ActionRow]:
    """The most urgent of what `waiting` counts. One query."""
    found = session.execute(
        select(*row_columns())
        .join(Organisation, Organisation.id == Action.org_id)
        .where(_waits_for(user_id, role), Action.id != besides if besides is not None else Action.id.is_not(None))
        .order_by(_RANK, _DUE, Action.id)
        .limit(max(1, min(limit, MAX_PAGE)))
    )
    return [to_row(tuple(r)) for r in found]


def of_run(session: Session, run_id: int, limit: int = 50) -> list[ActionRow]:
    """What a run proposed, oldest first. One query."""
    found = session.execute(
        select(*row_columns())
        .join(Organisation, Organisation.id == Action.org_id)
        .where(Action.run_id == run_id)
        .order_by(Action.id)
        .limit(max(1, min(limit, MAX_PAGE)))
    )
    return [to_row(tuple(r)) for r in found]
