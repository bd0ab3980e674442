"""What a ticket may do, and when it is late. Each threshold stands here once, for facts, screens and jobs."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from core.domains.delivery.models import TicketStatus as S

TRANSITIONS: Mapping[S, frozenset[S]] = {
    S.SUBMITTED: frozenset({S.ANALYZING, S.FAILED}),
    S.ANALYZING: frozenset({S.BUILDING, S.FAILED}),
    S.BUILDING: frozenset({S.REVIEW_PENDING, S.FAILED}),
    S.REVIEW_PENDING: frozenset({S.APPROVED, S.BUILDING, S.FAILED}),
    S.APPROVED: frozenset({S.DEPLOYED, S.BUILDING, S.FAILED}),
    S.DEPLOYED: frozenset({S.CLOSED, S.FAILED}),
    S.FAILED: frozenset({S.BUILDING, S.CLOSED}),
    S.CLOSED: frozenset(),
}
"""Going back to BUILDING from a review or an approval is a revision; a failed build may be taken up again or given up."""

NAMES: Mapping[str, str] = {
    S.SUBMITTED: "Submitted",
    S.ANALYZING: "Analyzing",
    S.BUILDING: "Building",
    S.REVIEW_PENDING: "Review pending",
    S.APPROVED: "Approved",
    S.DEPLOYED: "Deployed",
    S.CLOSED: "Closed",
    S.FAILED: "Failed",
}
"""Statuses as people read them."""

AT_RISK_AFTER = timedelta(days=3)
"""A build that has been in BUILDING longer than this is at risk."""
OVERDUE_AFTER = timedelta(days=5)
"""A build that has been in BUILDING longer than this is overdue."""
REVIEW_AFTER = timedelta(days=2)
"""A build that has waited for review longer than this asks for a nudge."""
STUCK_AFTER = timedelta(hours=24)
"""A ticket nobody has analyzed for this long is stuck in SUBMITTED."""
RECENT_DEPLOYS = timedelta(hours=24)
DEPLOY_WINDOW = timedelta(days=30)
NUDGE_AGAIN_AFTER = timedelta(hours=20)
"""The same reviewer is not nudged about the same ticket more often than this."""
FULL_LOAD = 6
"""Open tickets a person can carry; with fewer there is room for new work."""
BUILD_ROLES = ("engineering", "delivery")
"""Roles whose people take tickets."""


def can_move(before: S, after: S) -> bool:
    """Whether the status machine allows this step."""
    return after in TRANSITIONS[before]


def is_revision(before: S, after: S) -> bool:
    """Whether the step sends finished work back."""
    return after is S.BUILDING and before in (S.REVIEW_PENDING, S.APPROVED)


def older_than(since: datetime, now: datetime, limit: timedelta) -> bool:
    """Strictly older: at exactly the limit it is not yet late."""
    return now - since > limit


def lateness(status: str, since: datetime, now: datetime) -> str | None:
    """Why a ticket is late, in a word for a pill: overdue, at risk, review waiting, stuck; None when it is on time."""
    for wanted, limit, word in (
        (S.BUILDING, OVERDUE_AFTER, "overdue"),
        (S.BUILDING, AT_RISK_AFTER, "at risk"),
        (S.REVIEW_PENDING, REVIEW_AFTER, "review waiting"),
        (S.SUBMITTED, STUCK_AFTER, "stuck"),
    ):
        if status == wanted and older_than(since, now, limit):
            return word
    return None
