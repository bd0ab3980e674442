"""Alerts as people see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from core.runtime.alerts.models import Alert, Severity
from core.runtime.orgs.models import Organisation

_BY_SEVERITY = case({s.value: n for n, s in enumerate(Severity)}, value=Alert.severity)


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert. `count` is how often there was something new to see; it is open while `resolved_at` is None."""

    id: int
    org_id: UUID
    org_name: str
    cause: str
    severity: Severity
    title: str
    detail: str
    numbers: Mapping[str, Any]
    href: str | None
    count: int
    first_at: datetime
    last_at: datetime
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    resolved_by: str | None
    resolved_at: datetime | None
    demo: bool


_COLUMNS = (
    Alert.id, Alert.org_id, Organisation.name, Alert.cause, Alert.severity, Alert.title, Alert.detail, Alert.numbers, Alert.href,
    Alert.count, Alert.first_at, Alert.last_at, Alert.acknowledged_by, Alert.acknowledged_at, Alert.resolved_by,
    Alert.resolved_at, Alert.demo,
)  # fmt: skip


def _row(found: Any) -> AlertRow:
    values = [*found]
    values[4] = Severity(values[4])
    return AlertRow(*values)


def open_alerts(session: Session, limit: int = 50) -> list[AlertRow]:
    """Alerts that are not over: unseen ones first, the worst first, then the newest."""
    statement: Any = select(*_COLUMNS).join(Organisation, Organisation.id == Alert.org_id).where(Alert.resolved_at.is_(None))
    order = (Alert.acknowledged_at.is_not(None), _BY_SEVERITY.desc(), Alert.last_at.desc(), Alert.id.desc())
    return [_row(r) for r in session.execute(statement.order_by(*order).limit(limit))]
