"""How much agents may use, and how far a chain may go.

The numbers stand on the policy page as "Model budget" (see `budget_policy`, whose defaults come from the environment); that
policy judges no action, it bounds the runs that make them.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import BudgetExceeded
from core.runtime.events.models import Event
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.policies import settings
from core.runtime.runs.models import CauseKind, Run

KEY: Final = "model_budget"
MAX_HOPS: Final = 5
WARN_PERCENT: Final = 80
_MICRO_A_CENT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for one organisation. Costs are millionths of a dollar; `run_calls` are model calls of one run."""

    run_microusd: int
    run_tokens: int
    run_calls: int
    day_microusd: int
    org_day_microusd: int
    warn_percent: int = WARN_PERCENT
    hops: int = MAX_HOPS


def of(session: Session, org_id: UUID = AGENCY_ID) -> Limits:
    """The limits in force for an organisation. What holds for all of them together is the agency's to say, never a client's."""
    common = settings.values(session, AGENCY_ID, KEY)
    own = settings.values(session, org_id, KEY) if org_id != AGENCY_ID else common
    return Limits(
        round(own["run_cents"] * _MICRO_A_CENT), own["run_tokens"], own["run_calls"],
        round(common["day_cents"] * _MICRO_A_CENT), round(own["org_day_cents"] * _MICRO_A_CENT),
        common["warn_percent"], own["hops"],
    )  # fmt: skip


# ---- chains of causes


def hop_of(session: Session, run_id: int) -> int:
    """How many events led to this run, one after the other: 0 for a schedule, a person or the API."""
    known: dict[int, None] = {}
    while run_id not in known:
        known[run_id] = None
        run = session.execute(select(Run.cause_kind, Run.cause_id).where(Run.id == run_id)).first()
        if run is None or run.cause_id is None:
            return 0
        if run.cause_kind == CauseKind.EVENT:
            hop = session.scalar(select(Event.hop).where(Event.id == run.cause_id))
            return (hop or 0) + 1
        if run.cause_kind != CauseKind.RUN:
            return 0
        run_id = run.cause_id
    return MAX_HOPS + 1  # a run that is its own cause: no way out


def check_hops(session: Session, run_id: int, org_id: UUID = AGENCY_ID) -> int:
    """The run's hop. Raises BudgetExceeded when too many events led to it: agents answering each other without end."""
    hop, most = hop_of(session, run_id), of(session, org_id).hops
    if hop > most:
        raise BudgetExceeded(
            f"This run was caused by a chain of more than {most} events, so it was not begun.",
            "Look at its causes: two agents may be answering each other. A person can run the job by hand.",
        )
    return hop
