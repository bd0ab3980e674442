"""What needs a person now, for the Today page: four queries, whatever the size of the agency.

This is the one place that reads several domains in one statement, because Today is opened most and must stay cheap.
Thresholds and conditions come from the domains they belong to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.domains.clients import rules as client_rules
from core.domains.crm.queries.filters import CONDITIONS, base_params
from core.domains.delivery import rules as delivery_rules
from core.kit import clock
from core.kit.dates import days_between

BRIEF = "ceo-morning-brief"
FAILED_WITHIN = timedelta(hours=24)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that failed, was missed or was set aside."""

    run_id: int
    name: str
    state: str
    reason: str | None
    message: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class LateBuild:
    """A build that is overdue, or a review that waits too long. `late` says which; days are in its status."""

    ticket_id: int
    title: str
    client: str
    late: str
    days: float
    assignee: str | None
    reviewer: str | None


@dataclass(frozen=True, slots=True)
class Brief:
    """The latest finished morning brief; `text` cites its run's facts as `[[key]]`."""

    run_id: int
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Today:
    """Counts of what waits, and the first few of each. Money in minor units of `currency`.

    `drafts` are those for the person's role (everybody's for an admin). Quiet deals had no activity lately, overdue
    ones have passed their expected close; `deals_at_risk` is the value of both, each deal once.
    """

    failed_runs: int
    drafts: int
    reports: int
    overdue_builds: int
    late_reviews: int
    my_reviews: int
    stuck_tickets: int
    quiet_deals: int
    quiet_minor: int
    overdue_deals: int
    overdue_minor: int
    zero_value_deals: int
    deals_at_risk: int
    deals_at_risk_minor: int
    unhappy_clients: int
    retainers_at_risk_minor: int
    failed_deployments: int
    currency: str
    as_of: datetime
    failures: tuple[Failure, ...]
    late_builds: tuple[LateBuild, ...]
    brief: Brief | None

    @property
    def nothing_waits(self) -> bool:
        """Whether there is nothing to decide or to repair now."""
        return not any(
            (self.failed_runs, self.drafts, self.reports, self.overdue_builds, self.late_reviews, self.failed_deployments)
        )


_IS_FAILURE = "(r.state IN ('failed', 'quarantined') OR (r.state = 'cancelled' AND r.reason = 'missed'))"
_UNHAPPY = "(c.status = 'at_risk' OR (c.status = 'active' AND c.health_score < :unhappy_below))"
# the state list lets the index on runs(state, id) find them; a run that was replayed has been dealt with
_FAILED_RUNS = f"""
    FROM runs r WHERE r.state IN ('failed', 'quarantined', 'cancelled') AND {_IS_FAILURE}
        AND r.created_at >= :failed_since - interval '1 day' AND r.finished_at >= :failed_since
        AND NOT EXISTS (SELECT 1 FROM runs again WHERE again.replay_of = r.id)
"""  # noqa: S608 - constants of ours

# what waits as a mail on the Approvals page is counted there
_ASKED = """SELECT split_part(a.key, ':', 2) FROM actions a WHERE a.state = 'awaiting_approval' AND a.key LIKE '{prefix}:%'"""

_COUNTS = text(f"""
    SELECT (SELECT count(*) {_FAILED_RUNS}) AS failed_runs,
        (SELECT count(*) FROM drafts WHERE status = 'pending_review' AND (:role = 'admin' OR for_role = :role)
            AND id::text NOT IN ({_ASKED.format(prefix="draft")})) AS drafts,
        (SELECT count(*) FROM client_reports WHERE status = 'pending_review' AND :role IN ('admin', 'delivery')
            AND id::text NOT IN ({_ASKED.format(prefix="report")})) AS reports,
        t.*, d.*, c.*,
        (SELECT count(*) FROM deployments WHERE status <> 'succeeded' AND at >= :deploys_since) AS failed_deployments
    FROM (
        SELECT count(*) FILTER (WHERE t.status = 'BUILDING' AND t.status_since < :building_before) AS overdue_builds,
            count(*) FILTER (WHERE t.status = 'REVIEW_PENDING' AND t.status_since < :review_before) AS late_reviews,
            count(*) FILTER (WHERE t.status = 'REVIEW_PENDING' AND t.reviewer_user_id = :user_id) AS my_reviews,
            count(*) FILTER (WHERE t.status = 'SUBMITTED' AND t.status_since < :submitted_before) AS stuck_tickets
        FROM tickets t WHERE t.status IN ('BUILDING', 'REVIEW_PENDING', 'SUBMITTED')
    ) t CROSS JOIN (
        SELECT count(*) FILTER (WHERE quiet) AS quiet_deals, coalesce(sum(value) FILTER (WHERE quiet), 0)::bigint AS quiet_minor,
            count(*) FILTER (WHERE overdue) AS overdue_deals,
            coalesce(sum(value) FILTER (WHERE overdue), 0)::bigint AS overdue_minor,
            count(*) FILTER (WHERE zero) AS zero_value_deals, count(*) FILTER (WHERE quiet OR overdue) AS deals_at_risk,
            coalesce(sum(value) FILTER (WHERE quiet OR overdue), 0)::bigint AS deals_at_risk_minor
        FROM (
            SELECT CASE WHEN d.currency = :currency THEN d.value_minor END AS value, ({CONDITIONS["quiet"]}) AS quiet,
                ({CONDITIONS["overdue"]}) IS TRUE AS overdue, ({CONDITIONS["zero"]}) AS zero
            FROM deals d WHERE d.status = 'open'
        ) deals
    ) d CROSS JOIN (
        SELECT count(*) AS unhappy_clients,
            coalesce(sum(c.retainer_minor) FILTER (WHERE c.currency = :currency), 0)::bigint AS retainers_at_risk_minor
        FROM clients c WHERE {_UNHAPPY}
    ) c
""")  # noqa: S608 - constants of ours

_FAILURES = text(f"""
    SELECT r.id, r.name, r.state, r.reason, r.error ->> 'message', r.finished_at {_FAILED_RUNS}
    ORDER BY r.finished_at DESC LIMIT :shown
""")

_LATE = text("""
    SELECT t.id, t.title, coalesce(c.name, 'ManageAI (internal)'), t.status, t.status_since, a.name, r.name
    FROM tickets t LEFT JOIN clients c ON c.id = t.client_id
    LEFT JOIN users a ON a.id = t.assignee_user_id LEFT JOIN users r ON r.id = t.reviewer_user_id
    WHERE (t.status = 'BUILDING' AND t.status_since < :building_before)
        OR (t.status = 'REVIEW_PENDING' AND t.status_since < :review_before)
    ORDER BY t.status_since LIMIT :shown
""")

_BRIEF = text("""
    SELECT id, finished_at, output ->> 'text' FROM runs
    WHERE name = :brief AND state = 'succeeded' AND output ? 'text' ORDER BY id DESC LIMIT 1
""")


def today(session: Session, role: str, *, user_id: int | None = None, now: datetime | None = None) -> Today:
    """What needs this person now. `role` decides whose drafts count; `user_id` whose reviews."""
    at = now or clock.now()
    params: dict[str, Any] = {
        **base_params(at),
        "role": role,
        "user_id": user_id or 0,
        "shown": _SHOWN,
        "failed_since": at - FAILED_WITHIN,
        "building_before": at - delivery_rules.OVERDUE_AFTER,
        "review_before": at - delivery_rules.REVIEW_AFTER,
        "submitted_before": at - delivery_rules.STUCK_AFTER,
        "deploys_since": at - delivery_rules.RECENT_DEPLOYS,
        "unhappy_below": client_rules.UNHAPPY_BELOW,
    }
    counts = session.execute(_COUNTS, params).mappings().one()
    failures = [Failure(*r) for r in session.execute(_FAILURES, params)]
    brief = session.execute(_BRIEF, {"brief": BRIEF}).first()
    return Today(
        **counts,
        currency=params["currency"],
        as_of=at,
        failures=tuple(failures),
        late_builds=tuple(_late(session.execute(_LATE, params).all(), at)),
        brief=Brief(*brief) if brief else None,
    )


def _late(rows: Sequence[Any], now: datetime) -> list[LateBuild]:
    return [
        LateBuild(r[0], r[1], r[2], delivery_rules.lateness(r[3], r[4], now) or "", days_between(r[4], now), r[5], r[6])
        for r in rows
    ]
