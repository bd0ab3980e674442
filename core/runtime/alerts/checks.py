"""The check that runs every minute: asks each rule, raises what is wrong, resolves what is over."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from core.config import get_settings
from core.kit import log
from core.kit.actor import Actor
from core.runtime.alerts import service
from core.runtime.alerts.models import Alert
from core.runtime.alerts.rules import RULES, Finding, Rule

EVERY_S: Final = 60.0
QUIET: Final = timedelta(minutes=3)
"""An alert is over when nothing was found for so long: one good minute between two bad ones ends nothing."""
MAX_QUERY_MS: Final = 2_000
_LOCK: Final = 7_406_551_003
_BY: Final = Actor("Alerts")

logger = log.get(__name__)


def check(session: Session) -> int:
    """Look at everything once; returns how many things are wrong. Safe from any number of clocks at once: one looks."""
    if not session.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}).scalar_one():
        return 0
    session.execute(text("SELECT set_config('statement_timeout', :ms, true)"), {"ms": str(MAX_QUERY_MS)})
    asked: list[str] = []
    found: list[Finding] = []
    for rule in RULES:
        seen = _ask(session, rule)
        if seen is not None:
            asked.append(rule.key)
            found += seen
    for one in found:
        service.raise_alert(
            session, one.cause, one.title, one.detail, severity=one.severity, numbers=one.numbers, href=one.href,
            org_id=one.org_id, again=False,
        )  # fmt: skip
    _end(session, asked, {(one.org_id, one.cause) for one in found})
    return len(found)


def _ask(session: Session, rule: Rule) -> list[Finding] | None:
    """What one rule finds; None when it could not be asked, which ends none of its alerts and stops no other rule."""
    settings = get_settings()
    try:
        with session.begin_nested():
            rows = session.execute(text(rule.query), dict(rule.params(settings))).all()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        logger.warning("alert_rule_failed", rule=rule.key, error=type(error.orig).__name__)
        return None
    return rule.judge(rows, settings)


def _end(session: Session, asked: list[str], still: set[Any]) -> None:
    """Resolve the alerts of these rules that nothing speaks for any more. Those that others raise end with their raisers."""
    quiet = select(Alert.id, Alert.org_id, Alert.cause).where(
        Alert.resolved_at.is_(None), Alert.demo.is_(False), Alert.last_at < func.statement_timestamp() - QUIET
    )
    for row in session.execute(quiet).all():
        if row.cause.split(":", 1)[0] in asked and (row.org_id, row.cause) not in still:
            service.resolve(session, row.id, _BY)
