"""Commands on deals: take one over from a CRM, move it to another stage, note an activity."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from core.domains.crm.importer import load
from core.domains.crm.importer.load import Batch, Counts
from core.domains.crm.importer.shapes import ParsedDeal
from core.domains.crm.models import Deal, DealStatus, Stage, StageChange
from core.errors import BadInput, NotFound
from core.kit import clock
from core.kit.actor import Actor
from core.runtime.events import service as events
from core.runtime.events.models import Priority


def upsert_deals(session: Session, deals: list[ParsedDeal], batch: Batch) -> Counts:
    """Create or update deals of one source by their external id; unchanged ones (same row hash) are not touched.

    Their stages must exist (`importer.load.ensure_stages`). A fixed number of statements, however many deals.
    """
    load.lock(session, batch.org_id)
    load.open_table(session)
    load.copy_in(session, deals)
    counts = load.classify(session, batch)
    load.apply(session, batch)
    return counts


def move_stage(
    session: Session, deal_id: int, stage_id: int, by: Actor, *, at: datetime | None = None, cause_run_id: int | None = None
) -> bool:
    """Move a deal to a stage, at `at` (default now), and tell of it. False when it stands there already.

    Moving to a won or lost stage closes it, moving back to an open one opens it again. Raises NotFound, or BadInput for
    a time in the future or before the deal's last move.
    """
    when = at or clock.now()
    deal = session.execute(select(Deal).where(Deal.id == deal_id).with_for_update()).scalar_one_or_none()
    if deal is None:
        raise NotFound(f"There is no deal {deal_id}.", "It may have been removed; see the Pipeline page.")
    stage = session.execute(select(Stage).where(Stage.id == stage_id, Stage.org_id == deal.org_id)).scalar_one_or_none()
    if stage is None:
        raise NotFound(f"There is no stage {stage_id}.", "Reload the page and choose one of the stages shown.")
    if deal.stage_id == stage.id:
        return False
    if when > clock.now():
        raise BadInput("A deal can't be moved in the future.", "Choose today or an earlier day.")
    if deal.stage_since is not None and when < deal.stage_since:
        raise BadInput("The deal was moved after that time already.", "Choose a time after its last move.")
    old = session.get_one(Stage, deal.stage_id)
    _move(session, deal, old, stage, when, by)
    won = stage.status == DealStatus.WON
    words = {DealStatus.WON.value: "won", DealStatus.LOST.value: "lost"}
    events.publish(
        session,
        f"deal.{words.get(stage.status, 'moved')}",
        f"{by.label} moved “{deal.title}” from {old.name} to {stage.name}.",
        org_id=deal.org_id,
        actor=by,
        payload={"from": old.name, "to": stage.name, "value_minor": deal.value_minor, "currency": deal.currency},
        priority=Priority.HIGH if won else Priority.NORMAL,
        subject=("deal", deal.id),
        cause_run_id=cause_run_id,
        to_agents=("Sales AI",),
        demo=deal.demo,
    )
    return True


def _move(session: Session, deal: Deal, old: Stage, stage: Stage, when: datetime, by: Actor) -> None:
    session.execute(
        insert(StageChange).values(
            org_id=deal.org_id, deal_id=deal.id, from_stage_id=old.id, to_stage_id=stage.id, from_since=deal.stage_since,
            at=when, actor=by.label, demo=deal.demo,
        )
    )  # fmt: skip
    furthest = session.get(Stage, deal.furthest_stage_id) if deal.furthest_stage_id is not None else None
    if old.status == DealStatus.OPEN and (furthest is None or furthest.position < old.position):
        furthest = old
    if stage.status == DealStatus.OPEN and (furthest is None or furthest.position < stage.position):
        furthest = stage
    deal.furthest_stage_id = furthest.id if furthest is not None else None
    deal.stage_id, deal.status, deal.stage_since = stage.id, stage.status, when
    deal.closed_at = None if stage.status == DealStatus.OPEN else when
    deal.last_activity_at = max(deal.last_activity_at or when, when)
    deal.updated_at = clock.now()
    session.flush()


def note_activity(session: Session, deal_id: int, what: str, by: Actor, *, at: datetime | None = None) -> None:
    """Record that somebody was in touch about a deal: `what` in a few words. A former activity never moves it back.

    Raises NotFound, or BadInput for an empty text or a time in the future.
    """
    when, said = at or clock.now(), " ".join(what.split())[:300]
    if not said:
        raise BadInput("An activity needs a few words.", "Say what happened, for example: called, left a message.")
    if when > clock.now():
        raise BadInput("An activity can't be in the future.", "Choose today or an earlier day.")
    found = session.execute(
        update(Deal)
        .where(Deal.id == deal_id)
        .values(last_activity_at=func.greatest(Deal.last_activity_at, when), updated_at=clock.now())
        .returning(Deal.title, Deal.org_id, Deal.demo)
    ).first()
    if found is None:
        raise NotFound(f"There is no deal {deal_id}.", "It may have been removed; see the Pipeline page.")
    org_id: UUID = found.org_id
    events.publish(
        session, "deal.activity", f"{by.label} on “{found.title}”: {said}", org_id=org_id, actor=by, subject=("deal", deal_id),
        demo=found.demo,
    )  # fmt: skip


def set_value(session: Session, deal_id: int, value_minor: int, by: Actor) -> None:
    """Give a deal its value, in minor units of its currency. Raises NotFound, or BadInput when it is negative."""
    if value_minor < 0:
        raise BadInput("A deal's value can't be negative.", "Enter zero or more.")
    deal = session.execute(select(Deal).where(Deal.id == deal_id).with_for_update()).scalar_one_or_none()
    if deal is None:
        raise NotFound(f"There is no deal {deal_id}.", "It may have been removed; see the Pipeline page.")
    if deal.value_minor == value_minor:
        return
    before, deal.value_minor, deal.updated_at = deal.value_minor, value_minor, clock.now()
    session.flush()
    events.publish(
        session, "deal.valued", f"{by.label} set the value of “{deal.title}”.", org_id=deal.org_id, actor=by,
        subject=("deal", deal_id), payload={"before_minor": before, "value_minor": value_minor, "currency": deal.currency},
        demo=deal.demo,
    )  # fmt: skip
