"""Imports every models.py, so that the metadata is whole (Alembic, tests)."""

import core.domains.automations.models
import core.domains.clients.models
import core.domains.crm.models
import core.domains.delivery.models
import core.domains.drafts.models
import core.domains.reports.models
import core.domains.tasks.models
import core.domains.users.models
import core.runtime.actions.models
import core.runtime.agents.models
import core.runtime.alerts.models
import core.runtime.audit.models
import core.runtime.connections.models
import core.runtime.contacts.models
import core.runtime.events.models
import core.runtime.notifications.models
import core.runtime.orgs.models
import core.runtime.policies.models
import core.runtime.runs.models
import core.runtime.schedules.models
import core.runtime.switches.models  # noqa: F401
from core.kit.db import Base

metadata = Base.metadata

SHARED_TABLES = frozenset({"heartbeats", "login_attempts", "key_rotations", "signed_requests", "alembic_version"})
"""Tables that hold no tenant's data; every other table must carry org_id and a policy."""
