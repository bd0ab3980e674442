"""Alerts: one row a cause while it lasts, told once, acknowledged by a person, resolved when it is over."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from core.errors import Conflict, NotAllowed, NotFound
from core.kit.actor import SYSTEM, Actor
from core.runtime.alerts.models import Alert, Severity
from core.runtime.events import service as events
from core.runtime.events.models import Priority
from core.runtime.notifications import service as notifications
from core.runtime.orgs import people
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs.outcome import to_json

ENGINEERING = "engineering"
_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.HIGH: 2, Severity.CRITICAL: 3}
_PRIORITY = {
    Severity.INFO: Priority.NORMAL, Severity.WARNING: Priority.NORMAL, Severity.HIGH: Priority.HIGH,
    Severity.CRITICAL: Priority.URGENT,
}  # fmt: skip

# counted again only when there is something new to see: a check that looks every minute at the same trouble is one trouble
_RAISE = text("""
    INSERT INTO agent_alerts AS a (org_id, cause, severity, title, detail, numbers, href)
    VALUES (CAST(:org_id AS uuid), :cause, :severity, :title, :detail, CAST(:numbers AS jsonb), :href)
    ON CONFLICT (org_id, cause) WHERE resolved_at IS NULL DO UPDATE SET
        count = a.count + CASE WHEN CAST(:again AS boolean) OR a.numbers IS DISTINCT FROM excluded.numbers THEN 1 ELSE 0 END,
        last_at = clock_timestamp(), title = excluded.title, detail = excluded.detail, numbers = excluded.numbers,
        href = excluded.href, severity = CASE
            WHEN array_position(:ranks, excluded.severity) > array_position(:ranks, a.severity) THEN excluded.severity
            ELSE a.severity END
    RETURNING id, xmax = 0 AS created, severity, (SELECT b.severity FROM agent_alerts b WHERE b.id = a.id) AS was
""")


def raise_alert(
    session: Session, cause: str, title: str, detail: str, *, severity: Severity, numbers: Mapping[str, Any] | None = None,
    href: str | None = None, org_id: UUID = AGENCY_ID, again: bool = True,
) -> int:  # fmt: skip
    """Say that something is wrong; returns the alert's id. `detail` is what was seen and what to do, in sentences.

    The same cause of the same organisation is one alert while it is open: its count grows, and nobody is told twice, unless it
    became worse. `again=False` is for whoever looks again and again: it counts only what has other numbers than before.
    """
    severity = Severity(severity)
    values = {
        "org_id": org_id, "cause": cause, "severity": severity.value, "title": title, "detail": detail, "again": again,
        "numbers": to_json(dict(numbers or {})), "href": href, "ranks": [s.value for s in Severity],
    }  # fmt: skip
    row = session.execute(_RAISE, values).one()
    # no severity before: another transaction made it a moment ago, and told of it
    if row.created or (row.was is not None and _RANK[Severity(row.severity)] > _RANK[Severity(row.was)]):
        _tell(session, row.id, cause, title, detail, severity, dict(numbers or {}), href, org_id)
    return int(row.id)


def _tell(
    session: Session, alert_id: int, cause: str, title: str, detail: str, severity: Severity, numbers: dict[str, Any],
    href: str | None, org_id: UUID,
) -> None:  # fmt: skip
    payload = {"cause": cause, "severity": severity.value, "numbers": numbers}
    subject = ("alert", alert_id)
    events.publish(session, "alert.raised", title, org_id=org_id, payload=payload, priority=_PRIORITY[severity], subject=subject)
    if _RANK[severity] < _RANK[Severity.HIGH]:
        return
    for role in (people.ADMIN, ENGINEERING):
        notifications.notify(
            session, role=role, kind="alert", key=f"alert:{alert_id}:{severity.value}", title=title, body=detail,
            href=href or "/", urgent=severity is Severity.CRITICAL, org_id=org_id,
        )  # fmt: skip


def acknowledge(session: Session, alert_id: int, by: Actor) -> None:
    """A person has seen it and looks after it; it stays open until it is over. Raises Conflict, NotAllowed and NotFound."""
    if by.kind not in ("user", "cli"):
        raise NotAllowed("A person has to acknowledge an alert.", "Sign in and do it on Today.")
    done = session.execute(
        update(Alert)
        .where(Alert.id == alert_id, Alert.acknowledged_at.is_(None), Alert.resolved_at.is_(None))
        .values(acknowledged_by=by.label, acknowledged_at=func.clock_timestamp())
        .returning(Alert.title, Alert.org_id)
    ).first()
    if done is None:
        alert = _find(session, alert_id)
        if alert.resolved_at is not None:
            raise Conflict("It is over already.", "There is nothing left to do.")
        raise Conflict(f"{alert.acknowledged_by} has acknowledged it already.", "They look after it.")
    _say(session, "alert.acknowledged", f"{by.label} looks after: {done.title}", alert_id, done.org_id, by)


def resolve(session: Session, which: str | int, by: Actor = SYSTEM, *, org_id: UUID = AGENCY_ID) -> bool:
    """It is over: an alert by its id, or the open one of that cause. False when none was open."""
    match = [Alert.id == which] if isinstance(which, int) else [Alert.cause == which, Alert.org_id == org_id]
    done = session.execute(
        update(Alert)
        .where(*match, Alert.resolved_at.is_(None))
        .values(resolved_at=func.clock_timestamp(), resolved_by=by.label)
        .returning(Alert.id, Alert.title, Alert.org_id)
    ).first()
    if done is None:
        return False
    _say(session, "alert.resolved", f"Over: {done.title}", done.id, done.org_id, by)
    return True


def _find(session: Session, alert_id: int) -> Alert:
    found = session.scalars(select(Alert).where(Alert.id == alert_id).execution_options(populate_existing=True)).first()
    if found is None:
        raise NotFound(f"There is no alert {alert_id}.", "Today shows those that are open.")
    return found


def _say(session: Session, type_: str, summary: str, alert_id: int, org_id: UUID, by: Actor) -> None:
    events.publish(session, type_, summary, org_id=org_id, actor=by, subject=("alert", alert_id))
