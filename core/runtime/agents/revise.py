"""A person answered an action that waits: the agent writes it anew from the same facts, as a new version that waits again.

The reply is a colleague's instruction; the facts' texts stay data. Without a model key nothing changes, and the person is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy.orm import Session

from core.config import get_settings
from core.errors import BudgetExceeded, Conflict, OpsError
from core.integrations.anthropic.client import Request
from core.integrations.anthropic.errors import ModelError
from core.kit.actor import Actor
from core.runtime.actions.followers import Told
from core.runtime.actions.models import Action, ActionState, Origin
from core.runtime.agents import budgets, calls, limits, numbers, outcomes, prompts, proposals, sheet, verify
from core.runtime.agents.calls import Caller, effort
from core.runtime.agents.facts import Fact, Section, from_outside
from core.runtime.agents.untrusted import clean
from core.runtime.events import service as events
from core.runtime.events.models import Event
from core.runtime.orgs.models import AGENCY_ID
from core.runtime.runs import service as runs
from core.runtime.runs.context import RunContext

REVISE: Final = "action.revise"
EDITABLE: Final = ("text", "subject")
_MAX_TOKENS = 2_500
_NO_KEY = "No model key: edit it yourself."


class RevisedForm(BaseModel):
    """The form of the answer."""

    model_config = ConfigDict(extra="forbid", strict=True)

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Task:
    """One reply to work off: the action as it was replied to, and what was said. `facts` are those it rests on, by key.

    `outside` says that a fact or the message as it stands holds text from outside.
    """

    action_id: int
    org_id: UUID
    agent: str
    title: str
    sha256: str
    version: int
    payload: Mapping[str, Any]
    facts: Mapping[str, Fact]
    outside: bool
    reply: str
    person: str
    person_id: int | None


def follow(session: Session, action: Action, told: Told) -> None:
    """Follower of actions: a reply to an agent makes a run that works it off."""
    if told.what != "replied" or not action.agent:
        return
    name = f"Revise: {action.title}"[:200]
    by = Actor(told.by.label if told.by else "Somebody", "event", told.event_id)
    payload = {"action_id": action.id, "event_id": told.event_id, "agent": action.agent}
    # the agency's run, whosever the action is: what it writes is judged, and policies look across organisations
    runs.enqueue(session, REVISE, name, org_id=AGENCY_ID, payload=payload, key=f"revise:{told.event_id}", by=by, priority=60)


def run(ctx: RunContext) -> dict[str, Any]:
    """Handler of `action.revise`; payload {"action_id", "event_id"}. Returns {"revised", "text"}: what became of it, in words."""
    with ctx.transaction() as session:
        task = _task(session, int(ctx.payload["action_id"]), int(ctx.payload["event_id"]))
        limits.check_hops(session, ctx.run_id, task.org_id if task else ctx.org_id)
    if task is None:
        return {"revised": False, "text": "It no longer waits for a decision, so nothing was changed."}
    client = calls.make_client()
    if client is None:
        ctx.step("answer", lambda s: _say(s, ctx, task, f"{task.title}: {_NO_KEY}"), label="Telling who replied")
        return {"revised": False, "text": _NO_KEY}
    caller = Caller(
        client, get_settings().model, ctx.run_id, task.org_id, deadline_s=ctx.held.timeout_s * 0.8, check=ctx.check,
        may_come_back=ctx.held.attempt < 3,
    )  # fmt: skip
    try:
        written = ctx.step_outside("write", lambda: _write(caller, task), label="Writing it anew")
    finally:
        caller.close()
    said = ctx.step("apply", lambda s: _apply(s, ctx, task, written), label="Putting it up for approval")
    return {"revised": bool(said.get("revised")), "text": said["text"]}


def _task(session: Session, action_id: int, event_id: int) -> Task | None:
    action = session.get(Action, action_id)
    event = session.get(Event, event_id)
    if action is None or event is None or action.state != ActionState.AWAITING:
        return None
    facts = {str(f["key"]): _fact(f) for f in action.facts}
    known = [action.provenance[k] for k in EDITABLE if k in action.provenance]
    outside = any(f.untrusted for f in facts.values()) or any(k.get("origin") == Origin.UNTRUSTED for k in known)
    return Task(
        action.id, action.org_id, action.agent or "", action.title, action.payload_sha256, action.version, dict(action.payload),
        facts, outside, str(event.payload.get("text") or ""), event.actor, event.actor_user_id,
    )  # fmt: skip


def _fact(line: Mapping[str, Any]) -> Fact:
    section, unit = str(line.get("section") or ""), str(line.get("unit") or "text")
    return Fact(
        str(line["key"]), str(line["label"]), line.get("value"), unit, str(line["shown"]), section or "action",
        untrusted=from_outside(section, unit),
    )  # fmt: skip


# ---- writing


def _write(caller: Caller, task: Task) -> dict[str, Any]:
    """The new text, checked; one correction. {"why"} instead when there is none that may be shown."""
    wrong: str | None = None
    purpose = "revise"
    for _ in range(2):
        try:
            asked = caller.ask(_request(caller.model, task, wrong), purpose=purpose, prompt=prompts.load("revise").label)
        except (ModelError, BudgetExceeded) as error:
            return {"why": error.message}
        form, wrong = _read(asked.answer.text, task)
        if form is not None and wrong is None:
            budgets.judge(asked.call_id, outcomes.OK if purpose == "revise" else outcomes.REPAIRED)
            return {"text": form.text.strip(), "subject": " ".join(form.subject.split()), "model": caller.model}
        budgets.judge(asked.call_id, outcomes.REJECTED, wrong)
        purpose = "repair"
    return {"why": "What the model wrote did not pass the check, twice."}


def _request(model: str, task: Task, wrong: str | None) -> Request:
    import anthropic

    prompt = prompts.load("revise")
    now = f"Subject: {task.payload['subject']}\n\n" if task.payload.get("subject") else ""
    now += str(task.payload.get("text") or "")
    parts = [
        f"{clean(task.person)} replied: {clean(task.reply)[:4_000]}",
        f"The message as it stands (data):\n<message>\n{now[:6_000].replace('</message', '(/message')}\n</message>",
    ]
    if wrong:
        parts.append(f"Your first answer was not accepted: {wrong} Write the whole message again.")
    intro = "\n\n".join(parts) + "\n\nFacts (key | label | how it reads):\n"
    bare = Request(model, prompt.text, [], _MAX_TOKENS, (), anthropic.transform_schema(RevisedForm), effort(model))
    room = sheet.MAX_PROMPT_TOKENS - sheet.request_tokens(bare) - sheet.tokens(intro) - 40
    made = sheet.build([Section("facts", "Facts", tuple(task.facts.values()), ())], max(room, 200))
    return Request(
        model, prompt.text, [{"role": "user", "content": intro + made.text}], _MAX_TOKENS, (),
        anthropic.transform_schema(RevisedForm), effort(model),
    )  # fmt: skip


def _read(text: str, task: Task) -> tuple[RevisedForm | None, str | None]:
    """The form, and what is wrong with it. A number the person wrote may be said as the person wrote it."""
    try:
        form = RevisedForm.model_validate_json(text)
    except ValidationError:
        return None, "It does not fit the form."
    facts = task.facts.values()
    allowed = {n.text for n in numbers.find(numbers.fold(task.reply)[0])}
    found = verify.check(form.text, facts)
    if form.subject.strip():
        found += verify.check(f"{form.subject} it is about.", facts)
    left = [v for v in found if v.what not in allowed]
    return form, str(left[0]) if left else None


# ---- applying


def _apply(session: Session, ctx: RunContext, task: Task, written: Mapping[str, Any]) -> dict[str, Any]:
    """A new version by the agent, if nobody decided or edited meanwhile."""
    from core.runtime.actions import service

    if "why" in written:
        return _say(session, ctx, task, f"{task.title}: it could not be rewritten. {written['why']} Edit it yourself.")
    changes = {"text": proposals.filled(written["text"], task.facts)}
    if written["subject"] and "subject" in task.payload:
        changes["subject"] = proposals.filled(written["subject"], task.facts)
    by = Actor(task.agent, "run", ctx.run_id)
    try:
        with session.begin_nested():
            source = _source(task, written["model"])
            service.edit(session, task.action_id, changes, by, payload_sha256=task.sha256, via="clock", source=source)
    except Conflict as error:
        return {"revised": False, "text": str(error)}
    except OpsError as error:
        if error.retryable:
            raise
        return _say(session, ctx, task, f"{task.title}: it could not be changed as asked. {error}")
    return {"revised": True, "text": f"{task.agent} wrote it anew as {task.person} asked; it waits for approval again."}


def _source(task: Task, model: str) -> dict[str, str]:
    """The new text rests on the reply, the facts and the text before: one of them from outside makes it untrusted."""
    words = f"rewritten by {model} as {task.person} replied, from {len(task.facts):,} facts"
    return {"origin": (Origin.UNTRUSTED if task.outside else Origin.TRUSTED).value, "source": words}


def _say(session: Session, ctx: RunContext, task: Task, words: str) -> dict[str, Any]:
    """Tell the person who replied."""
    events.publish(
        session, "action.unrevised", words, org_id=task.org_id, actor=Actor(task.agent, "run", ctx.run_id),
        subject=("action", task.action_id), cause_run_id=ctx.run_id, payload={"for": task.person},
    )  # fmt: skip
    if task.person_id is not None:
        from core.runtime.notifications import service as notifications

        notifications.notify(
            session, users=[task.person_id], kind="reply", key=f"unrevised:{ctx.run_id}", title="Your reply changed nothing",
            body=words, href=f"/action?action={task.action_id}", org_id=task.org_id,
        )  # fmt: skip
    return {"revised": False, "text": words}
