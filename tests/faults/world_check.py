"""The invariants of the world after a fault: what must hold whatever was killed, dropped, forged or refused.

I1 nothing lost · I2 nothing twice · I3 nothing without authority · I4 nothing over a cap · I5 no two organisations mixed ·
I6 no secret outside its place · I7 audit complete · I8 back to health. Each is a function of what the vendors' log and the
database say; each names what is wrong, and `test_world_check.py` shows that each can turn red.
"""

import base64
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.config import get_settings
from core.kit import db as database
from core.kit import redis
from core.kit.db import STAFF
from core.models import metadata
from core.runtime.audit import service as audit
from core.runtime.policies import settings
from core.runtime.runs.models import Queue
from tests.faults.ledger_view import Line, applied, at, lines, sent_as_bound
from tests.tools.database import sql

GRACE = timedelta(seconds=1)
"""An effect may start so long after the kill switch went on."""


@dataclass(frozen=True)
class World:
    """What is checked. `calls` is the fake world's log; `secrets` name to value; `canaries` organisation to a text of its own."""

    calls: Sequence[Mapping[str, Any]]
    secrets: Mapping[str, str] = field(default_factory=dict)
    canaries: Mapping[UUID, str] = field(default_factory=dict)
    logs: Sequence[Path] = ()
    queues: Sequence[str] = tuple(q.value for q in Queue)


def check_world(
    calls: Sequence[Mapping[str, Any]], *, secrets: Mapping[str, str] | None = None, canaries: Mapping[UUID, str] | None = None,
    logs: Sequence[Path] = (), only: str | None = None, queues: Sequence[str] = World.queues,
) -> list[str]:  # fmt: skip
    """Everything that is wrong, "I2: …" each; empty is good. Call it when all has settled. `only`: one invariant.

    `queues`: those that have a worker.
    """
    world = World(calls, secrets or {}, canaries or {}, logs, queues)
    return [f"{name}: {what}" for name, check in CHECKS.items() if only in (None, name) for what in check(world)]


def _lines() -> list[Line]:
    with database.transaction(STAFF) as session:
        return lines(session)


def _by_name(found: Iterable[Line]) -> dict[tuple[str, str], list[Line]]:
    named: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in found:
        for name in line.names:
            named[name].append(line)
    return named


# ---- I1

_LOST = {
    "action {0} ({1}) is {2}, and nothing carries it on": """
        SELECT a.id, a.kind, a.state FROM actions a WHERE (a.state IN ('proposed', 'approved', 'executing')
            OR a.state = 'deferred' AND a.deferred_until IS NOT NULL)
            AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = a.execute_run_id
                AND r.state IN ('queued', 'waiting', 'running'))""",
    "action {0} is held, and no switch holds it": """
        SELECT a.id FROM actions a WHERE a.state = 'deferred' AND a.deferred_until IS NULL
        AND NOT EXISTS (SELECT 1 FROM kill_switches k WHERE k.resumed_at IS NULL)""",
    "action {0} waits for a decision, and its time is long over": """
        SELECT id FROM actions WHERE state = 'awaiting_approval' AND deadline_at < now() - interval '1 minute'""",
    "action {0} is {1}, its effect {2}": """
        SELECT a.id, a.state, coalesce(e.state, 'not there') FROM actions a LEFT JOIN effects e ON e.action_id = a.id
        WHERE a.state IN ('done', 'undone') AND e.state IS DISTINCT FROM 'done'
            OR e.state = 'done' AND a.state NOT IN ('done', 'undone') OR a.state = 'unknown' AND e.state <> 'unknown'
            OR e.state = 'unknown' AND a.state <> 'unknown'""",
    "action {0} may have been sent, and it is {1}": """
        SELECT a.id, a.state FROM actions a JOIN effects e ON e.action_id = a.id
        WHERE e.state = 'intent' AND e.first_sent_at IS NOT NULL
            AND a.state IN ('denied', 'dismissed', 'failed', 'awaiting_approval')""",
    "action {0} is {1} and tells nobody why": """
        SELECT id, state FROM actions WHERE state IN ('failed', 'denied', 'unknown') AND error IS NULL""",
    "nobody was told that action {0} is unknown": """
        SELECT a.id FROM actions a WHERE a.state = 'unknown' AND EXISTS (SELECT 1 FROM users WHERE role = 'admin')
        AND NOT EXISTS (SELECT 1 FROM events e WHERE e.type = 'action.unknown' AND e.subject_id = a.id)""",
    "run {0} ({1}) has been due for more than a minute": """
        SELECT id, kind FROM runs WHERE state IN ('queued', 'waiting') AND run_after < now() - interval '1 minute'
            AND queue = ANY(:queues)""",
    "run {0} ({1}) runs, and its lease is over": """
        SELECT id, kind FROM runs WHERE state = 'running' AND lease_until < now() - interval '30 seconds'""",
}  # fmt: skip


def _nothing_lost(world: World) -> list[str]:
    queues = {"queues": list(world.queues)}
    wrong = [said.format(*row) for said, ask in _LOST.items() for row in sql(ask, **(queues if ":queues" in ask else {}))]
    seen = {(c["endpoint"], c["key"]) for c in applied(world.calls)}
    for line in _lines():
        inside = line.action.account in ("inside", "none")
        if line.state == "done" and not line.dry_run and not inside and not seen & set(line.names) and not _gone_already(line):
            wrong.append(f"action {line.action.id} ({line.action.kind}) says it is done, and no vendor has seen it")
    return wrong


def _gone_already(line: Line) -> bool:
    """Done without a trace at the vendor: what was to be deleted was not there any more, or a person said that it happened."""
    receipt = sql("SELECT receipt FROM effects WHERE id = :id", id=line.effect_id)[0][0]
    resolved = sql("SELECT 1 FROM action_decisions WHERE action_id = :id AND decision = 'resolve'", id=line.action.id)
    return receipt.get("found") is False or bool(resolved)


# ---- I2


def _nothing_twice(world: World) -> list[str]:
    counted = Counter((c["endpoint"], c["key"]) for c in applied(world.calls))
    return [f"{endpoint} {key} was applied {n} times" for (endpoint, key), n in counted.items() if n > 1]


# ---- I3

_VERDICTS = text("SELECT DISTINCT action_id FROM policy_verdicts WHERE stage = 'send'")
_APPROVALS = text("""
    SELECT d.action_id, array_agg(DISTINCT coalesce(d.user_id, 0)) AS by
    FROM action_decisions d JOIN actions a ON a.id = d.action_id
    WHERE d.decision = 'approve' AND d.payload_sha256 = a.payload_sha256 AND d.version = a.version GROUP BY 1
""")
_EDITORS = text("SELECT action_id, user_id FROM action_decisions WHERE decision = 'edit'")
_SWITCHES = text("SELECT reach, org_id, agent, pulled_at, resumed_at FROM kill_switches")


def _nothing_without_authority(world: World) -> list[str]:
    named = _by_name(_lines())
    with database.transaction(STAFF) as session:
        judged = set(session.execute(_VERDICTS).scalars())
        approvals = {r.action_id: set(r.by) for r in session.execute(_APPROVALS)}
        editors = {(r.action_id, r.user_id) for r in session.execute(_EDITORS)}
        switches = session.execute(_SWITCHES).all()
    wrong = []
    for call in applied(world.calls):
        found = named.get((call["endpoint"], call["key"]), [])
        if not found:
            wrong.append(f"{call['endpoint']} {call['key']} was applied, and no effect knows of it")
            continue
        line = max(found, key=lambda one: one.state in ("done", "unknown", "intent"))
        wrong += [
            f"action {line.action.id} ({line.action.kind}): {w}" for w in _authority(call, line, judged, approvals, editors)
        ]
        wrong += [f"action {line.action.id} began although {w}" for s in switches if (w := _stopped(call, line, s))]
    return wrong


def _authority(
    call: Mapping[str, Any], line: Line, judged: set[int], approvals: Mapping[int, set[int]], editors: set[tuple[int, int]]
) -> list[str]:
    action, wrong = line.action, []
    if line.dry_run:
        wrong.append("it was a dry run, and something was sent")
    if action.id not in judged:
        wrong.append("no policy was asked when it was sent")
    if not sent_as_bound(call, line):
        wrong.append("the bytes that were sent are not the ones it was bound to")
    if not line.bound:
        wrong.append("it was not approved as it is")
    people = approvals.get(action.id, set())
    if action.decided_by != "policy" and len(people) < action.approvals_needed:
        wrong.append(f"it needs {action.approvals_needed} approvals and has {len(people)}")
    if action.cost_minor:
        own = {action.requested_by_id} if action.requested_by_kind == "user" else set()
        others = {p for p in people if p not in own and (action.id, p) not in editors}
        if not others:
            wrong.append("it costs money, and nobody but who asked for it approved it")
    return wrong


def _stopped(call: Mapping[str, Any], line: Line, switch: Any) -> str | None:
    when = at(call)
    if when <= switch.pulled_at + GRACE or (switch.resumed_at is not None and when >= switch.resumed_at):
        return None
    reached = {
        "everything": True, "organisation": switch.org_id == line.action.org_id, "agent": switch.agent == line.action.agent,
    }[switch.reach]  # fmt: skip
    return f"the kill switch had been on for {(when - switch.pulled_at).total_seconds():.2f} s" if reached else None


# ---- I4


def _nothing_over_a_cap(world: World) -> list[str]:
    named = _by_name(_lines())
    rates: dict[tuple[UUID, str], list[float]] = defaultdict(list)
    people: dict[str, list[float]] = defaultdict(list)
    spent: dict[tuple[UUID, str], list[tuple[float, int]]] = defaultdict(list)
    for call in applied(world.calls):
        for line in named.get((call["endpoint"], call["key"]), [])[:1]:
            a = line.action
            rates[a.org_id, a.kind].append(call["at"])
            if a.cost_minor:
                spent[a.org_id, a.currency].append((call["at"], a.cost_minor))
            if a.audience == "outside":
                for person in a.recipients:
                    people[person].append(call["at"])
    wrong = []
    with database.transaction(STAFF) as session:
        numbers = {org: settings.everything(session, org) for org in {o for o, _ in rates}}
    for (org, kind), times in rates.items():
        rate = numbers[org]["rate_limit"]
        cap, window = rate["kinds"].get(kind, rate["others"]), float(rate["window_s"])
        most = most_within([(t, 1) for t in times], window)
        if most > cap:
            wrong.append(f"{most} of {kind} within {window:g} s, the cap is {cap}")
    week = max((n["contact_ceiling"]["week"] for n in numbers.values()), default=0)
    over = {p: n for p, times in people.items() if (n := most_within([(t, 1) for t in times], 7 * 86_400)) > week}
    wrong += [f"{person} was written to {n} times in 7 days, the ceiling is {week}" for person, n in over.items()]
    for (org, currency), sums in spent.items():
        top = numbers[org]["money_ceilings"]["week"].get(currency, 0)
        if (most := most_within(sums, 7 * 86_400)) > top:
            wrong.append(f"{most} {currency} spent in 7 days, the ceiling is {top}")
    return wrong


def most_within(weighted: Iterable[tuple[float, int]], window_s: float) -> int:
    """The most that lies within any stretch of that length, its ends not counted together."""
    ranked = sorted(weighted)
    most = held = first = 0
    for when, weight in ranked:
        held += weight
        while ranked[first][0] <= when - window_s:
            held -= ranked[first][1]
            first += 1
        most = max(most, held)
    return most


# ---- I5, I6


def _copies() -> Iterable[tuple[str, str]]:
    """(table, each row as text) of the whole database, as a dump would hold them."""
    with psycopg.connect(str(get_settings().database_admin_url)) as connection:
        connection.execute("SELECT set_config('app.scope', 'staff', false)")
        for table in metadata.sorted_tables:
            with connection.cursor().copy(f"COPY (SELECT * FROM {table.name}) TO STDOUT") as copy:
                for row in copy:
                    yield table.name, bytes(row).decode("utf-8", "replace")


def _no_two_mixed(world: World) -> list[str]:
    wrong = []
    for table in metadata.sorted_tables:
        if "org_id" not in table.columns:
            continue
        for owner, canary in world.canaries.items():
            found = sql(
                f"SELECT count(*) FROM {table.name} t WHERE org_id <> :owner AND t::text LIKE :like",
                owner=owner, like=f"%{canary}%",
            )  # fmt: skip
            if found[0][0]:
                wrong.append(f"{table.name} has “{canary}” in {found[0][0]} rows of another organisation")
    named = _by_name(_lines())
    for call in world.calls:
        for line in named.get((call["endpoint"], call["key"]), [])[:1]:
            for owner, canary in world.canaries.items():
                if canary in call["body"] and line.action.org_id != owner:
                    wrong.append(f"{call['endpoint']} got “{canary}” for another organisation")
    return wrong


def _no_secret_outside(world: World) -> list[str]:
    wrong: Counter[str] = Counter()
    forms = {name: _forms(value) for name, value in world.secrets.items()}
    sources: list[tuple[str, Iterable[str]]] = [(f.name, f.open(errors="replace")) for f in world.logs]
    sources.append(("the vendors' log", (c["body"] for c in world.calls)))
    for where, told in (*((t, (row,)) for t, row in _copies()), *sources):
        for line in told:
            wrong.update(f"{name} stands in {where}" for name, shapes in forms.items() if any(s in line for s in shapes))
    return sorted(wrong)


def _forms(secret: str) -> tuple[str, ...]:
    """A secret as it is, as bytea shows it, and in base64."""
    return (secret, secret.encode().hex(), base64.b64encode(secret.encode()).decode().rstrip("="))


# ---- I7

_FORBIDDEN = (
    "UPDATE audit_entries SET actor = 'nobody'", "DELETE FROM audit_entries", "TRUNCATE audit_entries",
    "ALTER TABLE audit_entries DISABLE TRIGGER audit_seal",
)  # fmt: skip
_NO_ENTRY = """
    SELECT e.action_id FROM effects e JOIN actions a ON a.id = e.action_id WHERE e.state = 'done' AND NOT EXISTS (
        SELECT 1 FROM audit_entries u WHERE u.subject_type = 'action' AND u.subject_id = e.action_id
            AND u.what IN ('effect.done', 'action.resolved') AND u.detail->>'sha256' = a.payload_sha256)
"""


def _audit_complete(_world: World) -> list[str]:
    wrong = [f"the effect of action {i} has no entry" for (i,) in sql(_NO_ENTRY)]
    with database.transaction(STAFF) as session:
        wrong += [f"the chain of {org} is broken at {seq}" for org, seq in audit.broken(session)]
    for statement in _FORBIDDEN:
        try:
            with database.transaction(STAFF) as session:
                session.execute(text(statement))
                session.rollback()
        except DBAPIError:
            continue
        wrong.append(f"the app may {statement.split()[0]} audit_entries")
    return wrong


# ---- I8


_OLDEST = """
    SELECT extract(epoch FROM clock_timestamp() - min(run_after)) FROM runs
    WHERE state IN ('queued', 'waiting') AND queue = ANY(:queues)
"""


def _back_to_health(world: World) -> list[str]:
    wrong = [
        f"the oldest run that could be worked off has waited for {age:.0f} s"
        for (age,) in sql(_OLDEST, queues=list(world.queues))
        if age is not None and age > 60
    ]
    if not redis.client().ping():
        wrong.append("Valkey does not answer")
    return wrong


CHECKS: Mapping[str, Callable[[World], list[str]]] = {
    "I1": _nothing_lost, "I2": _nothing_twice, "I3": _nothing_without_authority, "I4": _nothing_over_a_cap, "I5": _no_two_mixed,
    "I6": _no_secret_outside, "I7": _audit_complete, "I8": _back_to_health,
}  # fmt: skip
