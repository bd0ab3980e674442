"""Read models of deployments."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domains.clients import queries as clients
from core.domains.delivery.models import Deployment, DeploymentStatus, Ticket


@dataclass(frozen=True, slots=True)
class DeploymentRow:
    """One deployment; `error` is the platform's own words."""

    id: int
    ticket_id: int | None
    ticket: str
    client_id: int | None
    client: str
    platform: str
    status: str
    error: str | None
    url: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class DeploymentPage:
    """The latest rows, and how many there are in all."""

    rows: tuple[DeploymentRow, ...]
    total: int


def between(session: Session, start: datetime, end: datetime, *, troubled_only: bool = False, limit: int = 50) -> DeploymentPage:
    """Deployments in [start, end], latest first; `troubled_only` keeps the failed and the rolled back."""
    statement: Any = (
        select(
            Deployment.id, Deployment.ticket_id, Ticket.title, Deployment.client_id, Deployment.platform, Deployment.status,
            Deployment.error, Deployment.url, Deployment.at, func.count().over().label("total"),
        )
        .outerjoin(Ticket, Ticket.id == Deployment.ticket_id)
        .where(Deployment.at >= start, Deployment.at <= end)
        .order_by(Deployment.at.desc(), Deployment.id.desc())
        .limit(limit)
    )  # fmt: skip
    if troubled_only:
        statement = statement.where(Deployment.status != DeploymentStatus.SUCCEEDED)
    found = session.execute(statement).all()
    companies = clients.by_ids(session, [r.client_id for r in found])
    rows = tuple(
        DeploymentRow(
            r.id, r.ticket_id, r.title or "a build that is gone", r.client_id,
            companies[r.client_id].name if r.client_id in companies else "ManageAI (internal)",
            r.platform, r.status, r.error, r.url, r.at,
        )
        for r in found
    )  # fmt: skip
    return DeploymentPage(rows, found[0].total if found else 0)


@dataclass(frozen=True, slots=True)
class DeploymentCounts:
    """Deployments of a period by outcome."""

    total: int
    succeeded: int
    failed: int
    rolled_back: int


def counts(session: Session, start: datetime, end: datetime) -> DeploymentCounts:
    """Deployments in [start, end) by outcome."""
    number = func.count()
    row = session.execute(
        select(
            number, number.filter(Deployment.status == DeploymentStatus.SUCCEEDED),
            number.filter(Deployment.status == DeploymentStatus.FAILED),
            number.filter(Deployment.status == DeploymentStatus.ROLLED_BACK),
        ).where(Deployment.at >= start, Deployment.at < end)
    ).one()  # fmt: skip
    return DeploymentCounts(row[0], row[1], row[2], row[3])


def by_client(session: Session, start: datetime, end: datetime) -> dict[int, DeploymentCounts]:
    """Deployments in [start, end) by outcome for each client that had any, by client id."""
    number = func.count()
    statement: Any = (
        select(
            Deployment.client_id, number, number.filter(Deployment.status == DeploymentStatus.SUCCEEDED),
            number.filter(Deployment.status == DeploymentStatus.FAILED),
            number.filter(Deployment.status == DeploymentStatus.ROLLED_BACK),
        )
        .where(Deployment.at >= start, Deployment.at < end, Deployment.client_id.is_not(None))
        .group_by(Deployment.client_id)
    )  # fmt: skip
    return {r[0]: DeploymentCounts(*r[1:]) for r in session.execute(statement)}


@dataclass(frozen=True, slots=True)
class TroubledClient:
    """A client whose deployments failed repeatedly."""

    client_id: int
    client: str
    failures: int
    last_at: datetime
    last_error: str | None


def repeated_failures(
    session: Session, start: datetime, end: datetime, at_least: int, limit: int = 50
) -> tuple[list[TroubledClient], int]:
    """Clients with that many failed deployments in [start, end], the most first; and how many such clients there are."""
    number = func.count()
    statement: Any = (
        select(
            Deployment.client_id, number, func.max(Deployment.at),
            func.array_agg(func.coalesce(Deployment.error, "")).label("errors"),
            func.array_agg(Deployment.at).label("times"), func.count().over().label("total"),
        )
        .where(
            Deployment.at >= start, Deployment.at <= end, Deployment.status == DeploymentStatus.FAILED,
            Deployment.client_id.is_not(None),
        )
        .group_by(Deployment.client_id)
        .having(number >= at_least)
        .order_by(number.desc(), func.max(Deployment.at).desc())
        .limit(limit)
    )  # fmt: skip
    found = session.execute(statement).all()
    companies = clients.by_ids(session, [r[0] for r in found])
    troubled = [
        TroubledClient(r[0], companies[r[0]].name, r[1], r[2], dict(zip(r.times, r.errors, strict=True))[r[2]] or None)
        for r in found
        if r[0] in companies
    ]
    return troubled, found[0].total if found else 0


@dataclass(frozen=True, slots=True)
class DeployedValue:
    """What the deployed work is worth in one currency, over all time and in a period, in minor units."""

    currency: str
    tickets: int
    minor: int
    minor_in_period: int


def value(session: Session, start: datetime, end: datetime) -> list[DeployedValue]:
    """Value of the work deployed with success, each ticket once however often it was deployed, by currency."""
    first = (
        select(
            Deployment.currency, func.coalesce(Deployment.ticket_id, -Deployment.id).label("what"),
            func.max(Deployment.value_minor).label("minor"), func.min(Deployment.at).label("at"),
        )
        .where(Deployment.status == DeploymentStatus.SUCCEEDED)
        .group_by(Deployment.currency, func.coalesce(Deployment.ticket_id, -Deployment.id))
        .subquery()
    )  # fmt: skip
    minor = func.sum(first.c.minor)
    inside = func.coalesce(minor.filter(first.c.at >= start, first.c.at < end), 0)
    statement = select(first.c.currency, func.count(), minor, inside).group_by(first.c.currency).order_by(minor.desc())
    return [DeployedValue(r[0], r[1], int(r[2]), int(r[3])) for r in session.execute(statement)]
