"""What would other numbers have decided? The same `decide` again over what each policy looked at then.

Windows and ceilings hang together: one more let through is one more that counts for the next. They are played through in the
order in which it happened, each organisation, kind and person with a window of its own. What was a dry run counts there as sent,
so that numbers can be tried before anything is live.
"""

import time
from bisect import insort
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core.config import get_settings
from core.kit import clock
from core.runtime.orgs.models import AGENCY_ID, Organisation
from core.runtime.policies import numbers, registry, settings
from core.runtime.policies.models import Verdict
from core.runtime.policies.registry import Policy, Said
from core.runtime.policies.rules.contact import CONTACT_CEILING
from core.runtime.policies.rules.modes import DAY_S, LIMITED, SEND_MODE, outsiders
from core.runtime.policies.rules.money import MONEY_CEILINGS
from core.runtime.policies.rules.rates import RATE_LIMIT, cap_of, window_of

DAYS: Final = 90
EXAMPLES: Final = 8
_PART: Final = 1000
"""Rows that are held at a time."""


@dataclass(frozen=True, slots=True)
class Example:
    """One action that would have been decided differently."""

    action_id: int
    title: str
    org: str
    at: datetime
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Flip:
    """Actions that were decided `was` and would have been decided `now`; `examples` are the latest of them."""

    was: Verdict
    now: Verdict
    count: int
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Week:
    """One week, by its Monday: what was decided, and what would have been."""

    monday: date
    was: dict[Verdict, int]
    now: dict[Verdict, int]


@dataclass(frozen=True, slots=True)
class Backtest:
    """The answer. `judged` counts actions; `dry_runs` of them were dry runs. `note` says how it was played through."""

    judged: int
    changed: int
    dry_runs: int
    flips: tuple[Flip, ...]
    weeks: tuple[Week, ...]
    was: dict[Verdict, int]
    now: dict[Verdict, int]
    longest_wait: timedelta
    note: str
    took_s: float


class _Row(NamedTuple):
    action_id: int
    org_id: UUID
    verdict: str
    reason: str
    inputs: dict[str, Any]
    at: datetime
    went: bool
    dry_run: bool
    payload: dict[str, Any] | None


_OF_AN_ACTION = """
    SELECT * FROM (
        SELECT DISTINCT ON (action_id) action_id, org_id, verdict, reason, inputs, at FROM policy_verdicts v
        WHERE policy = :policy AND at > :since AND (CAST(:org AS uuid) IS NULL OR org_id = CAST(:org AS uuid))
        ORDER BY action_id, {order}
    ) last ORDER BY at, action_id
"""
# by themselves, so that neither of them can become a loop within a loop while the tables' statistics are young
_WENT = text("SELECT action_id, dry_run FROM effects WHERE state <> 'failed' AND action_id = ANY(CAST(:ids AS bigint[]))")
_PAYLOADS = text("SELECT id, payload FROM actions WHERE id = ANY(CAST(:ids AS bigint[]))")
_LAST = "v.id DESC"
_FIRST_SENT = "v.stage = 'send' DESC, CASE WHEN v.stage = 'send' THEN v.id ELSE -v.id END"
"""When it was first about to be sent; for one that never was, the last word about it."""

Decide = Callable[[_Row], Said | None]


def backtest(
    session: Session, policy: str, changes: Mapping[str, Any], *, days: int = DAYS, org_id: UUID = AGENCY_ID
) -> Backtest:  # fmt: skip
    """Ask the policy again with changed numbers about the last days. Each action counts once, with its last word.

    The agency's numbers concern every organisation that has no own. Raises BadInput for numbers that can't be.
    """
    started = time.monotonic()
    known = registry.get(policy)
    wanted = numbers.check(known, {k: v for k, v in changes.items() if v is not None})
    values = _Values(session, known, wanted, org_id)
    simulate = _simulation(known, values)
    decide = simulate(session) if simulate else _again(known, values)
    tally = _Tally(clock.zone(get_settings().time_zone))
    for row in _rows(session, known, days, None if org_id == AGENCY_ID else org_id, in_order=simulate is not None):
        tally.add(row, decide(row))
    return _answer(session, tally, simulate is not None, started)


class _Values:
    """The numbers each organisation would have."""

    def __init__(self, session: Session, policy: Policy, changes: Mapping[str, Any], org_id: UUID) -> None:
        self._session, self._policy, self._changes, self._org_id = session, policy, changes, org_id
        self._known: dict[UUID, dict[str, Any]] = {}

    def __call__(self, org_id: UUID) -> dict[str, Any]:
        known = self._known.get(org_id)
        if known is None:
            known = self._known[org_id] = self._read(org_id)
        return known

    def _read(self, org_id: UUID) -> dict[str, Any]:
        made = settings.values(self._session, org_id, self._policy.key)
        own = {} if org_id == AGENCY_ID else settings.setting(self._session, self._policy.key, org_id).own
        if self._org_id == org_id:
            return made | dict(self._changes)
        return made | {k: v for k, v in self._changes.items() if k not in own}


def _rows(session: Session, policy: Policy, days: int, org_id: UUID | None, *, in_order: bool) -> Iterator[_Row]:
    """In order of time, a part after the other: all of them at once may be more than a page's process can hold."""
    statement = text(_OF_AN_ACTION.format(order=_FIRST_SENT if in_order else _LAST))
    values = {"policy": policy.key, "since": clock.now() - timedelta(days=days), "org": org_id}
    for part in session.execute(statement, values, execution_options={"yield_per": _PART}).partitions(_PART):
        ids = {"ids": [r.action_id for r in part]}
        went: dict[int, bool] = {r[0]: r[1] for r in session.execute(_WENT, ids)}
        payloads: dict[int, dict[str, Any]] = {r[0]: r[1] for r in session.execute(_PAYLOADS, ids)} if policy.refill else {}
        for action, org, verdict, reason, inputs, at in part:
            yield _Row(
                action, org, verdict, reason, inputs, at, action in went, went.get(action, False), payloads.get(action)
            )  # fmt: skip


def _again(policy: Policy, values: _Values) -> Decide:
    def decide(row: _Row) -> Said | None:
        inputs = row.inputs
        if policy.refill is not None:
            inputs = policy.refill(inputs, row.payload or {})
        return policy.decide(inputs, values(row.org_id))

    return decide


# ---- windows, played through


def _simulation(policy: Policy, values: _Values) -> Callable[[Session], Decide] | None:
    if policy is RATE_LIMIT:
        return lambda _session: _rates(values)
    if policy is CONTACT_CEILING:
        return lambda _session: _contacts(values)
    if policy is MONEY_CEILINGS:
        return lambda session: _money(values, _zones(session))
    if policy is SEND_MODE:
        return lambda _session: _modes(values)
    return None


def _counts(row: _Row) -> bool:
    """Whether it takes room in a window once it is let through: it went then, or only this policy is known to have held it."""
    return row.went or row.verdict in (Verdict.DEFER, Verdict.DENY)


class _Line:
    """The instants of one sliding window, oldest first; those that wait have their later ones."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at: list[datetime] = []

    def free_at(self, now: datetime, cap: int, length: timedelta) -> datetime | None:
        """None when one fits now; else when it does."""
        if cap < 1:
            return now + length
        if len(self.at) < cap or self.at[-cap] <= now - length:
            return None
        return self.at[-cap] + length


def _rates(values: _Values) -> Decide:
    lines: dict[tuple[UUID, str], _Line] = defaultdict(_Line)

    def decide(row: _Row) -> Said | None:
        own, kind = values(row.org_id), row.inputs["kind"]
        cap, length, line = cap_of(own, kind), window_of(own), lines[row.org_id, kind]
        free = line.free_at(row.at, cap, length)
        if _counts(row):
            line.at.append(free or row.at)
        sent = cap if free else 0
        stamp = free.isoformat() if free else None
        return RATE_LIMIT.decide({**row.inputs, "sent": sent, "ahead": 0, "free_at": stamp, "now": row.at.isoformat()}, own)

    return decide


def _modes(values: _Values) -> Decide:
    lines: dict[UUID, _Line] = defaultdict(_Line)

    def decide(row: _Row) -> Said | None:
        own, inputs = values(row.org_id), row.inputs
        if own["mode"] != LIMITED or not outsiders(inputs, own["our_domains"]):
            return SEND_MODE.decide(inputs, own)
        cap, line = int(own["daily_cap"]), lines[row.org_id]
        free = line.free_at(row.at, cap, timedelta(seconds=DAY_S))
        if _counts(row):
            line.at.append(free or row.at)
        stamp = free.isoformat() if free else None
        played = {"connected": True, "sent_outside": cap if free else 0, "free_at": stamp, "now": row.at.isoformat()}
        return SEND_MODE.decide({**inputs, **played}, own)

    return decide


def _contacts(values: _Values) -> Decide:
    reached: dict[str, list[float]] = {}

    def decide(row: _Row) -> Said | None:
        people: Mapping[str, Sequence[float]] = row.inputs["people"]
        own, now = values(row.org_id), row.at.timestamp()
        kept, ago = int(max(own["week"], own["month"])) + 1, {}  # older ones change nothing
        for person, before in people.items():
            if person not in reached:  # from before the days that are played through
                reached[person] = sorted(now - s for s in before)
            ago[person] = [now - t for t in reached[person][-kept:]]
        said = CONTACT_CEILING.decide({**row.inputs, "people": ago, "now": row.at.isoformat()}, own)
        if said is not None and said.verdict != Verdict.DENY and _counts(row):
            for person in people:
                insort(reached[person], said.until.timestamp() if said.until else now)
        return said

    return decide


def _money(values: _Values, zones: Mapping[UUID, ZoneInfo]) -> Decide:
    days: Counter[tuple[UUID, str, date]] = Counter()
    weeks: dict[tuple[UUID, str], list[tuple[datetime, int]]] = defaultdict(list)

    def decide(row: _Row) -> Said | None:
        inputs, currency = row.inputs, row.inputs["currency"]
        day = (row.org_id, currency, row.at.astimezone(zones.get(row.org_id, _UTC)).date())
        week = weeks[row.org_id, currency]
        while week and week[0][0] <= row.at - timedelta(days=7):
            week.pop(0)
        spent = sum(cost for _, cost in week)
        said = MONEY_CEILINGS.decide({**inputs, "today": days[day], "week": spent}, values(row.org_id))
        if said is not None and said.verdict != Verdict.DENY and _counts(row):
            days[day] += inputs["cost"]
            week.append((row.at, inputs["cost"]))
        return said

    return decide


_UTC: Final = ZoneInfo("UTC")


def _zones(session: Session) -> dict[UUID, ZoneInfo]:
    return {o: clock.zone(z) for o, z in session.execute(select(Organisation.id, Organisation.time_zone))}


# ---- the answer


class _Tally:
    """Counts as it goes, and keeps the latest examples of each kind of difference. Weeks begin on Mondays in `zone`."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self.judged = self.dry_runs = 0
        self.flips: Counter[tuple[Verdict, Verdict]] = Counter()
        self.weeks: Counter[tuple[int, Verdict, Verdict]] = Counter()
        self.examples: dict[tuple[Verdict, Verdict], deque[tuple[_Row, str]]] = defaultdict(lambda: deque(maxlen=EXAMPLES))
        self.longest = timedelta()

    def add(self, row: _Row, said: Said | None) -> None:
        if said is None:
            return
        was, now = _VERDICTS[row.verdict], said.verdict
        self.judged += 1
        self.dry_runs += row.dry_run
        self.flips[was, now] += 1
        self.weeks[(row.at.astimezone(self._zone).toordinal() - 1) // 7, was, now] += 1
        if said.until is not None and said.until - row.at > self.longest:
            self.longest = said.until - row.at
        if was is not now:
            self.examples[was, now].append((row, said.reason))


_VERDICTS: Final = {v.value: v for v in Verdict}


_TITLES = text("""
    SELECT a.id, a.title, o.name FROM actions a JOIN organisations o ON o.id = a.org_id WHERE a.id = ANY(CAST(:ids AS bigint[]))
""")
_PLAIN_NOTE: Final = "Each action was asked about again with what the rule looked at then."
_PLAYED_NOTE: Final = (
    "Played through in the order in which it happened: what is let through counts for those after it, and dry runs count as sent."
)


def _answer(session: Session, tally: _Tally, played: bool, started: float) -> Backtest:
    ids = [row.action_id for kept in tally.examples.values() for row, _ in kept]
    told = {r.id: (r.title, r.name) for r in session.execute(_TITLES, {"ids": ids})} if ids else {}
    changed = [(pair, count) for pair, count in tally.flips.most_common() if pair[0] != pair[1]]
    flips = [Flip(was, now, count, _examples(tally.examples[was, now], told)) for (was, now), count in changed]
    was_all, now_all = _sides(tally.flips)
    return Backtest(
        tally.judged, sum(f.count for f in flips), tally.dry_runs, tuple(flips), _weeks(tally.weeks), was_all, now_all,
        tally.longest, _PLAYED_NOTE if played else _PLAIN_NOTE, time.monotonic() - started,
    )  # fmt: skip


def _examples(kept: Iterable[tuple[_Row, str]], told: Mapping[int, tuple[str, str]]) -> tuple[Example, ...]:
    newest = sorted(kept, key=lambda k: k[0].at, reverse=True)
    return tuple(Example(r.action_id, *told[r.action_id], r.at, r.reason, now) for r, now in newest if r.action_id in told)


def _sides(flips: Mapping[tuple[Verdict, Verdict], int]) -> tuple[dict[Verdict, int], dict[Verdict, int]]:
    was_all: Counter[Verdict] = Counter()
    now_all: Counter[Verdict] = Counter()
    for (was, now), count in flips.items():
        was_all[was] += count
        now_all[now] += count
    return dict(was_all), dict(now_all)


def _weeks(counted: Mapping[tuple[int, Verdict, Verdict], int]) -> tuple[Week, ...]:
    by_week: dict[int, dict[tuple[Verdict, Verdict], int]] = defaultdict(dict)
    for (week, was, now), count in counted.items():
        by_week[week][was, now] = count
    return tuple(Week(date.fromordinal(week * 7 + 1), *_sides(flips)) for week, flips in sorted(by_week.items()))
