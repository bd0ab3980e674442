"""What is unusual: each rule is one query and a judge of its rows. The numbers it goes by are settings (`OPS_ALERT_…`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from core.config import Settings
from core.runtime.alerts.models import Severity
from core.runtime.orgs.models import AGENCY_ID

DAYS: Final = 14
"""Normal volume is what the same hour saw on average over so many days, or as many as there are."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong now. `detail`: what was seen and what to do; `numbers` the figures behind it."""

    cause: str
    title: str
    detail: str
    severity: Severity
    numbers: Mapping[str, Any] = field(default_factory=dict)
    href: str | None = None
    org_id: UUID = AGENCY_ID


@dataclass(frozen=True, slots=True)
class Rule:
    """`key` begins the cause of all it finds. `params` gives the query's values, `judge` the findings in its rows."""

    key: str
    query: str
    params: Callable[[Settings], Mapping[str, Any]]
    judge: Callable[[Sequence[Any], Settings], list[Finding]]


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


_VOLUME = """
    WITH lately AS (
        SELECT org_id, kind, count(*) AS n FROM effects
        WHERE intent_at > statement_timestamp() - interval '1 hour' AND NOT dry_run AND NOT demo
        GROUP BY org_id, kind HAVING count(*) >= :least
    )
    SELECT lately.*, o.name AS org_name, seen.days, seen.before / greatest(seen.days, 1)::float AS normal
    FROM lately JOIN organisations o ON o.id = lately.org_id CROSS JOIN LATERAL (
        SELECT least(:days, floor(extract(epoch FROM statement_timestamp() - min(e.intent_at)) / 86400))::int AS days,
            count(*) FILTER (WHERE e.intent_at < statement_timestamp() - interval '2 hours' AND
                mod(extract(epoch FROM statement_timestamp() - e.intent_at)::numeric, 86400) < 3600) AS before
        FROM effects e WHERE e.org_id = lately.org_id AND e.kind = lately.kind AND NOT e.dry_run AND NOT e.demo
            AND e.intent_at > statement_timestamp() - make_interval(days => :days, hours => 1)
    ) AS seen
"""


def _volume(rows: Sequence[Any], settings: Settings) -> list[Finding]:
    found = []
    for r in rows:
        # nothing is unusual on the first day, when nothing is usual yet
        if r.days < 1 or r.n * 100 < r.normal * settings.alert_volume_percent:
            continue
        usual = f"{r.normal:,.1f}".removesuffix(".0")
        found.append(
            Finding(
                f"volume:{r.kind}", f"{r.org_name}: unusually much is sent",
                f"{_many(r.n, 'effect')} of kind {r.kind} in the last hour; normal at this hour is {usual}. "
                "Look at who asks for them; stop the agent or the organisation if they should not leave.",
                Severity.HIGH, {"kind": r.kind, "last_hour": r.n, "normal": round(r.normal, 1)}, f"/approvals?kind={r.kind}",
                r.org_id,
            )
        )  # fmt: skip
    return found


# a vendor that says no to one message (4xx) is well; no answer, 5xx and "not you" are trouble
_PROVIDER = """
    SELECT vendor, count(*) AS n, max(status) AS status FROM (
        SELECT vendor, status FROM effect_calls
        WHERE at > statement_timestamp() - make_interval(mins => :minutes) AND NOT demo AND vendor IS NOT NULL AND (
            outcome = 'unclear' OR (outcome = 'refused' AND (status IS NULL OR status >= 500 OR status IN (401, 403, 408))))
        UNION ALL
        SELECT 'anthropic', NULL FROM model_calls
        WHERE created_at > statement_timestamp() - make_interval(mins => :minutes) AND NOT demo
            AND outcome IN ('overloaded', 'timed_out', 'cut', 'unreachable', 'malformed', 'bad_key', 'failed')
    ) AS failed GROUP BY vendor HAVING count(*) >= :least
"""


def _provider(rows: Sequence[Any], settings: Settings) -> list[Finding]:
    return [
        Finding(
            f"provider:{r.vendor}", f"{r.vendor.capitalize()} fails",
            f"{_many(r.n, 'call')} to {r.vendor.capitalize()} failed in the last {settings.alert_provider_minutes} minutes. "
            "What was not sent is tried again; test the connection, and look at the vendor's status page.",
            Severity.HIGH, {"vendor": r.vendor, "failures": r.n, "status": r.status}, "/connections",
        )
        for r in rows
    ]  # fmt: skip


_QUOTA = """
    SELECT vendor, count(*) AS n FROM (
        SELECT vendor FROM effect_calls
        WHERE at > statement_timestamp() - interval '1 hour' AND NOT demo AND vendor IS NOT NULL
            AND (status = 429 OR detail ILIKE '%quota%')
        UNION ALL
        SELECT 'anthropic' FROM model_calls
        WHERE created_at > statement_timestamp() - interval '1 hour' AND NOT demo AND outcome IN ('rate_limited', 'spend_cap')
    ) AS asked_to_wait GROUP BY vendor HAVING count(*) >= :least
"""


def _quota(rows: Sequence[Any], settings: Settings) -> list[Finding]:
    return [
        Finding(
            f"quota:{r.vendor}", f"{r.vendor.capitalize()} says: too much",
            f"{_many(r.n, 'call')} in the last hour ran into a limit of {r.vendor.capitalize()}. They are tried again later; "
            "raise the account's limit, or lower ours on the Policies page.",
            Severity.WARNING, {"vendor": r.vendor, "refused": r.n}, "/connections",
        )
        for r in rows
    ]  # fmt: skip


# by policy, so that each is one look into its own index; a kill switch that is on has a bar of its own on every page
_BLOCKS = """
    SELECT known.policy, seen.n FROM unnest(CAST(:policies AS text[])) AS known (policy) CROSS JOIN LATERAL (
        SELECT count(DISTINCT v.action_id) AS n FROM policy_verdicts v
        WHERE v.policy = known.policy AND v.verdict = 'deny' AND v.at > statement_timestamp() - interval '1 hour' AND NOT v.demo
    ) AS seen WHERE seen.n >= :least ORDER BY known.policy
"""


def _blocked_policies(settings: Settings) -> dict[str, Any]:
    from core.runtime.policies.registry import policies

    return {"policies": [p.key for p in policies() if p.key != "kill_switch"], "least": settings.alert_denies}


def _blocks(rows: Sequence[Any], settings: Settings) -> list[Finding]:
    from core.runtime.policies.registry import policies

    titles = {p.key: p.title for p in policies()}
    return [
        Finding(
            f"blocks:{r.policy}", f"“{titles.get(r.policy, r.policy)}” stops unusually much",
            f"{_many(r.n, 'action')} were denied by it in the last hour. Either something tries what it may not, "
            "or the rule's numbers are too tight: look at what it denied.",
            Severity.HIGH, {"policy": r.policy, "denied": r.n}, f"/policy?policy={r.policy}",
        )
        for r in rows
    ]  # fmt: skip


_CYCLES = """
    SELECT count(*) AS n, count(*) FILTER (WHERE state <> 'succeeded') AS failed,
        mode() WITHIN GROUP (ORDER BY name) FILTER (WHERE state <> 'succeeded') AS worst
    FROM runs WHERE kind = 'agent.job' AND state IN ('succeeded', 'failed', 'quarantined') AND NOT demo
        AND created_at > statement_timestamp() - interval '24 hours'
"""


def _cycles(rows: Sequence[Any], settings: Settings) -> list[Finding]:
    (r,) = rows
    if r.n < settings.alert_cycle_least or r.failed * 100 <= r.n * settings.alert_cycle_percent:
        return []
    return [
        Finding(
            "cycles", "Too many agent jobs fail",
            f"{r.failed:,} of {_many(r.n, 'job run')} failed in the last 24 hours, most often {r.worst}. "
            "Open a failed run to see why.",
            Severity.HIGH, {"failed": r.failed, "of": r.n, "worst": r.worst}, "/runs?state=Failed&period=24+h",
        )
    ]  # fmt: skip


# pg_locks and not pg_stat_activity alone: the latter hides what another login's sessions wait for, but not where they are
_LOCKS = """
    SELECT count(*) AS n, coalesce(extract(epoch FROM max(statement_timestamp() - waitstart)), 0)::float AS longest_s
    FROM pg_locks WHERE NOT granted AND waitstart < statement_timestamp() - make_interval(secs => :seconds)
        AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())
"""


def _locks(rows: Sequence[Any], settings: Settings) -> list[Finding]:
    (r,) = rows
    if not r.n:
        return []
    return [
        Finding(
            "locks", "The database's work waits for itself",
            f"{_many(r.n, 'transaction')} waited longer than {settings.alert_lock_wait_s:g} s for another to end. "
            "If it lasts, look for a long import or a session left open.",
            Severity.WARNING, {"waiting": r.n, "longest_s": round(r.longest_s, 1)}, "/system",
        )
    ]  # fmt: skip


_UNKNOWN = "SELECT count(*) AS n, min(id) AS first FROM actions WHERE state = 'unknown' AND NOT demo"


def _unknown(rows: Sequence[Any], settings: Settings) -> list[Finding]:
    (r,) = rows
    if not r.n:
        return []
    what = "Nobody knows whether it happened" if r.n == 1 else f"Nobody knows whether {r.n:,} effects happened"
    return [
        Finding(
            "unknown", what, "No clear answer came from the vendor. Look there, then say what happened; nothing is sent again.",
            Severity.HIGH, {"waiting": r.n}, f"/action?action={r.first}" if r.n == 1 else "/approvals?state=unknown",
        )
    ]  # fmt: skip


# an item ends at its deadline, so overdue is what waits although its owners were reminded, or ended without a decision
_OVERDUE = """
    SELECT count(*) FILTER (WHERE state = 'awaiting_approval') AS n, count(*) FILTER (WHERE state = 'dismissed') AS expired,
        min(id) FILTER (WHERE state = 'awaiting_approval') AS first
    FROM actions WHERE NOT demo AND (
        (state = 'awaiting_approval' AND remind_at < statement_timestamp())
        OR (state = 'dismissed' AND outcome = 'expired' AND approved_sha256 IS NULL
            AND created_at > statement_timestamp() - interval '30 days'
            AND finished_at > statement_timestamp() - interval '24 hours'))
"""


def _overdue(rows: Sequence[Any], settings: Settings) -> list[Finding]:
    (r,) = rows
    if not r.n and not r.expired:
        return []
    said = [f"{_many(r.n, 'approval')} still waiting after the reminder."] if r.n else []
    said += [f"{_many(r.expired, 'item')} expired in the last 24 hours because nobody decided."] if r.expired else []
    return [
        Finding(
            "overdue", "Approvals are overdue",
            f"{' '.join(said)} Approve, reject or delegate; what nobody decides is not sent.",
            Severity.WARNING, {"waiting": r.n, "expired": r.expired},
            f"/action?action={r.first}" if r.n == 1 else "/approvals",
        )
    ]  # fmt: skip


RULES: Final[tuple[Rule, ...]] = (
    Rule("volume", _VOLUME, lambda s: {"least": s.alert_volume_least, "days": DAYS}, _volume),
    Rule("provider", _PROVIDER, lambda s: {"minutes": s.alert_provider_minutes, "least": s.alert_provider_failures}, _provider),
    Rule("quota", _QUOTA, lambda s: {"least": s.alert_quota_errors}, _quota),
    Rule("blocks", _BLOCKS, _blocked_policies, _blocks),
    Rule("cycles", _CYCLES, lambda _: {}, _cycles),
    Rule("locks", _LOCKS, lambda s: {"seconds": s.alert_lock_wait_s}, _locks),
    Rule("unknown", _UNKNOWN, lambda _: {}, _unknown),
    Rule("overdue", _OVERDUE, lambda _: {}, _overdue),
)
