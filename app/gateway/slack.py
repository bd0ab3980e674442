"""Clicks on buttons in Slack: signed by Slack, at most five minutes old, taken once, and decided where all decisions are.

The person is whoever an admin linked to that Slack account. Whoever comes too late sees who was first.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from app.gateway.body import Body
from app.gateway.problems import of_error, problem
from core.domains.users import signed
from core.errors import BadInput, Conflict, NotAllowed, NotFound, OpsError
from core.integrations.slack.answer import answer
from core.integrations.slack.verify import verified
from core.kit import clock, db, log, urls
from core.kit.actor import Actor
from core.kit.db import STAFF
from core.runtime.actions import service
from core.runtime.actions.models import Action, Decided
from core.runtime.connections import service as accounts
from core.runtime.notifications import blocks
from core.runtime.orgs import people
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.switches.env import env_stop
from core.runtime.switches.queries import stops

router = APIRouter(prefix="/slack", include_in_schema=False)
logger = log.get("slack")
ANSWER_S: Final = 2.5
"""Slack waits three seconds."""
MAX_PAYLOAD: Final = 200_000
_DECISIONS: Final = {blocks.APPROVE: Decided.APPROVE, blocks.REJECT: Decided.REJECT}


@dataclass(frozen=True, slots=True)
class Click:
    """What was clicked, by whom; `answer_to` is Slack's address for the answer."""

    decision: Decided
    action_id: int
    sha256: str
    slack_user_id: str
    answer_to: str


@router.post("/interactive")
async def interactive(request: Request, body: Body) -> Response:
    """A click. Answers within three seconds, whatever the decision takes."""
    try:
        refusal, signature = await run_in_threadpool(_prove, request, body)
    except OpsError as error:
        return of_error(error, request.scope)
    if refusal is not None:
        return refusal
    click = read(body)
    if click is None:
        return JSONResponse({})  # another button, a link: nothing for us to do
    work = asyncio.create_task(run_in_threadpool(_decide, click, signature))
    done, _ = await asyncio.wait({work}, timeout=ANSWER_S)
    if not done:
        return JSONResponse({}, background=BackgroundTask(_answer_later, work, click.answer_to))
    try:
        said = work.result()
    except OpsError as error:
        return of_error(error, request.scope)
    if said is None:
        return problem(409, "This click was taken before.", "Nothing was done again.", scope=request.scope)
    return JSONResponse(said, background=BackgroundTask(_answer, click.answer_to, said))


def _prove(request: Request, body: bytes) -> tuple[Response | None, str]:
    with db.transaction(STAFF) as session:
        secrets = accounts.incoming_secrets(session, "slack_signing")
    if not secrets:
        said = "This address is closed: no signing secret is entered."
        return problem(503, said, "Enter it in Settings → Connections → Slack.", scope=request.scope), ""
    signature = verified(body, request.headers, secrets, clock.now())
    if signature is None:
        logger.warning("a request is not signed by Slack, or it is stale", bytes=len(body))
        said = "The signature is not right, or it is too old."
        return problem(401, said, "Check the signing secret.", scope=request.scope), ""
    return None, signature


def read(body: bytes) -> Click | None:
    """The click in a signed form; None for all that is not one of our buttons."""
    try:
        form = dict(parse_qsl(body.decode(), max_num_fields=5, strict_parsing=True))
        said = json.loads(form["payload"]) if len(form["payload"]) <= MAX_PAYLOAD else None
    except (ValueError, KeyError, RecursionError):
        return None
    if not isinstance(said, dict) or said.get("type") != "block_actions":
        return None
    clicked = said.get("actions")
    first = clicked[0] if isinstance(clicked, list) and len(clicked) == 1 else None
    user = said.get("user")
    if not isinstance(first, dict) or not isinstance(user, dict):
        return None
    decision, value = _DECISIONS.get(_text(first.get("action_id"))), blocks.read_value(_text(first.get("value")))
    who, where = _text(user.get("id")), _text(said.get("response_url"))
    if decision is None or value is None or not who.isascii() or not who.isalnum() or len(who) > 40:
        return None
    return Click(decision, value[0], value[1], who, where)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _decide(click: Click, signature: str) -> dict[str, Any] | None:
    """The message for Slack; None when this very click was taken before."""
    with db.transaction(STAFF) as session:
        if not signed.take(session, "slack", signature):
            return None
        person = people.by_slack(session, click.slack_user_id)
        if person is None:
            return _only_you(
                "Your Slack account is not linked to a person here. Ask an admin to link it: "
                f"`ops users slack YOUR-ADDRESS {click.slack_user_id}`."
            )
        action = session.get(Action, click.action_id)
        if action is None:
            return _only_you("There is no such item any more.")
        try:
            with session.begin_nested():
                return _decided(session, click, Actor(person.name, "user", person.id))
        except Conflict as error:
            session.refresh(action)
            return _instead(action, str(error))
        except (NotAllowed, NotFound, BadInput) as error:
            return _only_you(f"{error} {_link(click.action_id)}")


def _decided(session: Any, click: Click, by: Actor) -> dict[str, Any]:
    action = session.get(Action, click.action_id, with_for_update=True, populate_existing=True)
    if action.payload_sha256 == click.sha256 and action.state == "awaiting_approval" and not blocks.one_tap(action):
        raise NotAllowed("This can't be decided from here.", "Open it to decide.")
    said = service.decide(session, click.action_id, click.decision, by, payload_sha256=click.sha256, via="slack")
    session.flush()
    done = "approved" if click.decision is Decided.APPROVE else "rejected"
    return _instead(action, f"{by.label} {done} it. {said.sentence}")


def _instead(action: Action, sentence: str) -> dict[str, Any]:
    """Takes the place of the notice, buttons and all."""
    shown = blocks.decided_blocks(action.title, sentence, action.id, urls.base_url())
    return {"replace_original": True, "text": f"{action.title}: {sentence}", "blocks": shown}


def _only_you(sentence: str) -> dict[str, Any]:
    return {"response_type": "ephemeral", "replace_original": False, "text": sentence}


def _link(action_id: int) -> str:
    return f"{urls.base_url()}/action?action={action_id}"


async def _answer_later(work: "asyncio.Task[dict[str, Any] | None]", answer_to: str) -> None:
    try:
        said = await work
    except OpsError as error:
        said = _only_you(str(error))
    if said is not None:
        await run_in_threadpool(_answer, answer_to, said)


def _answer(answer_to: str, message: Mapping[str, Any]) -> None:
    """Slack reads the answer to a click only there. Nothing leaves while everything is stopped; the decision stands anyway."""
    if not answer_to:
        return
    try:
        with db.transaction(STAFF) as session:
            stopped = env_stop() is not None or bool(stops(session, AGENCY_ID, None))
        if not stopped:
            answer(answer_to, message)
    except OpsError as error:
        logger.warning("the answer to a click did not reach Slack", reason=error.message[:200])
