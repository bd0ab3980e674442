"""Looking at the world around an action: few queries, and locks that make windows and ceilings exact.

With `lock`, everything that counts is counted while nobody else can be let through the same window: the advisory locks are held
until the transaction ends, which is the one that commits the intent. What is counted is read by a statement of its own after the
locks, so that it sees all that was committed before them, and with the database's clock.
"""

import contextlib
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from psycopg.errors import LockNotAvailable
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.errors import OpsError
from core.kit import clock, log
from core.runtime.actions import kinds
from core.runtime.actions.binding import APPROVALS, APPROVER
from core.runtime.actions.models import Action, Audience, Origin
from core.runtime.contacts.counting import AT, COUNTS
from core.runtime.contacts.staff import staff_keys
from core.runtime.policies.models import Stage
from core.runtime.policies.registry import Values
from core.runtime.policies.rules.modes import DAY_S, LIMITED, outsiders
from core.runtime.policies.rules.rates import cap_of, window_of
from core.runtime.policies.rules.texts import texts_of
from core.runtime.policies.situation import Facing, Situation, Window
from core.runtime.policies.windows import next_free
from core.runtime.policies.words import lower

logger = log.get(__name__)

PATIENCE_MS = 4000
"""So long a worker waits for its turn at a limit."""
_ASKED_AT: Final = "policies_asked_at"
PERSON_LOCKS: Final = 1024
"""People share so many locks, since the server has room for a few thousand."""

_CONTEXT = text(f"""
    SELECT o.name, o.time_zone, current_setting('app.scope', true) AS scope,
        (SELECT count(DISTINCT {APPROVER}) FROM action_decisions d WHERE {APPROVALS}
            AND (:cost = 0 OR d.user_id IS DISTINCT FROM CAST(:asker AS bigint))) AS approved,
        (SELECT k.scopes FROM api_keys k WHERE k.id = CAST(:api AS bigint) AND k.revoked_at IS NULL) AS scopes
    FROM organisations o WHERE o.id = CAST(:org AS uuid)
""")  # noqa: S608
_SAVE, _BACK = text("SAVEPOINT look"), text("ROLLBACK TO SAVEPOINT look")
_LOCK = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")
# it stops at the first that somebody else holds, so what it has taken are the first ones in the order everybody takes them in
_TRY_LOCK = text("""
    WITH RECURSIVE wanted AS (SELECT CAST(:keys AS bigint[]) AS keys),
    taken (n, got) AS (
        SELECT 1, pg_try_advisory_xact_lock(keys[1]) FROM wanted
        UNION ALL SELECT n + 1, pg_try_advisory_xact_lock(keys[n + 1]) FROM taken, wanted WHERE got AND n < cardinality(keys)
    ) SELECT bool_and(got) FROM taken
""")

# the moment as a subquery bounds a scan of an index; as a column it is compared row by row, with all that was ever sent
_COUNTS = f"{COUNTS} AND e.action_id <> :id"
_WINDOW = text(f"""
    WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now),
    sent AS (
        SELECT {AT} AS at FROM moment, effects e
        WHERE e.org_id = CAST(:org AS uuid) AND e.kind = :kind AND {_COUNTS}
            AND (e.finished_at IS NULL OR e.finished_at > (SELECT now - CAST(:window AS interval) FROM moment))
    ),
    waiting AS (
        SELECT a.deferred_until AS until, a.id FROM actions a
        WHERE a.state = 'deferred' AND a.org_id = CAST(:org AS uuid) AND a.kind = :kind AND a.id <> :id
            AND a.deferred_until IS NOT NULL
    )
    SELECT moment.now,
        ARRAY(SELECT at FROM sent WHERE at > moment.now - CAST(:window AS interval) ORDER BY at) AS sent,
        ARRAY(SELECT until FROM waiting WHERE until > moment.now ORDER BY until) AS booked,
        (SELECT count(*) FROM waiting w WHERE w.until <= moment.now AND w.until > moment.now - CAST(:patience AS interval)
            AND (w.until, w.id) < (coalesce(CAST(:mine AS timestamptz), moment.now), :id)) AS ahead
    FROM moment
""")  # noqa: S608
_CONTACTS = text(f"""
    WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now)
    SELECT person, array_agg(at ORDER BY at) AS at FROM (
        SELECT person, {AT} AS at, moment.now FROM moment, effects e, unnest(e.recipients) AS person
        WHERE e.recipients && CAST(:people AS text[]) AND person = ANY(CAST(:people AS text[])) AND {_COUNTS}
            AND (e.finished_at IS NULL OR e.finished_at > (SELECT now - interval '31 days' FROM moment))
    ) reached WHERE at > now - interval '31 days' GROUP BY person
""")  # noqa: S608
_OUTSIDE = text(f"""
    WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now)
    SELECT moment.now, ARRAY(
        SELECT {AT} AS at FROM effects e
        WHERE e.org_id = CAST(:org AS uuid) AND {_COUNTS}
            AND (e.finished_at IS NULL OR e.finished_at > (SELECT now - interval '24 hours' FROM moment))
            AND CASE WHEN cardinality(e.recipients) > 0 THEN EXISTS (
                SELECT 1 FROM unnest(e.recipients) r
                WHERE r <> ALL(CAST(:staff AS text[])) AND split_part(r, '@', 2) <> ALL(CAST(:domains AS text[])))
                ELSE e.audience = 'outside' END
        ORDER BY at
    ) AS sent FROM moment
""")  # noqa: S608
_MONEY = text(f"""
    WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now),
    spent AS (
        SELECT e.cost_minor, {AT} AS at FROM moment, effects e
        WHERE e.org_id = CAST(:org AS uuid) AND e.currency = :currency AND e.cost_minor <> 0 AND {_COUNTS}
            AND (e.finished_at IS NULL OR e.finished_at > (SELECT now - interval '8 days' FROM moment))
    )
    SELECT
        coalesce((SELECT sum(cost_minor) FROM spent
            WHERE at >= date_trunc('day', moment.now AT TIME ZONE :zone) AT TIME ZONE :zone), 0) AS today,
        coalesce((SELECT sum(cost_minor) FROM spent WHERE at > moment.now - interval '168 hours'), 0) AS week
    FROM moment
""")  # noqa: S608


class Busy(OpsError):
    """Others held the limits of this action for too long."""


@dataclass(frozen=True, slots=True)
class _Around:
    """What was read before the locks."""

    facing: Facing
    org_name: str
    zone: ZoneInfo
    staff: tuple[str, ...]
    strangers: tuple[str, ...]
    domains: tuple[str, ...]
    limited: bool
    api_scopes: tuple[str, ...]


def look(session: Session, action: Action, stage: Stage, numbers: Mapping[str, Values], *, lock: bool = False) -> Situation:
    """Everything the policies may look at, read now. `numbers` are all policies' values for the action's organisation.

    With `lock` it holds the windows this action would go through until the transaction ends. Needs the scope of staff, since
    contacts count across organisations; raises RuntimeError otherwise. Raises Busy when others hold them for too long.
    """
    around = _around(session, action, numbers)
    if lock:
        _hold(session, _keys(around))
    session.info[_ASKED_AT] = time.monotonic()
    sending = stage == Stage.SEND
    (env_stop, stops, readable), (suppressed, suppression_readable) = _guarded(session, action, around, sending)
    now, rate = _rate(session, action, numbers["rate_limit"]) if sending else (_now(session), Window())
    today, week = _spent(session, action, around)
    return Situation(
        stage=stage, now=now, zone=around.zone, action=around.facing, org_name=around.org_name, env_stop=env_stop, stops=stops,
        readable=readable, suppressed=suppressed, suppression_readable=suppression_readable,
        contacts=_contacts(session, action, around), rate=rate, outside=_outside(session, action, around, numbers["send_mode"]),
        spent_today_minor=today, spent_week_minor=week, strangers=around.strangers, our_domains=around.domains,
        api_scopes=around.api_scopes,
    )  # fmt: skip


def asked_at(session: Session) -> float | None:
    """When the policies were last asked in this transaction (monotonic): behind the locks, before the kill switch was read."""
    return session.info.get(_ASKED_AT)


def _around(session: Session, action: Action, numbers: Mapping[str, Values]) -> _Around:
    by_api = action.requested_by_kind == "api"
    found = session.execute(
        _CONTEXT,
        {
            "id": action.id, "version": action.version, "sha": action.payload_sha256, "cost": action.cost_minor,
            "asker": action.requested_by_id if action.requested_by_kind == "user" else None,
            "api": action.requested_by_id if by_api else None, "org": action.org_id,
        },
    ).one()  # fmt: skip
    if found.scope != "staff":
        raise RuntimeError("policies are asked in a transaction of the staff's scope: contacts count across organisations")
    facing = _facing(action, found.approved)
    staff = staff_keys(session) if facing.recipients else ()
    strangers = tuple(p for p in facing.recipients if p not in set(staff))
    ours = numbers["send_mode"]["our_domains"]
    domains = tuple(str(d).strip().lower().lstrip("@") for d in ours) if isinstance(ours, list) else ()
    limited = numbers["send_mode"]["mode"] == LIMITED
    return _Around(facing, found.name, clock.zone(found.time_zone), staff, strangers, domains, limited, tuple(found.scopes or ()))


def _facing(action: Action, approved: int) -> Facing:
    kind = kinds.find(action.kind)
    return Facing(
        id=action.id, kind=action.kind, word=lower(kind.word) if kind else action.kind, org_id=action.org_id, agent=action.agent,
        requested_by_kind=action.requested_by_kind, requested_by_id=action.requested_by_id, payload=action.payload,
        origin=Origin(action.origin), untrusted_fields=_untrusted(action, kind), audience=Audience(action.audience),
        recipients=tuple(action.recipients or ()), marketing=bool(action.marketing), cost_minor=action.cost_minor or 0,
        currency=action.currency or "USD", account=action.account, approved_by_people=approved,
        undo=action.undo_of is not None, words=texts_of(action.payload),
    )  # fmt: skip


def _untrusted(action: Action, kind: kinds.ActionKind | None) -> tuple[str, ...]:
    """Labels of protected fields that text from outside filled. A field nobody vouches for counts as the action itself does."""
    if kind is None:
        return ()
    labels = {f.name: f.label for f in kind.fields}
    found = []
    for name in kind.protected:
        said = (action.provenance or {}).get(name)
        origin = said.get("origin") if isinstance(said, Mapping) else action.origin
        if origin != Origin.TRUSTED and action.payload.get(name) not in (None, "", [], ()):
            found.append(labels.get(name, name.replace("_", " ")).lower())
    return tuple(found)


def _keys(around: _Around) -> list[int]:
    """The locks of every window this action goes through, in the one order everybody takes them in."""
    a = around.facing
    names = {f"rate {a.org_id} {a.kind}"}
    names |= {f"person {_hash(p) % PERSON_LOCKS}" for p in around.strangers}
    if a.cost_minor:
        names.add(f"money {a.org_id} {a.currency}")
    if around.limited and _outsiders(around):
        names.add(f"outside {a.org_id}")
    return sorted(_hash("policy " + n) for n in names)


def _hold(session: Session, keys: list[int]) -> None:
    """Take the locks. Mostly nobody holds one: then that is one question. Else wait for those that are left, in their order."""
    if not session.execute(_TRY_LOCK, {"keys": keys}).scalar_one():
        _wait(session, keys)


def _wait(session: Session, keys: list[int]) -> None:
    """Take the locks, or none of them. Raises Busy: then nothing was sent, and its worker is free for something else."""
    try:
        with session.begin_nested():
            session.execute(text(f"SET LOCAL lock_timeout = {PATIENCE_MS}"))
            session.execute(_LOCK, {"keys": keys})
            session.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
    except OperationalError as error:
        if not isinstance(error.orig, LockNotAvailable):
            raise
        raise Busy("Many others go through the same limit at this moment.", "It is tried again in a few seconds.") from None


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "replace")).digest()[:8], signed=True)


def _outsiders(around: _Around) -> list[str]:
    a = around.facing
    facing = {"strangers": around.strangers, "audience": a.audience, "recipients": len(a.recipients)}
    return outsiders(facing, around.domains)


def _now(session: Session) -> datetime:
    return session.execute(text("SELECT clock_timestamp()")).scalar_one()  # type: ignore[no-any-return]


_Stops = tuple[str | None, tuple[Mapping[str, Any], ...], bool]
_Suppressed = tuple[Mapping[str, str], bool]


def _guarded(session: Session, action: Action, around: _Around, sending: bool) -> tuple[_Stops, _Suppressed]:
    """What must not be taken for empty when it can't be read: the switches and the suppression list.

    Both behind one savepoint, since reading them mostly works; when it does not, each behind its own.
    """
    people = around.facing.recipients
    if not sending and not people:
        return (None, (), True), ({}, True)
    try:
        with _savepoint(session):
            return _stops(session, action) if sending else (None, (), True), _suppressed(session, people)
    except Exception as error:
        if getattr(error, "connection_invalidated", False):
            raise  # the database is away: nothing is decided, it is tried again
        logger.error("look_failed", action_id=action.id, error=type(error).__name__)  # once more, to see which of them
    stops: _Stops = (None, (), False) if sending else (None, (), True)
    suppressed: _Suppressed = ({}, False)
    if sending:
        with _logged(action, "kill switch"), _savepoint(session):
            stops = _stops(session, action)
    with _logged(action, "suppression list"), _savepoint(session):
        suppressed = _suppressed(session, people)
    return stops, suppressed


@contextlib.contextmanager
def _logged(action: Action, what: str) -> Iterator[None]:
    """What can't be read is written down; the verdict then says so, and denies."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - fails closed
        logger.error("unreadable", what=what, action_id=action.id, error=type(error).__name__)


@contextlib.contextmanager
def _savepoint(session: Session) -> Iterator[None]:
    """`Session.begin_nested` at a fifth of its price: nothing is added or changed within, so no state need be kept, and it is
    not released, which the end of the transaction does."""
    session.execute(_SAVE)
    try:
        yield
    except BaseException:
        session.execute(_BACK)
        raise


def _stops(session: Session, action: Action) -> _Stops:
    """(environment's stop, switches, readable)."""
    from core.runtime.switches import service as switches

    return switches.env_stop(), switches.stops(session, action.org_id, action.agent), True


def _suppressed(session: Session, recipients: Sequence[str]) -> _Suppressed:
    """(who of them is suppressed and why, readable)."""
    if not recipients:
        return {}, True
    from core.runtime.contacts import queries as contacts

    return contacts.suppressed(session, recipients), True


def _rate(session: Session, action: Action, values: Values) -> tuple[datetime, Window]:
    try:
        length, cap = window_of(values), cap_of(values, action.kind)
    except (ValueError, TypeError, AttributeError):  # the policy itself says that it can't be applied
        length, cap = timedelta(hours=1), 0
    found = session.execute(
        _WINDOW,
        {
            "id": action.id, "org": action.org_id, "kind": action.kind, "window": length, "patience": max(length / 12, _LEAST),
            "mine": action.deferred_until,
        },
    ).one()  # fmt: skip
    if len(found.sent) + found.ahead < cap:
        return found.now, Window(len(found.sent), found.ahead)
    return found.now, Window(len(found.sent), found.ahead, next_free(found.sent, found.booked, cap, length, found.now))


_LEAST: Final = timedelta(seconds=1)
"""So long at least one that waited is waited for, before others go instead of it."""


def _contacts(session: Session, action: Action, around: _Around) -> Mapping[str, tuple[datetime, ...]]:
    wanted = [p for p in _outsiders(around) if "@" in p]
    if not wanted:
        return {}
    rows = session.execute(_CONTACTS, {"id": action.id, "people": wanted})
    return {r.person: tuple(r.at) for r in rows}


def _outside(session: Session, action: Action, around: _Around, values: Values) -> Window:
    if not around.limited or not _outsiders(around):
        return Window()
    found = session.execute(
        _OUTSIDE, {"id": action.id, "org": action.org_id, "staff": list(around.staff), "domains": list(around.domains)}
    ).one()
    day, cap = timedelta(seconds=DAY_S), values["daily_cap"] if isinstance(values["daily_cap"], int) else 0
    sent = [t for t in found.sent if t > found.now - day]
    return Window(len(sent), 0, next_free(sent, (), cap, day, found.now) if len(sent) >= cap else None)


def _spent(session: Session, action: Action, around: _Around) -> tuple[int, int]:
    if not action.cost_minor:
        return 0, 0
    found = session.execute(
        _MONEY, {"id": action.id, "org": action.org_id, "currency": action.currency, "zone": str(around.zone)}
    ).one()
    return int(found.today), int(found.week)
