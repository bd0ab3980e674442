"""Every domain's run handlers, scheduled jobs and fact sections. A new domain adds one line here."""

from functools import lru_cache
from importlib import import_module

ROOMS: tuple[str, ...] = (
    "core.runtime.policies.rules",
    "core.runtime.runs.probes",
    "core.runtime.agents.jobs",
    "core.domains.users.directory",
    "core.runtime.actions.jobs",
    "core.runtime.retention.jobs",
    "core.runtime.notifications.jobs",
    "core.domains.company.facts",
    "core.domains.company.jobs",
    "core.domains.crm.facts",
    "core.domains.crm.jobs",
    "core.domains.clients.facts",
    "core.domains.delivery.facts",
    "core.domains.delivery.flow_facts",
    "core.domains.automations.facts",
    "core.domains.delivery.jobs",
    "core.domains.reports.jobs",
    "core.domains.drafts.jobs",
    "core.domains.messages.actions",
    "core.domains.crm.actions",
    "core.domains.tasks.actions",
    "core.runtime.agents.budget_policy",
)
"""Modules whose import registers something. Each must be import-light: no pandas, no model SDK at the top."""


@lru_cache(maxsize=1)
def load() -> None:
    """Register everything, once per process."""
    for room in ROOMS:
        import_module(room)
