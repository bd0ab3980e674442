"""Actions: list, show, approve, reject, undo, propose.

A key is no person. It decides only what reaches nobody outside, costs nothing and needs one person, and it never approves what
came from a key or from text that nobody vouches for; what it proposes goes through the policies like everything else.
"""

from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from app.gateway import action_schemas as schemas
from app.gateway.api import answers
from app.gateway.bearer import scoped
from core.domains.users.service import ApiCaller
from core.errors import BadInput
from core.kit import db
from core.kit.db import STAFF
from core.runtime.actions import queries, service
from core.runtime.actions.models import Decided, Origin
from core.runtime.runs.outcome import as_input

router = APIRouter(prefix="/actions", tags=["Actions"])
Reader = Annotated[ApiCaller, Depends(scoped("actions:read"))]
Decider = Annotated[ApiCaller, Depends(scoped("actions:decide"))]
Proposer = Annotated[ApiCaller, Depends(scoped("actions:propose"))]
ActionId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The action's number.")]
Words = Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        description="Any text of yours. The same key returns the action of the first request, for ever.",
    ),
]
VIA = "api"


def _shown(row: queries.ActionRow) -> dict[str, Any]:
    values = {n: getattr(row, n) for n in schemas.ActionSummary.model_fields if n not in ("organisation", "due_at", "href")}
    return values | {"organisation": row.org_name, "due_at": row.due_at, "href": f"/api/v1/actions/{row.id}"}


@router.get("", response_model=schemas.ActionList, responses=answers(422))
def list_actions(
    _: Reader,
    group: Annotated[str, Query(description=f"Only these: {', '.join(queries.GROUPS)}.")] = "",
    kind: Annotated[list[str] | None, Query(description="Only these kinds; repeat for several.")] = None,
    agent: Annotated[Words, Query(description="Only what this agent asked for.")] = "",
    q: Annotated[Words, Query(description="Text in title, target, reason or proposer; or an id.")] = "",
    after: Annotated[Words, Query(description="The `next` of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=queries.MAX_PAGE)] = 50,
) -> Any:
    """Actions: what needs a person by its deadline, anything else newest first."""
    if group and group not in queries.GROUPS:
        raise BadInput(f"There is no group “{group[:40]}”.", f"Use one of {', '.join(queries.GROUPS)}.")
    kinds = [k for k in kind or () if "\x00" not in k]
    wanted = queries.ActionFilter(group=group, kinds=kinds, agent=agent, text=q, after=after)
    with db.transaction(STAFF) as session:
        page = queries.page(session, wanted, limit)
    return {"actions": [_shown(r) for r in page.rows], "next": page.after}


@router.get("/{action_id}", response_model=schemas.ActionFull, responses=answers(404))
def show_action(_: Reader, action_id: ActionId) -> Any:
    """One action: the final bytes, what it rests on, what policies and people said, what became of it."""
    with db.transaction(STAFF) as session:
        found = queries.get(session, action_id)
    content = found.content
    return _shown(found.row) | {
        "payload": content.payload,
        "wire": content.wire.decode("utf-8", "replace"),
        "people": list(content.people),
        "provenance": content.provenance,
        "facts": found.facts,
        "verdicts": found.verdicts,
        "decisions": found.decisions,
        "story": found.timeline,
    }


@router.post("/{action_id}/approve", response_model=schemas.ActionDecided, responses=answers(404, 409, 422))
def approve_action(who: Decider, action_id: ActionId, given: schemas.DecisionInput) -> Any:
    """Approve exactly what `payload_sha256` binds. What reaches somebody outside or costs money needs a person: 403."""
    return _decide(who, action_id, Decided.APPROVE, given)


@router.post("/{action_id}/reject", response_model=schemas.ActionDecided, responses=answers(404, 409, 422))
def reject_action(who: Decider, action_id: ActionId, given: schemas.DecisionInput) -> Any:
    """Reject it: nothing is sent."""
    return _decide(who, action_id, Decided.REJECT, given)


def _decide(who: ApiCaller, action_id: int, decision: Decided, given: schemas.DecisionInput) -> dict[str, Any]:
    with db.transaction(STAFF) as session:
        said = service.decide(
            session, action_id, decision, who.actor, payload_sha256=given.payload_sha256, via=VIA, note=given.note
        )
    return {"action_id": action_id, "state": said.state.value, "sentence": said.sentence}


@router.post("/{action_id}/undo", response_model=schemas.ActionProposed, responses=answers(404, 409, 422), status_code=202)
def undo_action(who: Decider, action_id: ActionId, response: Response) -> Any:
    """Take back what was done. Undoing is an action of its own; its number is in the answer."""
    with db.transaction(STAFF) as session:
        return _proposed(service.undo(session, action_id, who.actor, VIA), response)


@router.post("", response_model=schemas.ActionProposed, responses=answers(422), status_code=202)
def propose_action(who: Proposer, given: schemas.ProposalInput, response: Response, key: Key = None) -> Any:
    """Propose an action. Policies judge it, and a person decides what reaches anybody; values of yours count as unconfirmed."""
    if key is not None and not key.strip():
        raise BadInput("The Idempotency-Key is empty.", "Send a text of your own, such as a UUID, or leave the header out.")
    payload = as_input(given.payload)
    if len(str(payload)) > 200_000:
        raise BadInput("The payload is larger than 200 kB.", "Put large data elsewhere and send a reference.")
    source = {"origin": Origin.UNTRUSTED.value, "source": who.actor.label}
    proposal = service.Proposal(
        given.kind, payload, who.actor, reason=given.reason, origin=Origin.UNTRUSTED,
        provenance=dict.fromkeys(payload, source),
        key=f"api:{who.key_id}:{sha256(key.encode()).hexdigest()[:40]}" if key is not None else None,
    )  # fmt: skip
    with db.transaction(STAFF) as session:
        return _proposed(service.propose(session, proposal), response)


def _proposed(made: Any, response: Response) -> dict[str, Any]:
    href = f"/api/v1/actions/{made.id}"
    response.headers["location"] = href
    return {"action_id": made.id, "state": made.state.value, "reason": made.reason, "created": made.created, "href": href}
