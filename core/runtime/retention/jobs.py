"""What is kept for how long. Events, actions, decisions and the audit chain are kept for good; what every run adds is not."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.config import get_settings
from core.kit import clock, db
from core.kit.db import STAFF
from core.runtime.runs import handlers
from core.runtime.runs import service as runs
from core.runtime.runs.context import RunContext
from core.runtime.runs.handlers import Handler

PRUNE = "system.prune"
AT_HOUR = 3
BATCH = 5_000
"""Rows a transaction deletes: short enough that nobody waits for it."""
REPLAY_DAYS = 8
"""Vendors send an unanswered webhook again for some days; one that is forgotten sooner would be taken twice."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows of `table` that meet `old` are deleted; `days` is how long they are kept."""

    table: str
    old: str
    days: int


def rules() -> Iterator[Rule]:
    """All rules, by the settings as they are now."""
    settings = get_settings()
    for kind in handlers.kinds():
        keep = handlers.get(kind).keep_days
        if keep is not None:
            yield Rule("runs", f"kind = '{kind}' AND finished_at < :before", keep)
    yield Rule("run_logs", "at < :before", settings.keep_logs_days)
    yield Rule("runs", "finished_at < :before", settings.keep_runs_days)
    yield Rule("model_calls", "created_at < :before", settings.keep_runs_days)
    yield Rule("policy_verdicts", "at < :before", settings.keep_runs_days)
    yield Rule("notifications", "created_at < :before AND read_at IS NOT NULL", settings.keep_logs_days)
    yield Rule("notifications", "created_at < :before", settings.keep_runs_days)
    yield Rule("signed_requests", "at < :before", REPLAY_DAYS)


def ask(session: Session, now: datetime | None = None) -> bool:
    """Queue today's pruning when its hour has come. Asked again or by two clocks at once, there is one a day."""
    local = (now or clock.now()).astimezone(ZoneInfo(get_settings().time_zone))
    if local.hour < AT_HOUR:
        return False
    return runs.enqueue(session, PRUNE, "Tidy up", key=f"{PRUNE}:{local.date()}").created


def prune(ctx: RunContext) -> dict[str, int]:
    """Handler of `system.prune`. Returns how many rows of each table were deleted."""
    gone: dict[str, int] = {}
    now = clock.now()
    for rule in rules():
        while many := _delete(rule, now):
            gone[rule.table] = gone.get(rule.table, 0) + many
            ctx.check()
    return gone


def _delete(rule: Rule, now: datetime) -> int:
    statement = text(
        # not every table has an id
        f"DELETE FROM {rule.table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {rule.table} "  # noqa: S608 - names of ours
        f"WHERE {rule.old.replace(':before', 'CAST(:now AS timestamptz) - make_interval(days => :days)')} LIMIT :batch))"
    )
    with db.transaction(STAFF) as session:
        return session.execute(statement, {"now": now, "days": rule.days, "batch": BATCH}).rowcount  # type: ignore[attr-defined,no-any-return]


handlers.register(Handler(PRUNE, prune, timeout_s=1800, keep_days=30))
