"""Thresholds of clients, each written down once for facts, screens and alerts."""

from core.domains.clients.models import ClientStatus

UNHAPPY_BELOW = 60
"""A health score under this asks for attention (0 to 100)."""
QUIET_DAYS = 30
"""No ticket activity for this many days: the client may be drifting away."""
REPEATED_FAILURES = 2
"""This many failed deployments inside `FAILURE_WINDOW_DAYS` flag the client."""
FAILURE_WINDOW_DAYS = 30

SERVED = (ClientStatus.ACTIVE, ClientStatus.AT_RISK)
"""Clients we work for now; paused and churned ones are left in peace."""


def needs_attention(status: str, health_score: int) -> bool:
    """Whether somebody should call: marked at risk, or an unhealthy score while we serve them."""
    return status == ClientStatus.AT_RISK or (status == ClientStatus.ACTIVE and health_score < UNHAPPY_BELOW)


def why_attention(status: str, health_score: int) -> str:
    """The reason in words, without digits."""
    if status == ClientStatus.AT_RISK and health_score < UNHAPPY_BELOW:
        return "marked at risk, and the health score is low"
    if status == ClientStatus.AT_RISK:
        return "marked at risk"
    return "the health score is low"
